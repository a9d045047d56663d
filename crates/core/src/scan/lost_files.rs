//! Files of partitions that are not there, not as long as they should be, or damaged. A query is told before it is planned, and
//! decodes their blocks instead; who makes partitions makes them anew. That a file is damaged is found out by who reads it.

use super::file_sums::{CHUNK, FileSums};
use super::{Instance, ScanContext};
use belvedere_lake::{LakeError, PartitionRecord};
use bytes::Bytes;
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
/// A file that was read through is not read through again for so long.
const WHOLE_FOR: Duration = Duration::from_secs(24 * 3600);
/// Files of which it is known when they were there.
const KNOWN: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// Bytes of a file that are checked at once: chunks as checksums are of.
const PIECE: u64 = 128 * CHUNK;

/// What was seen of files last.
#[derive(Debug)]
pub(crate) struct SeenFiles(Mutex<LruCache<i64, Seen>>);

#[derive(Debug, Clone, Copy)]
enum Seen {
    /// It was there.
    At(Instant),
    /// It was there, and all of its checksums were right.
    Whole(Instant),
    /// It was not there, or damaged, and the catalog could not be told.
    Lost,
}

impl Default for SeenFiles {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KNOWN)))
    }
}

impl SeenFiles {
    fn lock(&self) -> MutexGuard<'_, LruCache<i64, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeenFiles {
    /// Whether all of a file was read a while ago, and was as it should be.
    pub(crate) fn is_known_whole(&self, partition_id: i64) -> bool {
        matches!(self.lock().get(&partition_id), Some(Seen::Whole(at)) if at.elapsed() < WHOLE_FOR)
    }

    /// Notes that.
    pub(crate) fn note_whole(&self, partition_id: i64) {
        self.lock().put(partition_id, Seen::Whole(Instant::now()));
    }
}

/// Whether a partition's file is there and as long as it should be. That it can't be looked at is an error.
pub(super) async fn file_is_whole(
    context: &ScanContext,
    partition: &PartitionRecord,
) -> Result<bool, object_store::Error> {
    Ok(what_is_wrong_with_file(context, partition, false).await?.is_none())
}

/// What is wrong with a partition's file; `None` if nothing is. Its contents are only read if they have checksums, and if
/// `reads_all`. That it can't be looked at is an error.
pub(crate) async fn what_is_wrong_with_file(
    context: &ScanContext,
    partition: &PartitionRecord,
    reads_all: bool,
) -> Result<Option<String>, object_store::Error> {
    let p = &partition.content;
    let Some(key) = &p.file_key else {
        return Ok((p.row_count > 0).then(|| format!("{} rows, but no file", p.row_count)));
    };
    let (store, path) = (context.connection().store(), key.as_str().into());
    let missing = || Ok(Some("the file is missing".to_owned()));
    let size = match store.head(&path).await {
        Ok(file) if file.size as i64 == p.file_size => file.size,
        Ok(file) => return Ok(Some(format!("the file has {} bytes instead of {}", file.size, p.file_size))),
        Err(object_store::Error::NotFound { .. }) => return missing(),
        Err(e) => return Err(e),
    };
    let sums = p.sums.and_then(|sums| FileSums::of_record(sums, size)).filter(|_| reads_all);
    let Some(sums) = sums else { return Ok(None) };
    // the end first: it has the checksums of all before
    let ends = std::iter::once(sums.at..size);
    let pieces = (0..sums.at).step_by(PIECE as usize).map(|begin| begin..(begin + PIECE).min(sums.at));
    let mut table = Bytes::new();
    for piece in ends.chain(pieces) {
        let bytes = match store.get_range(&path, piece.clone()).await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return missing(),
            Err(e) => return Err(e),
        };
        if let Err(what) = sums.check(piece.start, &bytes, &table) {
            return Ok(Some(format!("the file is damaged: {what}")));
        }
        if piece.start == sums.at {
            table = bytes;
        }
    }
    Ok(None)
}

/// Sees to it that no query uses a partition's file any more, and that it is made again. Returns `false`, and notes nothing, if
/// blocks of it were deleted: without it answers would lack rows and not say so.
pub(super) async fn note_lost(
    instance: &Instance,
    context: &ScanContext,
    partition: &PartitionRecord,
    what: &str,
) -> Result<bool, LakeError> {
    let id = partition.partition_id;
    let file = partition.content.file_key.as_deref().unwrap_or_default();
    if !has_all_blocks(instance, context, partition).await? {
        tracing::error!(partition = id, file, "a partition's file is lost, and so were its blocks: {what}");
        return Ok(false);
    }
    tracing::error!(
        partition = id,
        file,
        "a partition's file is lost: its blocks are decoded instead, until it is made again: {what}"
    );
    if let Err(e) = context.connection().catalog().mark_file_lost(id, true).await {
        tracing::warn!(partition = id, "that its file is lost could not be noted: {e}");
        context.lake.seen_files.lock().put(id, Seen::Lost);
    }
    Ok(true)
}

async fn has_all_blocks(
    instance: &Instance,
    context: &ScanContext,
    partition: &PartitionRecord,
) -> Result<bool, LakeError> {
    let blocks = instance.blocks_of(&partition.content);
    let there = context.connection().catalog().summary(&blocks).await?.blocks;
    Ok(there >= partition.content.block_count)
}

/// Which of these partitions a query has to do without, by their ids. Those whose blocks were deleted are not among them:
/// without them the answer would lack rows and not say so.
pub(super) async fn lost_files(
    instance: &Instance,
    context: &ScanContext,
    partitions: &[PartitionRecord],
) -> Result<HashSet<i64>, LakeError> {
    let seen = &context.lake.seen_files;
    let mut lost = HashSet::new();
    let mut unknown = Vec::new();
    for partition in partitions.iter().filter(|p| p.content.row_count > 0) {
        let id = partition.partition_id;
        let last = seen.lock().get(&id).copied();
        match last {
            // somebody looked, and looks again when it is made again
            _ if partition.is_file_lost => {
                if has_all_blocks(instance, context, partition).await? {
                    lost.insert(id);
                }
            }
            Some(Seen::Lost) => {
                lost.insert(id);
            }
            Some(Seen::At(at) | Seen::Whole(at))
                if !context.connection().has_local_files() && at.elapsed() < TRUSTED => {}
            _ => unknown.push(partition.clone()),
        }
    }
    let mut looks = stream::iter(unknown)
        .map(|partition| async move {
            let is_whole = file_is_whole(context, &partition).await;
            (partition, is_whole)
        })
        .buffer_unordered(AT_ONCE)
        .boxed();
    while let Some((partition, is_whole)) = looks.next().await {
        let id = partition.partition_id;
        match is_whole {
            Ok(true) if seen.is_known_whole(id) => {}
            Ok(true) => {
                seen.lock().put(id, Seen::At(Instant::now()));
            }
            Ok(false) => {
                if note_lost(instance, context, &partition, "it is missing or cut short").await? {
                    lost.insert(id);
                }
            }
            // reading it will say more
            Err(_) => {}
        }
    }
    Ok(lost)
}
