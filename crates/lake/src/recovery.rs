//! Restores catalog rows that a power cut took.
//!
//! With local objects SQLite commits without a disk sync (`synchronous = NORMAL`). A second sync for each group, of the
//! catalog, would only repeat the first: the objects are synced already, and they hold everything that the rows say.
//! The price is paid here. After a power cut the last transactions may be missing from the catalog, so whoever opens the
//! lake reads the objects that may have such rows, and adds what is missing. After a mere `kill -9` nothing is missing,
//! since the pages are in the kernel's cache.
//!
//! Which objects may have such rows: those that are not marked as *sealed* in the catalog. The mark is written in a
//! transaction that is synced, after the last append. SQLite's log is sequential, so a mark that survived means that
//! all commits before it survived too, and an object is never read again. Without marks every start would read the
//! whole lake.
//!
//! An object that another live process still appends to is not read: its writer holds an advisory lock, and its rows
//! are that process's business. The kernel drops the lock when a process dies, however it dies, which is why this is
//! a lock and not a row in the catalog or a file with a process id.
//!
//! An object with damage in it is not marked: its other records are read, and whoever puts it back from a backup gets the rest
//! with the next start.
//!
//! Recovery commits in parts, and each part says up to which position the object is done. A start that is killed goes on
//! there. Commits note the same position from time to time, so after a mere `kill -9` almost nothing is read.

#[cfg(test)]
mod tests;

use super::catalog::{Catalog, Commit, CommitBlock};
use super::objects::{AbandonedObject, LocalObjects};
use super::record::{Entry, MAGIC, Records};
use super::{Cause, LakeError, OpenProgress};
use std::collections::HashSet;
use std::time::Duration;

/// Blocks, processes and streams of one transaction.
const PART_ENTRIES: usize = 2000;
/// Objects that are marked as sealed together: each transaction of that kind is a sync.
const SEALED_AT_ONCE: usize = 200;
/// Earlier versions created an object before they wrote to it: a younger one without records may be about to be locked.
const EMPTY_AGE: Duration = Duration::from_secs(60);

/// What was brought back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Blocks that the catalog did not have.
    pub(super) blocks: u64,
    /// Files that were deleted since they never got a record.
    pub(super) empty_files: u64,
}

/// Brings the catalog up to date with the objects.
pub(super) async fn recover(
    catalog: &Catalog,
    objects: &LocalObjects,
    progress: &OpenProgress,
) -> Result<Recovered, LakeError> {
    // one process at a time: the second one must see the marks of the first, not read the same objects again
    let _lock = objects.lock_recovery().await?;
    let mut recovered =
        Recovered { empty_files: objects.delete_unfinished_objects()?, ..Recovered::default() };
    let keys = objects.keys()?;
    let sealed: HashSet<String> = catalog.sealed(&keys).await?.into_iter().collect();
    let open: Vec<&String> = keys.iter().filter(|key| !sealed.contains(*key)).collect();
    progress.expect(open.len() as u64);
    // their locks are held until they are marked
    let mut done: Vec<(String, AbandonedObject)> = Vec::new();
    for key in open {
        if let Some(object) = objects.abandoned(key)? {
            if object.length() <= MAGIC.len() as u64 {
                recovered.empty_files += u64::from(object.delete_if_older(EMPTY_AGE)?);
            } else {
                let (object, added) = recover_object(catalog, key, object, progress).await?;
                recovered.blocks += added;
                // what is marked is never read again
                done.extend(object.map(|object| (key.clone(), object)));
            }
        }
        if done.len() >= SEALED_AT_ONCE {
            seal(catalog, &mut done).await?;
        }
        progress.object_done();
        // files without records are many or none, and nothing is awaited for them
        tokio::task::yield_now().await;
    }
    seal(catalog, &mut done).await?;
    Ok(recovered)
}

async fn seal(catalog: &Catalog, done: &mut Vec<(String, AbandonedObject)>) -> Result<(), LakeError> {
    let keys: Vec<String> = done.iter().map(|(key, _)| key.clone()).collect();
    catalog.seal(&keys).await?;
    done.clear();
    Ok(())
}

/// Adds what the catalog lacks of an object. Returns how many blocks, and the object if all of it was read.
async fn recover_object(
    catalog: &Catalog,
    key: &str,
    mut object: AbandonedObject,
    progress: &OpenProgress,
) -> Result<(Option<AbandonedObject>, u64), LakeError> {
    let begin = catalog.recovered(key).await?;
    let length = object.length();
    if begin >= length {
        return Ok((Some(object), 0));
    }
    // reading and decoding are the work of a thread that may block: others answer probes meanwhile
    let (object, mut records) = on_a_thread(move || {
        let bytes = object.read_from(begin)?;
        Ok((object, Records::new(bytes, begin as usize)))
    })
    .await?;
    let mut added = 0;
    let mut is_damaged = false;
    loop {
        let (rest, commit, failures) = on_a_thread(move || {
            let (commit, failures) = next_part(&mut records);
            Ok((records, commit, failures))
        })
        .await?;
        records = rest;
        for failure in failures {
            // damage must cost only the records that it hit, and a record that this version can't read only itself
            tracing::error!(object = key, "a record can't be read back: {failure}");
            is_damaged = true;
        }
        let Some(commit) = commit else { break };
        // blocks that the catalog has already change nothing: inserts are idempotent
        let blocks = commit.blocks.len() as u64;
        let commit = Commit { object_key: key.to_owned(), is_new_object: true, ..commit };
        added += catalog.commit(&commit).await?.added;
        progress.add_blocks(blocks);
    }
    let lost = length.saturating_sub(records.end() as u64);
    if lost > 0 {
        // what the catalog knows of was acknowledged, so it was whole once
        let known = catalog.blocks_at(key, records.end() as u64..u64::MAX).await?.len();
        if known > 0 {
            tracing::error!(
                object = key,
                "its last {lost} bytes are damaged, and {known} blocks are in them"
            );
            is_damaged = true;
        } else {
            // a torn write, as a rule: the sync had not returned, so no sender got a 200 for it
            tracing::warn!(
                object = key,
                "the last {lost} bytes are not complete records: unless they are damaged, they were never acknowledged"
            );
        }
    }
    if is_damaged {
        tracing::error!(
            object = key,
            "it is damaged, and is read again at each start: put it back from a backup, or accept the loss with \
             'fsck --repair --accept-loss'"
        );
        return Ok((None, added));
    }
    Ok((Some(object), added))
}

/// What the next records add, and those that could not be read. `None` at the end.
fn next_part(records: &mut Records) -> (Option<Commit>, Vec<LakeError>) {
    let (mut commit, mut failures, mut entries) = (Commit::default(), Vec::new(), 0);
    for record in records.by_ref().take(PART_ENTRIES) {
        entries += 1;
        match record {
            Ok((Entry::Process(p), _)) => commit.processes.push(p),
            Ok((Entry::Stream(s), _)) => commit.streams.push(s),
            Ok((Entry::Block(b), offset)) => commit.blocks.push(CommitBlock { info: b.info, offset }),
            Err(e) => failures.push(e),
        }
    }
    // what is damaged is read again
    commit.recovered = Some(records.whole_until() as u64);
    ((entries > 0).then_some(commit), failures)
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(LakeError::Objects(Cause::new(format!("a thread of recovery ended early: {e}"), e))),
    }
}
