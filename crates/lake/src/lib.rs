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
//! | `objects`, `record`, `checked_payload` | store the bytes, and read them back with their checksums |
//! | `catalog` | stores the rows |
//! | `recovery` | restores rows that a power cut took |
//! | `copies`, `rebuild` | what outlives a lost catalog, and how it is made again |
//! | `marker` | finds a catalog and a store that don't belong together |
//! | `unannounced` | bounds what waits for its stream or process |
//! | `leftovers` | finds what groups left that were never committed |
//! | `partial_blocks` | blocks whose announcement and payload arrive separately |
//! | `access` | callers, their rights, API keys |
//! | `interposer` | lets tests put faults between a lake and its backends |
//!
//! Invariant: only this crate knows SQL dialects and object keys.
//! Invariant: an acknowledged block survives `kill -9` and a power cut, and is in the next query's answer.

#[cfg(test)]
mod tests;

pub mod access;
mod catalog;
mod checked_payload;
mod commit;
mod connection;
mod copies;
mod error;
mod files;
pub mod ingest;
mod interposer;
mod leftovers;
mod marker;
mod metrics;
mod objects;
mod partial_blocks;
mod progress;
mod rebuild;
mod record;
mod recovery;
mod routes;
mod unannounced;

pub use catalog::{BlockFilter, Catalog, Database, UnannouncedLimits};
// rows of the catalog that only core works with
#[doc(hidden)]
pub use catalog::{
    BlockSummary, ChainSection, DenyRuleRecord, ExpiredBlocks, NewPartition, PartitionRecord,
    PartitionedInstance, ProcessActivity, ProcessFilter, SectionBlocks, StreamFilter,
};
pub use connection::{LakeConnection, LakeOptions, Unwritable};
pub use error::{Cause, LakeError, with_causes};
#[doc(hidden)]
pub use interposer::{CatalogRequest, Interpose, Interposer};
#[doc(hidden)]
pub use leftovers::{Leftover, Leftovers};
#[doc(hidden)]
pub use metrics::MetricGroup;
pub use metrics::Metrics;
pub use objects::ObjectsAddress;
pub use progress::OpenProgress;
pub use routes::Routes;

// plug-ins must build routes with the version that the program serves
pub use axum;
#[doc(hidden)]
pub use belvedere_view as __view;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static belvedere_view::Registration> {
    vec![&ingest::NATIVE_ROUTES]
}
