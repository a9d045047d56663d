//! Who shows a credential.

#[cfg(feature = "oidc")]
use super::Oidc;
use belvedere_lake::access::{Caller, Keys};
use std::sync::Arc;

/// Who a caller is can't be found out now. The reason is logged and not told: it is about what is behind the server.
#[derive(Debug)]
pub(crate) struct Unavailable;

/// Knows keys, and tokens of an identity provider if there is one.
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

    /// Who shows this; `None` if it is nothing that counts.
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

/// Whether it has the form of a token: three parts with dots between, which no key has.
#[cfg(feature = "oidc")]
fn is_token(credential: &str) -> bool {
    credential.split('.').count() == 3
}
