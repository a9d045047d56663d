//! Objects that nothing refers to any more. Their rows are deleted first, the objects later, when no query that began
//! before can still be reading them.

use super::filter::Conditions;
use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use sqlx::FromRow;
use std::collections::HashSet;

/// An object to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Garbage {
    pub object_key: String,
}

impl Catalog {
    /// Objects that may be deleted by `now`, at most `limit` of them, sorted by key.
    pub async fn garbage(&self, now: i64, after: &str, limit: u32) -> Result<Vec<Garbage>, LakeError> {
        let mut statement = Statement::new("SELECT object_key FROM garbage");
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("expires <= ").bind(Arg::Int(now));
        conditions.and("object_key > ").bind(Arg::Text(after.to_owned()));
        statement.push(" ORDER BY object_key LIMIT ").bind(Arg::Int(limit.into()));
        self.readers.fetch(statement).await
    }

    /// Waits until all commits so far are on disk. Only then may an object be deleted: after a power cut an earlier state of
    /// the catalog may come back, which still refers to it.
    pub async fn sync(&self) -> Result<(), LakeError> {
        self.writer.transact_synced(touching()).await.map(drop)
    }

    /// Writes something that changes nothing.
    pub(super) async fn touch(&self) -> Result<(), LakeError> {
        self.writer.transact(touching()).await.map(drop)
    }

    /// Forgets objects that have been deleted.
    pub async fn forget_garbage(&self, keys: &[String]) -> Result<(), LakeError> {
        for keys in keys.chunks(1000) {
            let mut statement = Statement::new("DELETE FROM garbage WHERE object_key IN ");
            statement.tuple(keys.iter().cloned().map(Arg::Text));
            self.writer.transact(vec![Step::Do(statement)]).await?;
        }
        Ok(())
    }

    /// Those of these files that belong to a partition, or are to be deleted anyway.
    pub async fn known_files(&self, keys: &[String]) -> Result<HashSet<String>, LakeError> {
        self.known_keys(keys, "SELECT file_key FROM partitions WHERE file_key IN ").await
    }

    /// Those of these objects that the catalog has, or that are to be deleted anyway.
    pub async fn known_objects(&self, keys: &[String]) -> Result<HashSet<String>, LakeError> {
        self.known_keys(keys, "SELECT object_key FROM objects WHERE object_key IN ").await
    }

    async fn known_keys(&self, keys: &[String], select: &str) -> Result<HashSet<String>, LakeError> {
        let mut known = HashSet::new();
        for keys in keys.chunks(1000) {
            for sql in [select, "SELECT object_key FROM garbage WHERE object_key IN "] {
                let mut statement = Statement::new(sql);
                statement.tuple(keys.iter().cloned().map(Arg::Text));
                known.extend(self.readers.fetch::<(String,)>(statement).await?.into_iter().map(|r| r.0));
            }
        }
        Ok(known)
    }
}

fn touching() -> Vec<Step> {
    let insert = "INSERT INTO garbage (object_key, size, expires) VALUES ('', 0, 0) ON CONFLICT DO NOTHING";
    [insert, "DELETE FROM garbage WHERE object_key = ''"].map(|sql| Step::Do(Statement::new(sql))).into()
}
