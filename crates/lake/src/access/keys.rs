//! Keys: long random texts that callers show, and what the lake keeps of them.
//!
//! Invariant: a key itself is told once, to whoever makes it, and is kept nowhere.
//! Invariant: a key that was never made and one that was revoked are refused in the same way, in the same time.

use super::{Caller, Identity, Right, Rights};
use crate::{KeyRecord, LakeConnection, LakeError};
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

/// How long it takes at most until a revoked key is refused.
pub const KEY_PATIENCE: Duration = Duration::from_secs(10);

/// What every key begins with: so that people and scanners know one when they see it.
const PREFIX: &str = "bvk_";
const RANDOM_BYTES: usize = 32;
const ENCODED: usize = 43;
/// Answers that are kept, of those who are known and of those who are not.
const CACHED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Keys that are looked up at once: who tries many is not to keep the catalogue from others.
const LOOKUPS: usize = 2;
/// How long the catalogue may take.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);
/// How exact `last_used` is.
const TOUCH: i64 = 60 * SECOND;
const LONGEST_NAME: usize = 128;

/// A key, as its owner gets to see it: once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text that callers show.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn make() -> Result<Self, KeyError> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|e| KeyError::Random(e.to_string()))?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is known of a key. Instants are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which one it is.
    pub key_id: Uuid,
    /// How people call it: no two live keys have the same name.
    pub name: String,
    /// What it allows.
    pub rights: Rights,
    /// When it was made.
    pub created: i64,
    /// From when on it does not count any more.
    pub expires: Option<i64>,
    /// When it was revoked.
    pub revoked: Option<i64>,
    /// When somebody showed it last, to a minute.
    pub last_used: Option<i64>,
}

impl ApiKey {
    /// Whether it counts at an instant.
    pub fn is_live(&self, at: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > at)
    }

    fn read(record: KeyRecord) -> Result<Self, LakeError> {
        let rights = record.rights.parse::<Rights>().map_err(|e| {
            LakeError::Corrupt(format!("the rights of the key '{}' can't be read: {e}", record.name))
        })?;
        let KeyRecord { key_id, name, created, expires, revoked, last_used, .. } = record;
        Ok(Self { key_id, name, rights, created, expires, revoked, last_used })
    }
}

/// Why a key is not made or not revoked.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The name is none.
    #[error("'{0}' can't be the name of a key: use 1 to {LONGEST_NAME} printable characters, and not an id")]
    Name(String),
    /// A live key has the name.
    #[error("a key '{0}' already exists: choose another name, or revoke it with 'belvedere keys revoke'")]
    Taken(String),
    /// A key that allows nothing.
    #[error("a key needs at least one right: send, read or admin")]
    NoRight,
    /// It would have expired when it is made.
    #[error("a key must expire in the future")]
    Expired,
    /// The operating system gave no random numbers.
    #[error("the operating system provides no random numbers: {0}")]
    Random(String),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Which key, by its hash.
type Hash = [u8; 32];

/// A plain hash: a key has 256 random bits, so there is no list of likely ones to try, which slow hashes with salt are
/// for. And since only hashes are compared, how long that takes says nothing about a key.
fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Somebody whom we know.
#[derive(Debug, Clone)]
struct Known {
    caller: Arc<Caller>,
    expires: Option<i64>,
    looked_up: Instant,
}

/// The keys of a lake.
#[derive(Debug)]
pub struct Keys {
    connection: Arc<LakeConnection>,
    patience: Duration,
    lookups: Semaphore,
    known: Mutex<LruCache<Hash, Known>>,
    /// Apart from the others: who tries many keys must not push out those that are good.
    unknown: Mutex<LruCache<Hash, Instant>>,
}

impl Keys {
    /// Of this lake.
    pub fn new(connection: Arc<LakeConnection>) -> Self {
        Self::with_patience(connection, KEY_PATIENCE)
    }

    /// The same, with another bound on how long it takes until a revoked key is refused.
    pub fn with_patience(connection: Arc<LakeConnection>, patience: Duration) -> Self {
        Self {
            connection,
            patience,
            lookups: Semaphore::new(LOOKUPS),
            known: Mutex::new(LruCache::new(CACHED)),
            unknown: Mutex::new(LruCache::new(CACHED)),
        }
    }

    /// Makes a key that counts until `expires`, nanoseconds since the Unix epoch.
    pub async fn create(
        &self,
        name: &str,
        rights: Rights,
        expires: Option<i64>,
    ) -> Result<(ApiKey, Secret), KeyError> {
        let is_name = (1..=LONGEST_NAME).contains(&name.chars().count())
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
        let secret = Secret::make()?;
        let record = KeyRecord {
            key_id: Uuid::new_v4(),
            name: name.to_owned(),
            rights: rights.to_string(),
            created,
            expires,
            revoked: None,
            last_used: None,
        };
        match self.connection.catalog().add_key(&record, &hash(secret.reveal())).await? {
            true => Ok((ApiKey::read(record)?, secret)),
            false => Err(KeyError::Taken(name.to_owned())),
        }
    }

    /// All keys that ever were, by name.
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
        // whoever revokes it here need not wait
        locked(&self.known).clear();
        Ok(Some(key))
    }

    /// Who shows this key; `None` if it is none that counts. An error says nothing about the key.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Arc<Caller>>, LakeError> {
        let is_key = secret.strip_prefix(PREFIX).is_some_and(|rest| {
            rest.len() == ENCODED
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        if !is_key {
            return Ok(None);
        }
        let hash = hash(secret);
        if let Some(answer) = self.remembered(&hash) {
            return Ok(answer);
        }
        match tokio::time::timeout(LOOKUP_PATIENCE, self.look_up(&hash)).await {
            Ok(answer) => answer,
            Err(_) => Err(LakeError::Database("it does not respond".to_owned())),
        }
    }

    /// What is known without asking the catalogue.
    fn remembered(&self, hash: &Hash) -> Option<Option<Arc<Caller>>> {
        if let Some(known) = locked(&self.known).get(hash)
            && known.looked_up.elapsed() < self.patience
            && known.expires.is_none_or(|expires| expires > now())
        {
            return Some(Some(known.caller.clone()));
        }
        let looked_up = locked(&self.unknown).get(hash).copied()?;
        (looked_up.elapsed() < self.patience).then_some(None)
    }

    async fn look_up(&self, hash: &Hash) -> Result<Option<Arc<Caller>>, LakeError> {
        let _turn = self.lookups.acquire().await.map_err(|_| LakeError::Closed)?;
        // others with the same key may have had their turn before
        if let Some(answer) = self.remembered(hash) {
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
            // a key is a program's: one that asks may do so for its users
            may_speak_for_others: key.rights.has(Right::Read),
        });
        let known = Known { caller: caller.clone(), expires: key.expires, looked_up };
        locked(&self.known).put(*hash, known);
        if key.last_used.is_none_or(|last| at.saturating_sub(last) >= TOUCH) {
            self.note_use(key.key_id, at);
        }
        Ok(Some(caller))
    }

    /// Nobody waits for that.
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
    // a cache is whole after every single operation on it
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
