//! Authentication and access control.
//!
//! Invariant: a request reaches a protocol only with its caller in the extensions, and only if the caller has the right.
//! Invariant: where callers are not authenticated, foreign web pages are refused, and allowed ones can only send.
//! Invariant: headers by which a client claims an identity (`x-auth-…`) reach no protocol.

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
pub(crate) use refusal::{grpc_error, is_grpc, starting};
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
    /// Checks callers.
    pub(crate) gate: Gate,
    /// Encrypts connections, if certificates are configured.
    pub(crate) tls: Option<Tls>,
}

/// Whether callers must authenticate.
pub(crate) fn requires_keys(args: &AccessArgs, addresses: &[SocketAddr]) -> bool {
    args.require_keys || args.has_provider() || (is_reachable(addresses) && !args.insecure)
}

/// Whether one of the addresses is reachable from other machines.
fn is_reachable(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| !address.ip().is_loopback())
}

/// Reads the certificates. Done first, so that a mistake in them is reported before anything starts.
pub(crate) fn tls(args: &AccessArgs) -> Result<Option<Tls>> {
    #[cfg(feature = "tls")]
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        return acceptor(certificate, key).map(Some);
    }
    let _ = args;
    Ok(None)
}

/// The gate of a server with these addresses. An error if it would have to refuse everybody.
pub(crate) async fn gate(
    args: &AccessArgs,
    addresses: &[SocketAddr],
    connection: &Arc<LakeConnection>,
    lake: &Path,
) -> Result<Gate> {
    if !requires_keys(args, addresses) {
        // with --insecure the operator has decided that everybody may reach the server, by any name
        return Ok(Gate::open(args.insecure).allow_origins(args.allow_origin.clone()));
    }
    let keys = Keys::new(connection.clone());
    if !args.has_provider() && !keys.is_any_live().await? {
        let why = if is_reachable(addresses) {
            "other machines can reach this server"
        } else {
            "this server requires keys"
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
    Ok(Gate::authenticated(authenticator).allow_origins(args.allow_origin.clone()))
}

/// A warning if the server is reachable from other machines and does not encrypt connections.
pub(crate) fn warning(security: &Security, addresses: &[SocketAddr]) -> Option<&'static str> {
    (is_reachable(addresses) && security.gate.is_authenticated() && security.tls.is_none()).then_some(
        "warning: keys are sent in clear text: start with --tls-cert and --tls-key, or put a TLS proxy in front of this server",
    )
}
