//! An open lake: the value that all other code shares.

use super::catalog::{Catalog, UnannouncedLimits};
use super::checked_payload::checked_payload;
use super::commit::Committer;
use super::ingest::Reservation;
use super::interposer::Interposer;
use super::objects::Objects;
use super::rebuild::Rebuild;
use super::record::{Entry, check_records};
use super::unannounced::UnannouncedBlocks;
use super::{Cause, Database, LakeError, Metrics, ObjectsAddress, OpenProgress, marker, rebuild, recovery};
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockRecord, ProcessInfo, StreamInfo};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Address of a lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeOptions {
    /// The metadata database.
    pub database: Database,
    /// The object store.
    pub objects: ObjectsAddress,
    /// How many blocks may wait for their stream or their process.
    pub unannounced: UnannouncedLimits,
    /// Tells how far opening is.
    pub progress: OpenProgress,
    /// Who stands between the lake and its backends, in tests.
    #[doc(hidden)]
    pub interposer: Interposer,
}

impl LakeOptions {
    /// SQLite and files under one directory.
    pub fn directory(path: &Path) -> Self {
        Self {
            database: Database::Sqlite(path.join("catalog.sqlite")),
            objects: ObjectsAddress::Directory(path.to_owned()),
            unannounced: UnannouncedLimits::default(),
            progress: OpenProgress::default(),
            interposer: Interposer::default(),
        }
    }

    /// Everything in memory.
    pub fn in_memory() -> Self {
        Self {
            database: Database::Memory,
            objects: ObjectsAddress::Memory,
            unannounced: UnannouncedLimits::default(),
            progress: OpenProgress::default(),
            interposer: Interposer::default(),
        }
    }
}

/// A part of a lake that can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unwritable {
    /// The metadata database.
    Catalog,
    /// The object store.
    Objects,
}

impl std::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Catalog => "the catalog can't be written",
            Self::Objects => "the object store can't be written",
        })
    }
}

/// An open lake: blocks and their metadata. Views and SQL are added by `belvedere-core`.
#[derive(Debug)]
pub struct LakeConnection {
    catalog: Arc<Catalog>,
    objects: Arc<Objects>,
    store: Arc<dyn ObjectStore>,
    committer: Committer,
    unannounced: UnannouncedBlocks,
    metrics: Arc<Metrics>,
}

impl LakeConnection {
    /// Opens a lake, creating it if it does not exist, and restores what a power cut took from the catalog.
    pub async fn open(options: &LakeOptions) -> Result<Arc<Self>, LakeError> {
        Self::open_with(options, true).await
    }

    /// Opens a lake that a server of this program has open: restoring is the server's business.
    pub async fn open_beside(options: &LakeOptions) -> Result<Arc<Self>, LakeError> {
        Self::open_with(options, false).await
    }

    async fn open_with(options: &LakeOptions, does_recover: bool) -> Result<Arc<Self>, LakeError> {
        if let Database::Sqlite(path) = &options.database
            && let Some(parent) = path.parent()
        {
            std::fs::create_dir_all(parent).map_err(|e| {
                LakeError::Address(Cause::new(format!("making {}: {e}", parent.display()), e))
            })?;
        }
        let objects = Objects::open(&options.objects, &options.interposer)?;
        let is_relaxed = matches!((&options.database, &objects), (Database::Sqlite(_), Objects::Local(_)));
        let catalog = Catalog::open(&options.database, is_relaxed).await?.interposed(&options.interposer);
        let store = objects.store()?;
        let lost = match options.objects {
            ObjectsAddress::Memory => None,
            _ => marker::check(&catalog, &store).await?,
        };
        let mut rebuilt = None;
        if lost.is_some() && does_recover {
            tracing::warn!(
                "the catalog is new and the lake is not: its rows are made again from its objects"
            );
            rebuilt = Some(Rebuild::begin(&catalog, &store).await?);
            if let Objects::Remote(_) = &objects {
                let blocks = rebuild::records(&catalog, &store, &options.progress).await?;
                tracing::warn!("recovered {blocks} blocks into the catalog");
            }
        }
        if catalog.is_read_only() {
            tracing::info!("the lake can only be read from here");
        }
        if let Objects::Local(local) = &objects
            && (is_relaxed || lost.is_some())
            && does_recover
            && !catalog.is_read_only()
        {
            let recovered = recovery::recover(&catalog, local, &options.progress).await?;
            if recovered.blocks > 0 {
                tracing::warn!("recovered {} blocks into the catalog", recovered.blocks);
            }
            if recovered.empty_files > 0 {
                tracing::info!("deleted {} record files that never got a record", recovered.empty_files);
            }
        }
        if let (Some(id), Some(rebuilt)) = (lost, rebuilt) {
            rebuilt.finish(&catalog, &store).await?;
            catalog.set_lake_id(id).await?;
        }
        let (catalog, objects, metrics) =
            (Arc::new(catalog), Arc::new(objects), Arc::new(Metrics::default()));
        let unannounced =
            UnannouncedBlocks::new(catalog.clone(), metrics.clone(), options.unannounced.clone());
        Ok(Arc::new(Self {
            committer: Committer::start(
                catalog.clone(),
                objects.clone(),
                metrics.clone(),
                unannounced.clone(),
            )?,
            unannounced,
            store,
            catalog,
            objects,
            metrics,
        }))
    }

    /// Adds a process. It is durable and visible when this returns. Does nothing if it exists.
    pub async fn insert_process(&self, process: ProcessInfo) -> Result<(), LakeError> {
        self.insert(vec![Entry::Process(Arc::new(process))], None).await
    }

    /// Adds a stream. It is durable and visible when this returns. Does nothing if it exists.
    pub async fn insert_stream(&self, stream: StreamInfo) -> Result<(), LakeError> {
        self.insert(vec![Entry::Stream(Arc::new(stream))], None).await
    }

    /// Adds a block. It is durable when this returns, and visible as soon as its stream and its process are. Does nothing
    /// if it exists.
    pub async fn insert_block(&self, block: BlockRequest) -> Result<(), LakeError> {
        self.insert(vec![Entry::Block(block)], None).await
    }

    /// Adds entries. If it fails, some of a large request may have become visible; sending it again adds the rest. `reserved`
    /// is released when they are no longer in memory.
    pub(crate) async fn insert(
        &self,
        entries: Vec<Entry>,
        reserved: Option<Reservation>,
    ) -> Result<(), LakeError> {
        self.committer.submit(entries, reserved).await
    }

    /// The metadata database.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The lake's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The payload of a block as it was stored: the checksum of its record is right.
    pub async fn payload(&self, block: &BlockRecord) -> Result<Bytes, LakeError> {
        let end = block.payload_offset.saturating_add(block.info.payload_size.max(0) as u64);
        checked_payload(&self.objects, &block.object_key, block.payload_offset..end).await
    }

    /// Reads a whole object: its size, how many records have a right checksum, and where there are none in between. What a
    /// writer that died left at the end is not damage.
    pub async fn damaged_records(&self, key: &str) -> Result<(u64, u64, Vec<Range<u64>>), LakeError> {
        let bytes = self.objects.read(key, 0..u64::MAX, 0).await?;
        let last_block = self.catalog.end_of_blocks(key).await?;
        let size = bytes.len() as u64;
        let checked = tokio::task::spawn_blocking(move || check_records(&bytes));
        let (records, mut damaged) = checked.await.map_err(|e| {
            LakeError::Objects(Cause::new(format!("a thread that checked {key} ended early: {e}"), e))
        })?;
        damaged.retain(|range| range.end < size || range.start < last_block);
        Ok((size, records, damaged))
    }

    /// The object store of the lake, its keys relative to the lake's root.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether objects are files of this machine.
    pub fn has_local_files(&self) -> bool {
        matches!(&*self.objects, Objects::Local(_))
    }

    /// Waits until a file that was put into the store survives a power cut.
    pub async fn make_durable(&self, key: &str) -> Result<(), LakeError> {
        self.objects.make_durable(key).await
    }

    /// Deletes what unfinished uploads left under `prefix` before `before`.
    pub async fn delete_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, LakeError> {
        self.objects.delete_unfinished(prefix, before).await
    }

    /// Deletes objects. Objects that don't exist are no error.
    pub async fn delete(&self, keys: &[String]) -> Result<(), LakeError> {
        for key in keys {
            match self.store.delete(&key.as_str().into()).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Whether nothing can be changed in the lake from here: its directory can't be written.
    pub fn is_read_only(&self) -> bool {
        self.catalog.is_read_only()
    }

    /// Checks that the database and the object store respond.
    pub async fn ping(&self) -> Result<(), LakeError> {
        tokio::try_join!(self.catalog.ping(), self.objects.ping()).map(drop)
    }

    /// What of the lake can't be written now, each with the reason. Writes a little to find out.
    pub async fn check_writable(&self) -> Vec<(Unwritable, LakeError)> {
        let (catalog, objects) = tokio::join!(self.catalog.check_writable(), self.objects.check_writable());
        let catalog = catalog.err().map(|e| (Unwritable::Catalog, e));
        let objects = objects.err().map(|e| (Unwritable::Objects, e));
        catalog.into_iter().chain(objects).collect()
    }

    /// Drops blocks that wait for their stream or their process for too long, or since too many do. Returns how many.
    pub async fn drop_unannounced(&self) -> Result<u64, LakeError> {
        self.unannounced.drop_oldest().await
    }

    /// Records that a block could not be read, for `block_faults()`. Returns whether it is recorded.
    pub async fn record_fault(
        &self,
        block_id: uuid::Uuid,
        view_set: &str,
        reason: &str,
        may_pass: bool,
    ) -> bool {
        let now = belvedere_model::time::now();
        if self.is_read_only() {
            return false;
        }
        let recorded = self.catalog.record_fault(block_id, view_set, reason, may_pass, now).await;
        if let Err(e) = &recorded {
            tracing::warn!(%block_id, view_set, "the fault of a block could not be recorded: {e}");
        }
        recorded.is_ok()
    }

    /// Finishes the requests under way, then closes. Dropping a lake without closing it loses nothing that was acknowledged;
    /// the next start then reads the last object once more.
    pub async fn close(&self) {
        self.committer.close().await;
        if let Some(key) = self.objects.close().await
            && let Err(e) = self.catalog.seal(std::slice::from_ref(&key)).await
        {
            tracing::warn!(object = key, "could not be marked as complete: {e}");
        }
        self.catalog.close().await;
    }
}
