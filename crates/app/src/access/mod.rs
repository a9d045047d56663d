//! Who may use what this program serves.
//!
//! Invariant: a request reaches a protocol only with the caller in its extensions, and only if that one has the right.
//! Invariant: where nobody is asked who they are, web pages of others get nothing.
//! Invariant: what a request itself says of who sent it (`x-auth-…`) reaches nobody.

mod authenticator;
mod credential;
mod gate;
#[cfg(feature = "oidc")]
mod oidc;
mod origin;
mod refusal;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use authenticator::Authenticator;
pub(crate) use gate::Gate;
#[cfg(feature = "oidc")]
pub(crate) use oidc::{Oidc, OidcConfig};
#[cfg(feature = "tls")]
pub(crate) use tls::acceptor;

use crate::args::AccessArgs;
use crate::listener::Tls;
use anyhow::{Result, bail};
use belvedere_lake::LakeConnection;
use belvedere_lake::access::Keys;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// How a server is protected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Security {
    /// Who gets in.
    pub(crate) gate: Gate,
    /// What connections are encrypted with, if they are.
    pub(crate) tls: Option<Tls>,
}

/// Whether callers are asked who they are.
pub(crate) fn is_asked(args: &AccessArgs, addresses: &[SocketAddr]) -> bool {
    args.require_keys || args.has_provider() || (is_reachable(addresses) && !args.insecure)
}

/// Whether other machines reach one of the addresses.
fn is_reachable(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| !address.ip().is_loopback())
}

/// Reads certificates before anything else is begun.
pub(crate) fn tls(args: &AccessArgs) -> Result<Option<Tls>> {
    #[cfg(feature = "tls")]
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        return acceptor(certificate, key).map(Some);
    }
    let _ = args;
    Ok(None)
}

/// The gate of a server with these addresses over a lake, or why there can be none.
pub(crate) async fn gate(
    args: &AccessArgs,
    addresses: &[SocketAddr],
    connection: &Arc<LakeConnection>,
    lake: &Path,
) -> Result<Gate> {
    if !is_asked(args, addresses) {
        // who reaches a server by whatever name leads there has decided so
        return Ok(Gate::asking_nobody(args.insecure));
    }
    let keys = Keys::new(connection.clone());
    if !args.has_provider() && !keys.is_any_live().await? {
        let why = match is_reachable(addresses) {
            true => "other machines can reach this server",
            false => "this server requires keys",
        };
        bail!(
            "{why}, and the lake has no valid key: create one with \
             'belvedere keys create NAME --rights read,send --lake {}' (or start with --insecure to require no keys)",
            lake.display()
        );
    }
    #[cfg(feature = "oidc")]
    let authenticator = {
        let oidc = match OidcConfig::from_args(args) {
            Some(config) => Some(Oidc::start(config).await?),
            None => None,
        };
        Authenticator::new(keys, oidc)
    };
    #[cfg(not(feature = "oidc"))]
    let authenticator = Authenticator::new(keys);
    Ok(Gate::asking(authenticator))
}

/// What to say of a server that is reachable and whose connections anybody on the way can read.
pub(crate) fn warning(security: &Security, addresses: &[SocketAddr]) -> Option<&'static str> {
    (is_reachable(addresses) && security.gate.is_asking() && security.tls.is_none()).then_some(
        "warning: keys are sent in clear text: start with --tls-cert and --tls-key, or put a TLS proxy in front of this \
         server",
    )
}
