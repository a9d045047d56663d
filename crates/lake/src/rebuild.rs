//! Makes the rows of a lost catalog again from what is in the store: copies first, then the records, and what follows from
//! both.
//!
//! It begins when an empty database is opened with a store that has the id of a lake. The database gets that id at the end:
//! until then, whoever opens it goes on. What is there already changes nothing.
//!
//! Partitions say by numbers which blocks they cover, so blocks get the numbers that they had. Blocks whose numbers were not
//! copied yet get new ones, behind all others. No partition of these is taken: it is made again.

use super::catalog::{Catalog, Commit, CommitBlock, partition_of_copy};
use super::copies::{NUMBERS_FOLDER, ROWS, decode_numbers};
use super::record::{Entry, NUMBERS, PARTITION, Records};
use super::{LakeError, OpenProgress, PartitionRecord};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// The folder of record objects.
const RECORDS: &str = "records";
/// The folder of files of partitions.
const FILES: &str = "partitions";
/// Objects that are fetched at once.
const AT_ONCE: usize = 8;

/// A catalog whose announcements are there again, and whose blocks are to come.
pub(super) struct Rebuild {
    partitions: Vec<PartitionRecord>,
    /// The last number that was copied.
    last_number: i64,
}

impl Rebuild {
    /// Adds what was announced, and sees to it that blocks get no number that others had.
    pub(super) async fn begin(catalog: &Catalog, store: &Arc<dyn ObjectStore>) -> Result<Self, LakeError> {
        let mut this = Self { partitions: Vec::new(), last_number: 0 };
        let mut objects = fetch(store, keys(store, ROWS).await?);
        while let Some((key, bytes)) = objects.try_next().await? {
            let Contents { commit, others, .. } = read(&key, bytes);
            for (kind, body) in others {
                if kind == PARTITION {
                    match partition_of_copy(&body) {
                        Ok(partition) => this.partitions.push(partition),
                        Err(e) => tracing::error!(object = key, "a partition can't be read back: {e}"),
                    }
                }
            }
            let processes: Vec<Uuid> = commit.processes.iter().map(|p| p.process_id).collect();
            let streams: Vec<Uuid> = commit.streams.iter().map(|s| s.stream_id).collect();
            catalog.commit(&Commit { blocks: Vec::new(), ..commit }).await?;
            catalog.mark_saved(&processes, &streams, &[]).await?;
        }
        let mut objects = fetch(store, keys(store, NUMBERS_FOLDER).await?);
        while let Some((key, bytes)) = objects.try_next().await? {
            let last = numbers(&key, bytes).into_iter().map(|(_, seq)| seq).max();
            this.last_number = this.last_number.max(last.unwrap_or(0));
        }
        let last_covered = this.partitions.iter().map(|p| p.content.seqs.end).max().unwrap_or(0);
        catalog.number_after(this.last_number.max(last_covered)).await?;
        Ok(this)
    }

    /// When the blocks are there: gives them the numbers that they had, and adds the partitions whose files are there.
    pub(super) async fn finish(
        mut self,
        catalog: &Catalog,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<(), LakeError> {
        let mut objects = fetch(store, keys(store, NUMBERS_FOLDER).await?);
        while let Some((key, bytes)) = objects.try_next().await? {
            catalog.renumber(&numbers(&key, bytes)).await?;
        }
        catalog.set_saved_numbers(self.last_number).await?;
        let files = store.list(Some(&FILES.into())).map_ok(|file| (file.location.to_string(), file.size));
        let files: HashMap<String, u64> = files.try_collect().await?;
        // one that replaced others came later than these, and covers the same blocks: then these are refused
        self.partitions.sort_by_key(|p| std::cmp::Reverse(p.partition_id));
        let mut added = 0;
        for partition in self.partitions {
            let p = &partition.content;
            let size = p.file_key.as_ref().and_then(|key| files.get(key));
            if size.is_some_and(|size| *size as i64 == p.file_size)
                && p.seqs.end <= self.last_number
                && catalog.publish(p, &[], 0).await?
            {
                added += 1;
            }
        }
        tracing::warn!("recovered {added} partitions into the catalog");
        Ok(())
    }
}

/// Adds what is in the record objects of a store in which objects are never changed. Returns how many blocks.
pub(super) async fn records(
    catalog: &Catalog,
    store: &Arc<dyn ObjectStore>,
    progress: &OpenProgress,
) -> Result<u64, LakeError> {
    let keys = keys(store, RECORDS).await?;
    progress.expect(keys.len() as u64);
    let mut added = 0;
    let mut objects = fetch(store, keys);
    while let Some((key, bytes)) = objects.try_next().await? {
        let Contents { commit, is_damaged, .. } = read(&key, bytes);
        progress.add_blocks(commit.blocks.len() as u64);
        // retention deletes only what is marked, and who puts a damaged one back can have the rest
        let commit = Commit { seals: !is_damaged, ..commit };
        added += catalog.commit(&commit).await?.added;
        progress.object_done();
    }
    Ok(added)
}

/// The keys of a folder, in the order of time.
async fn keys(store: &Arc<dyn ObjectStore>, folder: &str) -> Result<Vec<String>, LakeError> {
    let objects = store.list(Some(&folder.into())).map_ok(|object| object.location.to_string());
    let mut keys: Vec<String> = objects.try_collect().await?;
    keys.sort_unstable();
    Ok(keys)
}

/// The objects in that order; those that were deleted since they were listed are left out.
fn fetch(
    store: &Arc<dyn ObjectStore>,
    keys: Vec<String>,
) -> stream::BoxStream<'static, Result<(String, Bytes), LakeError>> {
    let store = store.clone();
    let objects = stream::iter(keys).map(move |key| {
        let store = store.clone();
        async move {
            match store.get(&key.as_str().into()).await {
                Ok(object) => Ok(Some((key, object.bytes().await?))),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(LakeError::from(e)),
            }
        }
    });
    objects.buffered(AT_ONCE).try_filter_map(|object| std::future::ready(Ok(object))).boxed()
}

/// What an object adds.
struct Contents {
    commit: Commit,
    /// Records of other kinds.
    others: Vec<(u8, Bytes)>,
    is_damaged: bool,
}

fn read(key: &str, bytes: Bytes) -> Contents {
    let mut commit = Commit { object_key: key.to_owned(), is_new_object: true, ..Commit::default() };
    let length = bytes.len();
    let mut records = Records::new(bytes, 0);
    let mut is_damaged = false;
    for record in records.by_ref() {
        match record {
            Ok((Entry::Process(p), _)) => commit.processes.push(p),
            Ok((Entry::Stream(s), _)) => commit.streams.push(s),
            Ok((Entry::Block(b), offset)) => commit.blocks.push(CommitBlock { info: b.info, offset }),
            Err(e) => {
                tracing::error!(object = key, "a record can't be read back: {e}");
                is_damaged = true;
            }
        }
    }
    // such an object came into the store as a whole, or not at all
    if records.end() < length {
        tracing::error!(object = key, "it is damaged from byte {} on", records.end());
        is_damaged = true;
    }
    Contents { commit, others: records.into_others(), is_damaged }
}

fn numbers(key: &str, bytes: Bytes) -> Vec<(Uuid, i64)> {
    let others = read(key, bytes).others.into_iter().filter(|(kind, _)| *kind == NUMBERS);
    others.flat_map(|(_, body)| decode_numbers(&body)).collect()
}
