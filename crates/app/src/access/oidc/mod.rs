//! Tokens of an OpenID Connect provider, as far as a resource server needs it.
//!
//! Invariant: only asymmetric algorithms are accepted, and only with keys that are meant for them.
//! Invariant: the provider's answers are bounded in size and time, and callers can't make us ask it often.

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

/// Verified tokens in the cache.
const CACHED_TOKENS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// How long a verified token stays in the cache, at most.
const CACHE_TIME: Duration = Duration::from_secs(300);
/// A token leaves the cache this long before it expires.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);
/// Size of an answer of the provider.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Configuration of a provider.
#[derive(Debug, Clone)]
pub(crate) struct OidcConfig {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Subjects and email addresses of administrators.
    pub(crate) admins: Vec<String>,
    /// Rights of everybody with a valid token.
    pub(crate) rights: Rights,
}

impl OidcConfig {
    /// The configuration of the flags, if they name a provider.
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
struct RefreshIntervals {
    /// Keys are renewed in the background at this age …
    renew_after: Duration,
    /// … and not used any more at this age, if they could not be renewed.
    max_age: Duration,
    /// The provider is asked for an unknown key at most this often …
    min_interval: Duration,
    /// … and after a failure at most this often.
    retry_after: Duration,
    /// How long the provider may take to answer.
    request_timeout: Duration,
}

impl Default for RefreshIntervals {
    fn default() -> Self {
        Self {
            renew_after: Duration::from_secs(3600),
            max_age: Duration::from_secs(24 * 3600),
            min_interval: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// The last request to the provider.
#[derive(Debug)]
struct Attempt {
    at: Instant,
    failure: Option<String>,
}

/// Callers of verified tokens by the tokens' hashes, each with the time until which it is valid.
type Verified = LruCache<[u8; 32], (Arc<Caller>, Instant)>;

/// Verifies the tokens of a provider.
#[derive(Debug)]
pub(crate) struct Oidc {
    config: OidcConfig,
    intervals: RefreshIntervals,
    discovery: Url,
    client: reqwest::Client,
    keys: Mutex<Option<Arc<KeySet>>>,
    /// Held while the provider is asked.
    attempt: tokio::sync::Mutex<Option<Attempt>>,
    verified: Mutex<Verified>,
}

impl Oidc {
    /// Asks the provider for its keys. If it does not answer, that is tried again with the first token.
    pub(crate) async fn start(config: OidcConfig) -> Result<Arc<Self>> {
        let oidc = Arc::new(Self::new(config, RefreshIntervals::default())?);
        if let Err(e) = oidc.refresh().await {
            tracing::warn!("tokens can't be checked yet: {e:#}");
        }
        Ok(oidc)
    }

    fn new(config: OidcConfig, intervals: RefreshIntervals) -> Result<Self> {
        let discovery = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
        let discovery = checked_url(&discovery).context("--oidc-issuer is not valid")?;
        let client = reqwest::Client::builder()
            .timeout(intervals.request_timeout)
            .redirect(reqwest::redirect::Policy::none());
        // a provider on this machine is not behind a proxy
        let client = match discovery.scheme() {
            "https" => client.https_only(true),
            _ => client.no_proxy(),
        };
        Ok(Self {
            client: client.build().context("the HTTP client for the identity provider can't be set up")?,
            config,
            intervals,
            discovery,
            keys: Mutex::new(None),
            attempt: tokio::sync::Mutex::new(None),
            verified: Mutex::new(LruCache::new(CACHED_TOKENS)),
        })
    }

    /// The caller with this token; `None` if the token is not valid. An error says nothing about the token.
    pub(crate) async fn authenticate(self: &Arc<Self>, token: &str) -> Result<Option<Arc<Caller>>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some((caller, until)) = locked(&self.verified).get(&hash)
            && Instant::now() < *until
        {
            return Ok(Some(caller.clone()));
        }
        // the algorithm 'none' is not even parsed
        let Ok(header) = decode_header(token) else { return Ok(None) };
        // RFC 7515: who does not understand a header that is critical must refuse the token, and none is understood here
        if !keys::ALGORITHMS.contains(&header.alg) || header.crit.is_some() {
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
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0)).saturating_sub(EXPIRY_MARGIN);
        if !left.is_zero() {
            let until = Instant::now() + left.min(CACHE_TIME);
            locked(&self.verified).put(hash, (caller.clone(), until));
        }
    }

    /// The keys that a token may be signed with. If none is known, the provider may have new ones.
    async fn keys_for(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<KnownKey>> {
        let current = locked(&self.keys).clone();
        if let Some(set) = current.filter(|set| set.age() < self.intervals.max_age) {
            if set.age() >= self.intervals.renew_after
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
            let pause =
                if last.failure.is_some() { self.intervals.retry_after } else { self.intervals.min_interval };
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
        // set before the request: if this caller is cancelled while it waits, the next one must not ask at once
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
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                bail!("{url} answers with more than {MAX_RESPONSE_BYTES} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).with_context(|| format!("unexpected response from {url}"))
    }
}

/// Checks that nobody on the network can answer for an address: https, or this machine.
fn checked_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).with_context(|| format!("'{text}' is not a URL"))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => bail!("'{text}' must use https://; only a provider on this machine may use http://"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // consistent after every single operation, so one that panicked did no harm
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
