//! Tokens of an identity provider: OpenID Connect's, as far as a server that is shown tokens needs it.
//!
//! Invariant: only algorithms whose keys can verify but not sign are used, and only with keys that are for them.
//! Invariant: what the provider sends is bounded in size and time, and callers with tokens can't make us ask it often.

mod claims;
mod keys;
#[cfg(test)]
mod tests;

use crate::args::AccessArgs;
use anyhow::{Context, Result, bail};
use belvedere_lake::access::{Caller, Rights};
use belvedere_model::time::{SECOND, now};
use claims::{Claims, LEEWAY};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use keys::{KeySet, KnownKey};
use lru::LruCache;
use reqwest::Url;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tokens that are remembered.
const CACHED: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How long at most.
const REMEMBERED: Duration = Duration::from_secs(300);
/// A token is forgotten so long before it expires.
const EARLY: Duration = Duration::from_secs(30);
/// Bytes of an answer of the provider.
const LARGEST_ANSWER: usize = 1 << 20;

/// What is to be known of a provider.
#[derive(Debug, Clone)]
pub(crate) struct OidcConfig {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Subjects and addresses of those who administer.
    pub(crate) admins: Vec<String>,
    /// What everybody with a token may.
    pub(crate) rights: Rights,
}

impl OidcConfig {
    /// What the flags say, if they name a provider.
    pub(crate) fn from_args(args: &AccessArgs) -> Option<Self> {
        Some(Self {
            issuer: args.oidc_issuer.clone()?,
            audience: args.oidc_audience.clone()?,
            admins: args.oidc_admin.clone(),
            rights: args.oidc_rights,
        })
    }
}

/// How often the provider is asked for its keys.
#[derive(Debug, Clone)]
struct Pace {
    /// Keys are renewed when they are so old …
    fresh: Duration,
    /// … and are no good any more when they could not be renewed for so long.
    usable: Duration,
    /// A key that is not known is asked for this often at most, and a provider that fails …
    between: Duration,
    /// … this often.
    after_failure: Duration,
    /// How long it may take to answer.
    answer: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(3600),
            usable: Duration::from_secs(24 * 3600),
            between: Duration::from_secs(30),
            after_failure: Duration::from_secs(5),
            answer: Duration::from_secs(10),
        }
    }
}

/// The last time that the provider was asked.
#[derive(Debug)]
struct Attempt {
    at: Instant,
    failure: Option<String>,
}

/// Callers of tokens that were checked, by digests of these, and until when that holds.
type Verified = LruCache<[u8; 32], (Arc<Caller>, Instant)>;

/// Knows the tokens of a provider.
#[derive(Debug)]
pub(crate) struct Oidc {
    config: OidcConfig,
    pace: Pace,
    discovery: Url,
    client: reqwest::Client,
    keys: Mutex<Option<Arc<KeySet>>>,
    /// Held while the provider is asked.
    attempt: tokio::sync::Mutex<Option<Attempt>>,
    /// By the tokens' hashes.
    verified: Mutex<Verified>,
}

impl Oidc {
    /// Gets ready, and asks the provider for its keys. One that does not answer yet may do so later.
    pub(crate) async fn start(config: OidcConfig) -> Result<Arc<Self>> {
        let oidc = Arc::new(Self::new(config, Pace::default())?);
        if let Err(e) = oidc.refresh().await {
            tracing::warn!("tokens can't be checked yet: {e:#}");
        }
        Ok(oidc)
    }

    fn new(config: OidcConfig, pace: Pace) -> Result<Self> {
        let discovery = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
        let discovery = checked_url(&discovery).context("--oidc-issuer is not valid")?;
        let client =
            reqwest::Client::builder().timeout(pace.answer).redirect(reqwest::redirect::Policy::none());
        // a provider on this machine is not behind a proxy
        let client = match discovery.scheme() {
            "https" => client.https_only(true),
            _ => client.no_proxy(),
        };
        Ok(Self {
            client: client.build().context("the HTTP client for the identity provider can't be set up")?,
            config,
            pace,
            discovery,
            keys: Mutex::new(None),
            attempt: tokio::sync::Mutex::new(None),
            verified: Mutex::new(LruCache::new(CACHED)),
        })
    }

    /// Whose token it is; `None` if it does not count. An error says nothing about the token.
    pub(crate) async fn authenticate(self: &Arc<Self>, token: &str) -> Result<Option<Arc<Caller>>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some((caller, until)) = locked(&self.verified).get(&hash)
            && Instant::now() < *until
        {
            return Ok(Some(caller.clone()));
        }
        // 'none' is not even read
        let Ok(header) = decode_header(token) else { return Ok(None) };
        if !keys::ALGORITHMS.contains(&header.alg) {
            return Ok(None);
        }
        for key in self.keys_for(header.kid.as_deref(), header.alg).await? {
            if let Some(claims) = self.verify(token, header.alg, &key) {
                let Some(caller) = claims.caller(&self.config) else { return Ok(None) };
                let caller = Arc::new(caller);
                self.remember(hash, &caller, &claims);
                return Ok(Some(caller));
            }
        }
        Ok(None)
    }

    fn verify(&self, token: &str, algorithm: Algorithm, key: &KnownKey) -> Option<Claims> {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&[&self.config.audience]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        match decode::<Claims>(token, key.key(), &validation) {
            Ok(data) => Some(data.claims),
            Err(e) => {
                tracing::debug!("a token is not valid: {e}");
                None
            }
        }
    }

    fn remember(&self, hash: [u8; 32], caller: &Arc<Caller>, claims: &Claims) {
        let left = claims.expires().saturating_sub(now() / SECOND);
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0)).saturating_sub(EARLY);
        if !left.is_zero() {
            let until = Instant::now() + left.min(REMEMBERED);
            locked(&self.verified).put(hash, (caller.clone(), until));
        }
    }

    /// The keys that a token may be signed with. If there is none, the provider may have new ones.
    async fn keys_for(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<KnownKey>> {
        let current = locked(&self.keys).clone();
        if let Some(set) = current.filter(|set| set.age() < self.pace.usable) {
            if set.age() >= self.pace.fresh
                && self.attempt.try_lock().is_ok_and(|last| self.is_due(last.as_ref()))
            {
                let oidc = self.clone();
                tokio::spawn(async move {
                    if let Err(e) = oidc.refresh().await {
                        tracing::warn!("the identity provider's keys could not be renewed: {e:#}");
                    }
                });
            }
            let suitable = set.suitable(id, algorithm);
            if !suitable.is_empty() {
                return Ok(suitable);
            }
        }
        Ok(self.refresh().await?.suitable(id, algorithm))
    }

    fn is_due(&self, last: Option<&Attempt>) -> bool {
        last.is_none_or(|last| {
            let pause = if last.failure.is_some() { self.pace.after_failure } else { self.pace.between };
            last.at.elapsed() >= pause
        })
    }

    /// Asks the provider for its keys, unless it was asked just now.
    async fn refresh(&self) -> Result<Arc<KeySet>> {
        let mut last = self.attempt.lock().await;
        if !self.is_due(last.as_ref()) {
            let failure = last.as_ref().and_then(|last| last.failure.clone());
            return match (failure, locked(&self.keys).clone()) {
                (None, Some(set)) => Ok(set),
                (failure, _) => bail!(failure.unwrap_or_default()),
            };
        }
        // so that one who goes away while we wait does not let the next one ask at once
        *last = Some(Attempt { at: Instant::now(), failure: Some("the provider is being asked".to_owned()) });
        let fetched = self.fetch().await;
        let failure = fetched.as_ref().err().map(|e| format!("{e:#}"));
        *last = Some(Attempt { at: Instant::now(), failure });
        let set = Arc::new(fetched?);
        *locked(&self.keys) = Some(set.clone());
        Ok(set)
    }

    async fn fetch(&self) -> Result<KeySet> {
        let discovered: keys::Discovery = self.get(self.discovery.clone()).await?;
        if discovered.issuer != self.config.issuer {
            bail!(
                "the issuer in {} is '{}', not '{}' as in --oidc-issuer",
                self.discovery,
                discovered.issuer,
                self.config.issuer
            );
        }
        let url = checked_url(&discovered.jwks_uri).context("the provider's keys can't be fetched")?;
        let document: keys::Document = self.get(url.clone()).await?;
        let set = KeySet::read(document);
        if set.is_empty() {
            bail!("{url} has no supported key: RSA, P-256, P-384 and Ed25519 are supported");
        }
        Ok(set)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let mut response = self.client.get(url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                bail!("the response of {url} has more than {LARGEST_ANSWER} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).with_context(|| format!("unexpected response from {url}"))
    }
}

/// An address that nobody on the way can answer for.
fn checked_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).with_context(|| format!("'{text}' is not a URL"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => bail!("'{text}' is not https://, which only a provider on this machine may omit"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // what is in it is whole after every single operation on it
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
