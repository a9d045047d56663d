//! Rows of API keys.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use sqlx::FromRow;
use uuid::Uuid;

/// What is stored of a key. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct KeyRecord {
    /// Id of the key.
    pub(crate) key_id: Uuid,
    /// Name of the key.
    pub(crate) name: String,
    /// Rights, in the form of [`crate::access::Rights`].
    pub(crate) rights: String,
    /// When it was created.
    pub(crate) created: i64,
    /// When it expires.
    pub(crate) expires: Option<i64>,
    /// When it was revoked.
    pub(crate) revoked: Option<i64>,
    /// When it was last used, to a minute.
    pub(crate) last_used: Option<i64>,
}

const COLUMNS: &str = "SELECT key_id, name, rights, created, expires, revoked, last_used FROM api_keys";

/// Adds the condition that a key is neither revoked nor expired.
fn live(statement: &mut Statement, now: i64) {
    statement.push("revoked IS NULL AND (expires IS NULL OR expires > ").bind(Arg::Int(now)).push(")");
}

impl Catalog {
    /// Adds a key. False if there is a live one of the same name, or one with the same hash.
    pub(crate) async fn add_key(&self, key: &KeyRecord, hash: &[u8]) -> Result<bool, LakeError> {
        // the name of an expired key is free again
        let mut free_name = Statement::new("UPDATE api_keys SET revoked = expires WHERE name = ");
        free_name
            .bind(Arg::Text(key.name.clone()))
            .push(" AND revoked IS NULL AND expires <= ")
            .bind(Arg::Int(key.created));
        let mut insert =
            Statement::new("INSERT INTO api_keys (key_id, name, hash, rights, created, expires) VALUES ");
        insert
            .tuple([
                Arg::Uuid(key.key_id),
                Arg::Text(key.name.clone()),
                Arg::Bytes(hash.to_vec()),
                Arg::Text(key.rights.clone()),
                Arg::Int(key.created),
                Arg::OptionalInt(key.expires),
            ])
            .push(" ON CONFLICT DO NOTHING");
        let added = self.writer.transact_synced(vec![Step::Do(free_name), Step::Count(insert)]).await?;
        Ok(added > 0)
    }

    /// All keys, revoked and expired ones too, by name.
    pub(crate) async fn keys(&self) -> Result<Vec<KeyRecord>, LakeError> {
        let mut statement = Statement::new(COLUMNS);
        statement.push(" ORDER BY name, created");
        self.readers.fetch(statement).await
    }

    /// The live key with this hash.
    pub(crate) async fn key_by_hash(&self, hash: &[u8], now: i64) -> Result<Option<KeyRecord>, LakeError> {
        let mut statement = Statement::new(COLUMNS);
        statement.push(" WHERE hash = ").bind(Arg::Bytes(hash.to_vec())).push(" AND ");
        live(&mut statement, now);
        Ok(self.readers.fetch(statement).await?.pop())
    }

    /// Whether there is a live key.
    pub(crate) async fn has_live_key(&self, now: i64) -> Result<bool, LakeError> {
        let mut statement = Statement::new(COLUMNS);
        statement.push(" WHERE ");
        live(&mut statement, now);
        statement.push(" LIMIT 1");
        Ok(!self.readers.fetch::<KeyRecord>(statement).await?.is_empty())
    }

    /// Revokes a key. False if it is revoked already or does not exist.
    pub(crate) async fn revoke_key(&self, key_id: Uuid, now: i64) -> Result<bool, LakeError> {
        let mut statement = Statement::new("UPDATE api_keys SET revoked = ");
        statement.bind(Arg::Int(now)).push(" WHERE revoked IS NULL AND key_id = ").bind(Arg::Uuid(key_id));
        // synced: a power cut must not bring a revoked key back
        Ok(self.writer.transact_synced(vec![Step::Count(statement)]).await? > 0)
    }

    /// Records that a key was used.
    pub(crate) async fn touch_key(&self, key_id: Uuid, now: i64) -> Result<(), LakeError> {
        let mut statement = Statement::new("UPDATE api_keys SET last_used = ");
        statement.bind(Arg::Int(now)).push(" WHERE key_id = ").bind(Arg::Uuid(key_id));
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }
}
