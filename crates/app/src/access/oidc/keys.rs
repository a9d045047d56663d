//! Keys that a provider signs with.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Asymmetric algorithms. With the others, whoever can verify a token can also sign one.
pub(super) const ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Keys that are read; a provider has a handful.
const MAX_KEYS: usize = 100;

/// The parts of `.well-known/openid-configuration` that are used.
#[derive(Debug, Deserialize)]
pub(super) struct Discovery {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
}

/// The key set document. Keys that can't be read are skipped: providers publish keys for other purposes too.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    keys: Vec<serde_json::Value>,
}

/// A key in the form of RFC 7517.
#[derive(Debug, Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A key, and the algorithms that it may be used with.
#[derive(Debug, Clone)]
pub(super) struct KnownKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: Arc<DecodingKey>,
}

impl KnownKey {
    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }

    fn read(published: Published) -> Option<Self> {
        if published.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let text = |field: &Option<String>| field.clone();
        let (mut algorithms, key) = match (published.kty.as_str(), published.crv.as_deref()) {
            ("RSA", _) => (
                ALGORITHMS.get(..6)?.to_vec(),
                DecodingKey::from_rsa_components(&text(&published.n)?, &text(&published.e)?),
            ),
            ("EC", Some(curve)) => {
                let algorithm = match curve {
                    "P-256" => Algorithm::ES256,
                    "P-384" => Algorithm::ES384,
                    _ => return None,
                };
                (vec![algorithm], DecodingKey::from_ec_components(&text(&published.x)?, &text(&published.y)?))
            }
            ("OKP", Some("Ed25519")) => {
                (vec![Algorithm::EdDSA], DecodingKey::from_ed_components(&text(&published.x)?))
            }
            _ => return None,
        };
        if let Some(only) = &published.alg {
            let only: Algorithm = only.parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        Some(Self { id: published.kid, algorithms, key: Arc::new(key.ok()?) })
    }
}

/// The keys of a provider at one time.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<KnownKey>,
    fetched: Instant,
}

impl KeySet {
    pub(super) fn read(document: Document) -> Self {
        let published = document.keys.into_iter().take(MAX_KEYS);
        let keys = published.filter_map(|key| KnownKey::read(serde_json::from_value(key).ok()?)).collect();
        Self { keys, fetched: Instant::now() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn age(&self) -> Duration {
        self.fetched.elapsed()
    }

    /// The keys for an algorithm that have this id, or any id if the token names none.
    pub(super) fn suitable(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<KnownKey> {
        let is_meant = |key: &&KnownKey| id.is_none() || key.id.as_deref() == id;
        let keys = self.keys.iter().filter(is_meant);
        keys.filter(|key| key.algorithms.contains(&algorithm)).cloned().collect()
    }
}
