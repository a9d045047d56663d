//! The metadata database: processes, streams, blocks, partitions and keys, and where payloads are stored.
//!
//! SQLite in WAL mode for a lake in a directory, PostgreSQL for a shared one. The SQL is the same.
//!
//! Invariant: `blocks.seq` grows in the order in which blocks become visible, see `write`. That is what lets a partition
//! say by two numbers which blocks it covers.
//! Invariant: a process, a stream or a block that is sent again changes nothing; only retention deletes blocks.

mod announced;
mod blocks;
mod checkpoints;
mod copies;
mod deny_rules;
mod filter;
mod garbage;
mod keys;
mod leases;
mod open;
mod owners;
mod partitions;
mod reading;
mod retention;
mod statement;
mod waiting;
mod write;

pub use announced::ProcessActivity;
pub use blocks::BlockSummary;
pub use deny_rules::DenyRuleRecord;
pub use filter::{BlockFilter, ProcessFilter, StreamFilter};
pub(crate) use keys::KeyRecord;
pub use open::Database;
pub(crate) use owners::check_owners;
pub(crate) use partitions::partition_of_copy;
pub use partitions::{ChainSection, NewPartition, PartitionRecord, PartitionedInstance, SectionBlocks};
pub use retention::ExpiredBlocks;
pub use waiting::UnannouncedLimits;
pub(crate) use waiting::Waiting;
pub(crate) use write::{Commit, CommitBlock, Committed};

use super::files::FileIdentity;
use super::interposer::Interposer;
use super::{Cause, LakeError};
use belvedere_model::{ProcessInfo, StreamInfo};
use lru::LruCache;
use reading::TemporaryCopy;
use statement::{Arg, Readers, Statement, Step, Writer, WritingPool};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Processes and streams that are cached in memory, each. The metadata of a stream takes a few kilobytes.
const CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(2048).unwrap();

/// Where the id of the lake is.
const OWN: i32 = 1;
/// Where the id of the lake is whose rows are being made again.
const TO_BE: i32 = 2;

/// The metadata database of a lake.
#[derive(Debug)]
pub struct Catalog {
    /// For queries and background work.
    readers: Readers,
    /// For ingestion: senders don't wait behind queries.
    intake: Readers,
    writer: Writer,
    /// The file of a SQLite database.
    file: Option<FileIdentity>,
    /// What is read instead of it.
    _copy: Option<TemporaryCopy>,
    processes: Mutex<LruCache<Uuid, Arc<ProcessInfo>>>,
    streams: Mutex<LruCache<Uuid, Arc<StreamInfo>>>,
}

impl Catalog {
    fn new(readers: Readers, intake: Readers, writer: Writer) -> Self {
        Self {
            readers,
            intake,
            writer,
            file: None,
            _copy: None,
            processes: Mutex::new(LruCache::new(CACHE_ENTRIES)),
            streams: Mutex::new(LruCache::new(CACHE_ENTRIES)),
        }
    }

    /// The same with somebody in between.
    pub(crate) fn interposed(mut self, interposer: &Interposer) -> Self {
        for one in [&mut self.readers.interposer, &mut self.intake.interposer, &mut self.writer.interposer] {
            one.clone_from(interposer);
        }
        self
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), LakeError> {
        self.intake.fetch::<(i32,)>(Statement::new("SELECT 1")).await.map(drop)
    }

    /// The id of the lake, if it has one.
    pub(crate) async fn lake_id(&self) -> Result<Option<Uuid>, LakeError> {
        let statement = Statement::new("SELECT lake_id FROM lake_ids WHERE place = 1");
        let rows = self.intake.fetch::<(String,)>(statement).await?;
        let wrong = |e: uuid::Error| LakeError::Corrupt(Cause::new(format!("the id of the lake: {e}"), e));
        rows.first().map(|row| Uuid::try_parse(&row.0).map_err(wrong)).transpose()
    }

    /// Gives the lake an id if it has none.
    pub(crate) async fn set_lake_id(&self, id: Uuid) -> Result<(), LakeError> {
        self.note_id(OWN, id).await
    }

    /// Whether nothing but the rows of that lake is here, and more of them are to come: either it is empty, which is noted, or
    /// that was noted before.
    pub(crate) async fn begins_anew(&self, id: Uuid) -> Result<bool, LakeError> {
        let statement = Statement::new(
            "SELECT (SELECT COUNT(*) FROM objects) + (SELECT COUNT(*) FROM processes) + \
             (SELECT COUNT(*) FROM partitions), (SELECT COUNT(*) FROM lake_ids WHERE place = 2)",
        );
        let rows = self.intake.fetch::<(i64, i64)>(statement).await?;
        let (rows, noted) = rows.first().copied().unwrap_or_default();
        if rows == 0 {
            self.note_id(TO_BE, id).await?;
        }
        Ok(rows == 0 || noted > 0)
    }

    async fn note_id(&self, place: i32, id: Uuid) -> Result<(), LakeError> {
        let mut insert = Statement::new("INSERT INTO lake_ids (place, lake_id) VALUES ");
        insert.tuple([Arg::Small(place), Arg::Text(id.to_string())]).push(" ON CONFLICT DO NOTHING");
        self.writer.transact(vec![Step::Do(insert)]).await.map(drop)
    }

    /// Whether nothing can be changed in the lake from here.
    pub fn is_read_only(&self) -> bool {
        matches!(self.writer.pool(), WritingPool::Nobody)
    }

    /// Whether the database can be written, and is still where it was.
    pub async fn check_writable(&self) -> Result<(), LakeError> {
        self.check_in_place()?;
        self.touch().await
    }

    /// An error if the file of the database was taken away: what is written to it is lost, or not found.
    pub(crate) fn check_in_place(&self) -> Result<(), LakeError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.check()
            .map_err(|e| LakeError::Database(Cause::new(format!("the file of the catalog is gone: {e}"), e)))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.intake.close().await;
        self.writer.close().await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // a cache is consistent after every single operation, so one that panicked did no harm
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
