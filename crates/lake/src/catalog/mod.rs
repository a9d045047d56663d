//! The metadata database: which processes, streams and blocks there are, and where payloads lie.
//!
//! SQLite in WAL mode for a lake in a directory, PostgreSQL for a shared one; the SQL is the same. Writers
//! take turns (SQLite's write lock, an advisory lock in PostgreSQL), so that `blocks.seq` grows in the order
//! in which blocks become visible: a reader that has seen `seq` n will never see a smaller one appear. A block
//! that comes before its stream or its process waits in a table of its own, and gets its `seq` when both are
//! there. That is what lets a partition say which blocks it covers by two numbers.
//!
//! Invariant: a process, a stream or a block that is sent again changes nothing; only retention takes away.

mod announced;
mod blocks;
mod denials;
mod filter;
mod garbage;
mod keys;
mod open;
mod partitions;
mod retention;
mod statement;
mod write;

pub use announced::ProcessActivity;
pub use blocks::BlockSummary;
pub use denials::DenialRecord;
pub use filter::{BlockFilter, ProcessFilter, StreamFilter};
pub use keys::KeyRecord;
pub use open::Database;
pub use partitions::{ChainSection, CoveredRange, NewPartition, PartitionRecord, SectionBlocks};
pub use retention::ExpiredBlocks;
pub(crate) use write::{Commit, CommitBlock};

use super::LakeError;
use belvedere_model::{ProcessInfo, StreamInfo};
use lru::LruCache;
use statement::{Readers, Statement, Writer};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Processes and streams that are kept in memory. A stream's metadata takes some kilobytes.
const CACHED: NonZeroUsize = NonZeroUsize::new(2048).unwrap();

/// The metadata database of a lake.
#[derive(Debug)]
pub struct Catalog {
    /// What queries and background work read by.
    readers: Readers,
    /// What is read to take blocks: senders don't wait behind queries.
    intake: Readers,
    writer: Writer,
    processes: Mutex<LruCache<Uuid, Arc<ProcessInfo>>>,
    streams: Mutex<LruCache<Uuid, Arc<StreamInfo>>>,
}

impl Catalog {
    fn new(readers: Readers, intake: Readers, writer: Writer) -> Self {
        Self {
            readers,
            intake,
            writer,
            processes: Mutex::new(LruCache::new(CACHED)),
            streams: Mutex::new(LruCache::new(CACHED)),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), LakeError> {
        self.intake.fetch::<(i32,)>(Statement::new("SELECT 1")).await.map(drop)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.intake.close().await;
        self.writer.close().await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // a cache is whole after every single operation on it
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
