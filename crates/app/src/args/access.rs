//! Authentication of a server's callers, and the `keys` command.

use super::{LakeArgs, age};
use crate::format::Format;
use belvedere_lake::access::Rights;
use clap::{Args, Subcommand};
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::time::Duration;

/// Authentication. By default none on loopback.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccessArgs {
    /// Never require keys, even if other machines can reach the server; accept any host name
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Require keys on loopback, too; on other addresses they are always required
    #[arg(long, conflicts_with = "insecure")]
    pub(crate) require_keys: bool,
    /// Origin of web pages that may send telemetry, as in http://localhost:3000; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) allow_origin: Vec<String>,
    /// PEM file with the TLS certificate chain for all addresses; the server's own certificate comes first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// URL of an OpenID Connect identity provider whose tokens are accepted in addition to keys, as in the `iss` claim
    /// of its tokens
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "URL", requires = "oidc_audience", conflicts_with = "insecure")]
    pub(crate) oidc_issuer: Option<String>,
    /// Audience that tokens must have in the `aud` claim
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    pub(crate) oidc_audience: Option<String>,
    /// Administrator: a subject, or an email address that the provider has verified; may be repeated
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "SUBJECT|EMAIL", requires = "oidc_issuer")]
    pub(crate) oidc_admin: Vec<String>,
    /// Rights of every caller with a token
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "RIGHTS", default_value = "read")]
    pub(crate) oidc_rights: Rights,
}

impl AccessArgs {
    /// Whether an identity provider is named.
    pub(crate) fn has_provider(&self) -> bool {
        #[cfg(feature = "oidc")]
        let has_provider = self.oidc_issuer.is_some();
        #[cfg(not(feature = "oidc"))]
        let has_provider = false;
        has_provider
    }
}

/// An origin as browsers write it: a scheme, a host and a port if it is not the usual one.
fn origin(text: &str) -> Result<String, String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '*', ' ', '?', '#', '@'])
    });
    match is_origin {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("an origin is a scheme, a host and a port, such as http://localhost:3000".to_owned()),
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysAction {
    /// Create a key. The key is printed to standard output once; the lake stores only a hash of it.
    Create(CreateKeyArgs),
    /// List all keys, including revoked ones, without their secrets.
    List(ListKeysArgs),
    /// Revoke a key.
    Revoke(RevokeKeyArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CreateKeyArgs {
    /// Name of the key: no two valid keys have the same name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Rights: send (blocks), read (SQL), admin (changing the lake; includes read)
    #[arg(long, default_value = "read")]
    pub(crate) rights: Rights,
    /// How long it is valid: 90d, 36h [default: until it is revoked]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ListKeysArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeKeyArgs {
    /// Name or id of the key
    #[arg(value_name = "NAME|ID")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
}
