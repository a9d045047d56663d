//! Who may use a server, and the keys that let in.

use super::{LakeArgs, age};
use crate::format::Format;
use belvedere_lake::access::Rights;
use clap::{Args, Subcommand};
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::time::Duration;

/// Who may use a server. Everybody, on loopback, if nothing is said.
#[derive(Debug, Clone, Args)]
pub(crate) struct AccessArgs {
    /// Let everybody in although other machines reach the server, by whatever name they do
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Ask for keys on loopback too; off loopback they are asked for anyway
    #[arg(long, conflicts_with = "insecure")]
    pub(crate) require_keys: bool,
    /// Certificates for all addresses, in PEM, the server's own first
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Identity provider (OpenID Connect) whose tokens let in, beside keys: its URL, as its tokens have it in `iss`
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "URL", requires = "oidc_audience", conflicts_with = "insecure")]
    pub(crate) oidc_issuer: Option<String>,
    /// Whom its tokens must be for: what they have in `aud`
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    pub(crate) oidc_audience: Option<String>,
    /// Who of them administers: a subject, or an address that the provider says it has verified; may be repeated
    #[cfg(feature = "oidc")]
    #[arg(long, value_name = "SUBJECT|EMAIL", requires = "oidc_issuer")]
    pub(crate) oidc_admin: Vec<String>,
    /// What everybody with a token may
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

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysAction {
    /// Make a key. It is written to the standard output, once, and kept nowhere.
    Create(CreateKeyArgs),
    /// List the keys that there are and were, without what lets in.
    List(ListKeysArgs),
    /// Make a key count no more.
    Revoke(RevokeKeyArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CreateKeyArgs {
    /// Whose key it is: no two that count have the same name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// What it allows: send (blocks), read (SQL), admin (changing the lake; includes read)
    #[arg(long, default_value = "read")]
    pub(crate) rights: Rights,
    /// How long it counts: 90d, 36h [default: until it is revoked]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ListKeysArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// How to write the list
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeKeyArgs {
    /// Which key
    #[arg(value_name = "NAME|ID")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
}
