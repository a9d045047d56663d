//! Reads back what a power cut took from the catalogue.
//!
//! With local objects SQLite commits without a disk sync: after a power cut its last transactions may be
//! gone, the objects' records are not. So whoever opens the lake reads the objects that are not marked as
//! complete and whose writer is gone, and adds what is missing. After a mere `kill -9` nothing is missing.

use super::LakeError;
use super::catalog::{Catalog, Commit, CommitBlock};
use super::objects::LocalObjects;
use super::record::{Entry, MAGIC, Records};

/// Brings the catalogue up to date with the objects. Returns how many blocks were missing.
pub(super) async fn recover(catalog: &Catalog, objects: &LocalObjects) -> Result<u64, LakeError> {
    // one at a time: who comes second must find what the first one has read back
    let _turn = objects.recovery_turn().await?;
    let keys = objects.keys()?;
    let sealed: std::collections::HashSet<String> = catalog.sealed(&keys).await?.into_iter().collect();
    let mut added = 0;
    for key in keys.iter().filter(|key| !sealed.contains(*key)) {
        let Some((bytes, lock)) = objects.read_abandoned(key)? else {
            continue;
        };
        let length = bytes.len();
        if length < MAGIC.len() {
            // just made: its writer is about to lock it
            continue;
        }
        let mut records = Records::new(bytes);
        let mut commit = Commit { object_key: key.clone(), is_new_object: true, ..Commit::default() };
        for record in &mut records {
            match record {
                Ok((Entry::Process(p), _)) => commit.processes.push(p),
                Ok((Entry::Stream(s), _)) => commit.streams.push(s),
                Ok((Entry::Block(b), offset)) => commit.blocks.push(CommitBlock { info: b.info, offset }),
                Err(e) => tracing::error!(object = key, "a record can't be read back: {e}"),
            }
        }
        if records.position() < length {
            let lost = length - records.position();
            tracing::warn!(
                object = key,
                "the last {lost} bytes are not complete records; they were never acknowledged"
            );
        }
        added += catalog.commit(&commit).await?;
        catalog.seal(key).await?;
        drop(lock);
    }
    Ok(added)
}
