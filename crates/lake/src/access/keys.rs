//! API keys: long random texts that callers send, of which the lake stores only hashes.
//!
//! Invariant: a key is shown once, when it is created, and is stored nowhere.
//! Invariant: a key that never existed and one that was revoked are refused in the same way, in the same time.

use super::{Caller, Identity, Right, Rights};
use crate::catalog::KeyRecord;
use crate::{LakeConnection, LakeError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use belvedere_model::time::{SECOND, now};
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Prefix of every key, by which people and secret scanners recognize one.
const PREFIX: &str = "bvk_";
const RANDOM_BYTES: usize = 32;
const ENCODED: usize = 43;
/// Entries of each of the two caches.
const CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Keys that are looked up at once. Somebody who tries many keys must not occupy the catalog's connections.
const CONCURRENT_LOOKUPS: usize = 2;
/// How long a lookup in the catalog may take, waiting included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Precision of `last_used`: a write for each request would be too much.
const LAST_USED_PRECISION: i64 = 60 * SECOND;
const MAX_NAME_LENGTH: usize = 128;

/// The text of a new key, which its owner sees once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text that callers send.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key without its secret. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Id of the key.
    pub key_id: Uuid,
    /// Name of the key. No two live keys have the same name.
    pub name: String,
    /// The rights that it gives.
    pub rights: Rights,
    /// When it was created.
    pub created: i64,
    /// When it expires.
    pub expires: Option<i64>,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// When it was last used, to a minute.
    pub last_used: Option<i64>,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired at that time.
    pub fn is_live(&self, at: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > at)
    }

    fn read(record: KeyRecord) -> Result<Self, LakeError> {
        let rights = record.rights.parse::<Rights>().map_err(|e| {
            LakeError::Corrupt(format!("the rights of the key '{}' can't be read: {e}", record.name).into())
        })?;
        let KeyRecord { key_id, name, created, expires, revoked, last_used, .. } = record;
        Ok(Self { key_id, name, rights, created, expires, revoked, last_used })
    }
}

/// Why a key is not created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is not valid.
    #[error(
        "'{0}' is not a valid key name: use 1 to {MAX_NAME_LENGTH} printable characters, and not the form of an id"
    )]
    Name(String),
    /// A live key has the name already.
    #[error("a key '{0}' already exists: choose another name, or revoke it with 'belvedere keys revoke'")]
    Taken(String),
    /// The key would give no right.
    #[error("a key needs at least one right: send, read or admin")]
    NoRight,
    /// The key would be expired from the beginning.
    #[error("a key must expire in the future")]
    Expired,
    /// The operating system gave no random numbers.
    #[error("the operating system provides no random numbers: {0}")]
    Random(#[source] getrandom::Error),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// SHA-256 of a key.
type Hash = [u8; 32];

/// A plain hash is enough. Slow hashes with salt protect passwords, which are guessable; a key has 256 random bits. And
/// since only hashes are compared, the time of a comparison tells nothing about a key.
fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// A cached key that is valid.
#[derive(Debug, Clone)]
struct Known {
    caller: Arc<Caller>,
    expires: Option<i64>,
    looked_up: Instant,
}

/// The API keys of a lake: creates, revokes and checks them.
#[derive(Debug)]
pub struct Keys {
    connection: Arc<LakeConnection>,
    revocation_delay: Duration,
    lookups: Semaphore,
    known: Mutex<LruCache<Hash, Known>>,
    /// Keys that are not valid. A cache of its own: somebody who tries many keys must not evict the valid ones.
    unknown: Mutex<LruCache<Hash, Instant>>,
}

impl Keys {
    /// A revoked key is refused after this time at the latest, by servers that have it in their caches.
    pub const MAX_REVOCATION_DELAY: Duration = Duration::from_secs(10);

    /// The keys of this lake.
    pub fn new(connection: Arc<LakeConnection>) -> Self {
        Self::with_revocation_delay(connection, Self::MAX_REVOCATION_DELAY)
    }

    /// The same with another bound than [`Self::MAX_REVOCATION_DELAY`].
    pub fn with_revocation_delay(connection: Arc<LakeConnection>, revocation_delay: Duration) -> Self {
        Self {
            connection,
            revocation_delay,
            lookups: Semaphore::new(CONCURRENT_LOOKUPS),
            known: Mutex::new(LruCache::new(CACHE_ENTRIES)),
            unknown: Mutex::new(LruCache::new(CACHE_ENTRIES)),
        }
    }

    /// Creates a key that expires at `expires`, nanoseconds since the Unix epoch.
    pub async fn create(
        &self,
        name: &str,
        rights: Rights,
        expires: Option<i64>,
    ) -> Result<(ApiKey, Secret), KeyError> {
        let is_name = (1..=MAX_NAME_LENGTH).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
            && name.trim() == name
            && Uuid::try_parse(name).is_err();
        if !is_name {
            return Err(KeyError::Name(name.to_owned()));
        }
        if rights == Rights::NONE {
            return Err(KeyError::NoRight);
        }
        let created = now();
        if expires.is_some_and(|expires| expires <= created) {
            return Err(KeyError::Expired);
        }
        let secret = Secret::generate()?;
        let record = KeyRecord {
            key_id: Uuid::new_v4(),
            name: name.to_owned(),
            rights: rights.to_string(),
            created,
            expires,
            revoked: None,
            last_used: None,
        };
        if self.connection.catalog().add_key(&record, &hash(secret.reveal())).await? {
            Ok((ApiKey::read(record)?, secret))
        } else {
            Err(KeyError::Taken(name.to_owned()))
        }
    }

    /// All keys, revoked and expired ones too, by name.
    pub async fn list(&self) -> Result<Vec<ApiKey>, LakeError> {
        self.connection.catalog().keys().await?.into_iter().map(ApiKey::read).collect()
    }

    /// Whether there is a live key.
    pub async fn is_any_live(&self) -> Result<bool, LakeError> {
        self.connection.catalog().has_live_key(now()).await
    }

    /// Revokes the key of this name or id. `None` if no key that is not revoked yet has it.
    pub async fn revoke(&self, name_or_id: &str) -> Result<Option<ApiKey>, LakeError> {
        let id = Uuid::try_parse(name_or_id).ok();
        let is_meant = |key: &ApiKey| {
            key.revoked.is_none() && id.map_or_else(|| key.name == name_or_id, |id| key.key_id == id)
        };
        let Some(mut key) = self.list().await?.into_iter().find(is_meant) else { return Ok(None) };
        let revoked = now();
        if !self.connection.catalog().revoke_key(key.key_id, revoked).await? {
            return Ok(None);
        }
        key.revoked = Some(revoked);
        // this process refuses it at once
        locked(&self.known).clear();
        Ok(Some(key))
    }

    /// The caller with this key; `None` if the key is not valid. An error says nothing about the key.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Arc<Caller>>, LakeError> {
        let is_key = secret.strip_prefix(PREFIX).is_some_and(|rest| {
            rest.len() == ENCODED
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        if !is_key {
            return Ok(None);
        }
        let hash = hash(secret);
        if let Some(answer) = self.cached(&hash) {
            return Ok(answer);
        }
        match tokio::time::timeout(LOOKUP_TIMEOUT, self.look_up(&hash)).await {
            Ok(answer) => answer,
            Err(_) => Err(LakeError::Database("it does not respond".into())),
        }
    }

    /// The answer, if it is cached.
    fn cached(&self, hash: &Hash) -> Option<Option<Arc<Caller>>> {
        if let Some(known) = locked(&self.known).get(hash)
            && known.looked_up.elapsed() < self.revocation_delay
            && known.expires.is_none_or(|expires| expires > now())
        {
            return Some(Some(known.caller.clone()));
        }
        let looked_up = locked(&self.unknown).get(hash).copied()?;
        (looked_up.elapsed() < self.revocation_delay).then_some(None)
    }

    async fn look_up(&self, hash: &Hash) -> Result<Option<Arc<Caller>>, LakeError> {
        let _turn = self.lookups.acquire().await.map_err(|_| LakeError::Closed)?;
        // another request with the same key may have looked it up while this one waited
        if let Some(answer) = self.cached(hash) {
            return Ok(answer);
        }
        let (at, looked_up) = (now(), Instant::now());
        let Some(record) = self.connection.catalog().key_by_hash(hash, at).await? else {
            locked(&self.known).pop(hash);
            locked(&self.unknown).put(*hash, looked_up);
            return Ok(None);
        };
        let key = ApiKey::read(record)?;
        let caller = Arc::new(Caller {
            identity: Identity::Key(key.key_id),
            name: key.name,
            email: None,
            rights: key.rights,
            // keys belong to programs, and a program that reads may do so for its users
            may_speak_for_others: key.rights.has(Right::Read),
        });
        let known = Known { caller: caller.clone(), expires: key.expires, looked_up };
        locked(&self.known).put(*hash, known);
        if key.last_used.is_none_or(|last| at.saturating_sub(last) >= LAST_USED_PRECISION) {
            self.note_use(key.key_id, at);
        }
        Ok(Some(caller))
    }

    /// Records the use in the background: the request does not wait for it.
    fn note_use(&self, key_id: Uuid, at: i64) {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            if let Err(e) = connection.catalog().touch_key(key_id, at).await {
                tracing::debug!(%key_id, "the use of a key could not be recorded: {e}");
            }
        });
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // a cache is consistent after every single operation, so one that panicked did no harm
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
