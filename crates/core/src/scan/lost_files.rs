//! Files of partitions that are not there, or not as long as they should be. A query is told before it is planned, and decodes
//! their blocks instead; who makes partitions makes them anew.

use super::{Instance, ScanContext};
use belvedere_lake::{LakeError, PartitionRecord};
use futures::{StreamExt, stream};
use lru::LruCache;
use object_store::ObjectStoreExt;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Files that are looked for at once.
const AT_ONCE: usize = 32;
/// A file of a remote store that was there is taken to be there for so long: each look is a request.
const TRUSTED: Duration = Duration::from_secs(60);
/// Files of which it is known when they were there.
const KNOWN: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// When files were seen last.
#[derive(Debug)]
pub(crate) struct SeenFiles(Mutex<LruCache<i64, Instant>>);

impl Default for SeenFiles {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN)))
    }
}

impl SeenFiles {
    fn lock(&self) -> MutexGuard<'_, LruCache<i64, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a partition's file is as the catalog says. That it can't be looked at is an error.
pub(crate) async fn file_is_whole(
    context: &ScanContext,
    partition: &PartitionRecord,
) -> Result<bool, object_store::Error> {
    let p = &partition.content;
    let Some(key) = &p.file_key else { return Ok(p.row_count == 0) };
    match context.connection().store().head(&key.as_str().into()).await {
        Ok(file) => Ok(file.size as i64 == p.file_size),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Which of these partitions a query has to do without, by their ids. Those whose blocks were deleted are not among them:
/// without them the answer would lack rows and not say so.
pub(super) async fn lost_files(
    instance: &Instance,
    context: &ScanContext,
    partitions: &[PartitionRecord],
) -> Result<HashSet<i64>, LakeError> {
    let seen = &context.lake.seen_files;
    let is_trusted = |partition: &PartitionRecord| {
        !context.connection().has_local_files()
            && seen.lock().get(&partition.partition_id).is_some_and(|at| at.elapsed() < TRUSTED)
    };
    let unknown: Vec<PartitionRecord> =
        partitions.iter().filter(|p| p.content.row_count > 0 && !is_trusted(p)).cloned().collect();
    let mut looks = stream::iter(unknown)
        .map(|partition| async move {
            let is_whole = file_is_whole(context, &partition).await;
            (partition, is_whole)
        })
        .buffer_unordered(AT_ONCE)
        .boxed();
    let mut lost = HashSet::new();
    while let Some((partition, is_whole)) = looks.next().await {
        let id = partition.partition_id;
        match is_whole {
            Ok(true) => {
                seen.lock().put(id, Instant::now());
            }
            Ok(false) => {
                let blocks = instance.blocks_of(&partition.content);
                let catalog = context.connection().catalog();
                if catalog.summary(&blocks).await?.blocks < partition.content.block_count {
                    continue;
                }
                let file = partition.content.file_key.as_deref().unwrap_or_default();
                tracing::error!(
                    partition = id,
                    file,
                    "the file of a partition is missing or cut short: its blocks are decoded instead"
                );
                if let Err(e) = catalog.mark_file_lost(id, true).await {
                    tracing::warn!(partition = id, "that its file is lost could not be noted: {e}");
                }
                lost.insert(id);
            }
            // reading it will say more
            Err(_) => {}
        }
    }
    Ok(lost)
}
