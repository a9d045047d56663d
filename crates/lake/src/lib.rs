//! The lake: durable storage of processes, streams and blocks. It consists of a metadata database, the *catalog*, and an
//! object store that holds payloads.
//!
//! Ingestion takes the same path with all backends. Requests that wait together form a group. The group's records are
//! written to an object and made durable, then one transaction makes them visible, then each sender gets its answer.
//! Records are the complete requests, so the rows of the catalog can be restored from the objects. That is what lets
//! SQLite commit without a disk sync of its own when objects are local files.
//!
//! | module | what it does |
//! | --- | --- |
//! | `ingest` | receives requests, checks them, and reserves memory for them |
//! | `commit` | groups requests and makes them durable and visible |
//! | `objects`, `record` | store the bytes |
//! | `catalog` | stores the rows |
//! | `recovery` | restores rows that a power cut took |
//! | `partial_blocks` | blocks whose announcement and payload arrive separately |
//! | `access` | callers, their rights, API keys |
//!
//! Invariant: only this crate knows SQL dialects and object keys.
//! Invariant: an acknowledged block survives `kill -9` and a power cut, and is in the next query's answer.

#[cfg(test)]
mod tests;

pub mod access;
mod catalog;
mod commit;
mod connection;
mod error;
pub mod ingest;
mod metrics;
mod objects;
mod partial_blocks;
mod record;
mod recovery;
mod routes;

pub use catalog::{
    BlockFilter, BlockSummary, Catalog, ChainSection, Database, DenyRuleRecord, ExpiredBlocks, NewPartition,
    PartitionRecord, PartitionedInstance, ProcessActivity, ProcessFilter, SectionBlocks, StreamFilter,
};
pub use connection::{LakeConnection, LakeOptions};
pub use error::{Cause, LakeError, with_causes};
pub use metrics::{MetricGroup, Metrics};
pub use objects::ObjectsAddress;
pub use routes::Routes;

// plug-ins must build routes with the version that the program serves
pub use axum;
#[doc(hidden)]
pub use belvedere_view as __view;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static belvedere_view::Registration> {
    vec![&ingest::NATIVE_ROUTES]
}

use thiserror::Error;

/// What can go wrong with a lake: never the fault of who sends or asks.
#[derive(Debug, Error, Clone)]
pub enum LakeError {
    /// The address of a database or of an object store is not usable.
    #[error("{0}")]
    Address(String),
    /// The metadata database failed; trying again may help.
    #[error("metadata database: {0}")]
    Database(String),
    /// The metadata database does not take what it was given: trying again is no use.
    #[error("metadata database: {0}")]
    Refused(String),
    /// The object store or the disk failed; trying again may help.
    #[error("object store: {0}")]
    Objects(String),
    /// What is stored is not what was stored.
    #[error("the lake is damaged: {0}")]
    Corrupt(String),
    /// The lake is being closed.
    #[error("the lake is closing")]
    Closed,
}

impl From<sqlx::Error> for LakeError {
    fn from(e: sqlx::Error) -> Self {
        let code = e.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        // SQLite: too big, constraint, mismatch; PostgreSQL: data exceptions, constraints, limits
        let is_about_data = matches!(code.as_ref(), "18" | "19" | "20")
            || (code.len() == 5 && ["22", "23", "54"].iter().any(|class| code.starts_with(class)));
        if is_about_data { Self::Refused(e.to_string()) } else { Self::Database(e.to_string()) }
    }
}

impl From<sqlx::migrate::MigrateError> for LakeError {
    fn from(e: sqlx::migrate::MigrateError) -> Self {
        Self::Database(format!("the schema could not be brought up to date: {e}"))
    }
}

impl From<object_store::Error> for LakeError {
    fn from(e: object_store::Error) -> Self {
        match e {
            object_store::Error::NotFound { path, .. } => Self::Corrupt(format!("object {path} is missing")),
            e => Self::Objects(e.to_string()),
        }
    }
}
