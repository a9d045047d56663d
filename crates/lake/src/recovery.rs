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

use super::LakeError;
use super::catalog::{Catalog, Commit, CommitBlock};
use super::objects::LocalObjects;
use super::record::{Entry, MAGIC, Records};

/// Brings the catalog up to date with the objects. Returns how many blocks were missing.
pub(super) async fn recover(catalog: &Catalog, objects: &LocalObjects) -> Result<u64, LakeError> {
    // one process at a time: the second one must see the marks of the first, not read the same objects again
    let _lock = objects.lock_recovery().await?;
    let keys = objects.keys()?;
    let sealed: std::collections::HashSet<String> = catalog.sealed(&keys).await?.into_iter().collect();
    let mut added = 0;
    for key in keys.iter().filter(|key| !sealed.contains(*key)) {
        let Some((bytes, lock)) = objects.read_abandoned(key)? else {
            continue;
        };
        let length = bytes.len();
        if length < MAGIC.len() {
            // created a moment ago: its writer takes the lock before it writes the magic number
            continue;
        }
        let mut records = Records::new(bytes);
        let mut commit = Commit { object_key: key.clone(), is_new_object: true, ..Commit::default() };
        for record in &mut records {
            match record {
                Ok((Entry::Process(p), _)) => commit.processes.push(p),
                Ok((Entry::Stream(s), _)) => commit.streams.push(s),
                Ok((Entry::Block(b), offset)) => commit.blocks.push(CommitBlock { info: b.info, offset }),
                // its checksum is right, so it is no torn write: one record that this version can't read must not
                // cost the others theirs
                Err(e) => tracing::error!(object = key, "a record can't be read back: {e}"),
            }
        }
        if records.position() < length {
            // a torn write: the sync had not returned, so no sender got a 200 for it
            let lost = length - records.position();
            tracing::warn!(
                object = key,
                "the last {lost} bytes are not complete records; they were never acknowledged"
            );
        }
        // blocks that the catalog has already change nothing: inserts are idempotent
        added += catalog.commit(&commit).await?;
        catalog.seal(key).await?;
        drop(lock);
    }
    Ok(added)
}
