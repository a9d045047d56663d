//! Finds the caller of a credential.

#[cfg(feature = "oidc")]
use super::Oidc;
use belvedere_lake::access::{Caller, Keys};
use std::sync::Arc;

/// Authentication is not possible now. The reason is logged, not sent to the client: it is about the server's backends.
#[derive(Debug)]
pub(crate) struct Unavailable;

/// Checks API keys, and tokens of an identity provider if there is one.
#[derive(Debug)]
pub(crate) struct Authenticator {
    keys: Keys,
    #[cfg(feature = "oidc")]
    oidc: Option<Arc<Oidc>>,
}

impl Authenticator {
    #[cfg(feature = "oidc")]
    pub(crate) fn new(keys: Keys, oidc: Option<Arc<Oidc>>) -> Self {
        Self { keys, oidc }
    }

    #[cfg(not(feature = "oidc"))]
    pub(crate) fn new(keys: Keys) -> Self {
        Self { keys }
    }

    /// The caller with this credential; `None` if it is not valid.
    pub(crate) async fn authenticate(&self, credential: &str) -> Result<Option<Arc<Caller>>, Unavailable> {
        #[cfg(feature = "oidc")]
        if let Some(oidc) = &self.oidc
            && is_token(credential)
        {
            return oidc.authenticate(credential).await.map_err(|e| {
                tracing::warn!("a token could not be checked: {e:#}");
                Unavailable
            });
        }
        self.keys.authenticate(credential).await.map_err(|e| {
            tracing::warn!("a key could not be looked up: {e}");
            Unavailable
        })
    }
}

/// Whether it has the form of a token: three parts, separated by dots. API keys have no dots.
#[cfg(feature = "oidc")]
fn is_token(credential: &str) -> bool {
    credential.split('.').count() == 3
}
