//! Files that nothing refers to: those whose time has come, and those that a crash left behind.

use super::builder::PartitionBuilder;
use super::file::FOLDER;
use crate::error::Result;
use belvedere_lake::Leftovers;
use futures::TryStreamExt;
use futures::stream::StreamExt;
use std::time::{Duration, SystemTime};

/// Files of one step.
const STEP: usize = 500;
/// A file that nothing refers to may be about to be published: younger ones are left alone.
const YOUNG: Duration = Duration::from_secs(3600);

/// A file that no row of the catalog refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) is_young: bool,
}

/// A half of a block waits so long for its other half.
const WAITS: Duration = Duration::from_secs(7 * 24 * 3600);

fn ago(duration: Duration) -> SystemTime {
    let now = Duration::from_nanos(belvedere_model::time::now().max(0) as u64);
    SystemTime::UNIX_EPOCH + now.saturating_sub(duration)
}

impl PartitionBuilder {
    /// Deletes what is to be deleted. Returns how many files.
    pub(crate) async fn sweep(&self) -> Result<u64> {
        // first: what is deleted may have what nothing else has
        self.scan.connection().save_copies().await?;
        self.scan.connection().delete_old_numbers().await?;
        let mut deleted = self.delete_garbage().await?;
        let orphans: Vec<String> =
            self.orphans().await?.into_iter().filter(|o| !o.is_young).map(|o| o.key).collect();
        if !orphans.is_empty() {
            tracing::warn!(files = orphans.len(), "deleting files that were never published");
        }
        self.scan.connection().delete(&orphans).await?;
        deleted += orphans.len() as u64;
        deleted += self.scan.connection().delete_unfinished(FOLDER, ago(YOUNG)).await?;
        deleted += self.scan.connection().delete_partial_blocks(ago(WAITS)).await?;
        self.scan.connection().drop_unannounced().await?;
        let leftovers = self.scan.connection().leftovers(Leftovers::Recent).await?;
        if !leftovers.is_empty() {
            tracing::warn!(objects = leftovers.len(), "deleting objects of groups that were never committed");
            deleted += self.scan.connection().delete_leftovers(&leftovers).await?;
        }
        Ok(deleted)
    }

    async fn delete_garbage(&self) -> Result<u64> {
        let now = belvedere_model::time::now();
        if self.catalog().garbage(now, "", 1).await?.is_empty() {
            return Ok(0);
        }
        // an earlier state of the catalog, back after a power cut, must not refer to what is deleted now
        self.catalog().sync().await?;
        let mut deleted = 0;
        loop {
            let garbage = self.catalog().garbage(now, "", STEP as u32).await?;
            if garbage.is_empty() {
                return Ok(deleted);
            }
            let keys: Vec<String> = garbage.into_iter().map(|g| g.object_key).collect();
            self.scan.connection().delete(&keys).await?;
            self.catalog().forget_garbage(&keys).await?;
            deleted += keys.len() as u64;
        }
    }

    /// Files under the folder of partitions that no row refers to.
    pub(crate) async fn orphans(&self) -> Result<Vec<Orphan>> {
        let store = self.scan.connection().store();
        let young = chrono::DateTime::<chrono::Utc>::from(ago(YOUNG));
        let mut pages = store.list(Some(&FOLDER.into())).try_chunks(STEP).boxed();
        let mut orphans = Vec::new();
        while let Some(files) = pages.next().await {
            let files = files.map_err(|e| e.1)?;
            let keys: Vec<String> = files.iter().map(|f| f.location.to_string()).collect();
            let known = self.catalog().known_files(&keys).await?;
            orphans.extend(
                files.iter().zip(keys).filter(|(_, key)| !known.contains(key)).map(|(file, key)| Orphan {
                    key,
                    size: file.size,
                    is_young: file.last_modified > young,
                }),
            );
        }
        Ok(orphans)
    }
}
