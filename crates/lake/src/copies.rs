//! Copies of what only the catalog has, in the store: a catalog that is lost is made again from them and from the records.
//!
//! - *Announcements* of processes and streams: they come once, in a record object with the first blocks, which retention
//!   deletes with these blocks.
//! - *Numbers* of blocks: which blocks a partition covers is said by numbers.
//! - *Partitions*: a file does not say which blocks it covers, and what its checksums are.
//!
//! All of these only come, and hardly change. So each is copied once, every few minutes and before anything is deleted; flags
//! in the catalog say what was copied. An object of copies has records like others, of kinds of their own.

use super::record::{Entry, MAGIC, NUMBERS, PARTITION, append, append_record};
use super::{LakeConnection, LakeError};
use futures::TryStreamExt;
use object_store::{ObjectStore, PutMode, PutOptions};
use uuid::Uuid;

/// The folder of copies of announcements and partitions.
pub(super) const ROWS: &str = "copies/rows";
/// The folder of copies of numbers. The name of an object begins with the last number in it.
pub(super) const NUMBERS_FOLDER: &str = "copies/numbers";
/// Rows of each kind in one object.
const ROWS_AT_ONCE: u32 = 500;
/// Numbers in one object.
const NUMBERS_AT_ONCE: u32 = 50_000;
/// Numbers so far before those of all blocks that are left belong to no record of an object that is left: objects are
/// smaller, and are written side by side by few programs.
const LONG_AGO: i64 = 10_000_000;

/// The bytes of a number with its block.
const NUMBER: usize = 24;

/// Numbers as a record has them.
pub(super) fn decode_numbers(body: &[u8]) -> Vec<(Uuid, i64)> {
    let numbers = body.chunks_exact(NUMBER).filter_map(|bytes| {
        let (seq, id) = bytes.split_first_chunk()?;
        Some((Uuid::from_slice(id).ok()?, i64::from_le_bytes(*seq)))
    });
    numbers.collect()
}

impl LakeConnection {
    /// Copies into the store what only the catalog has. Whatever is deleted later can be told from what is lost.
    pub async fn save_copies(&self) -> Result<(), LakeError> {
        // numbers last: a partition is only of use with the numbers of its blocks
        self.save_rows().await?;
        self.save_numbers().await
    }

    async fn save_rows(&self) -> Result<(), LakeError> {
        loop {
            let processes = self.catalog().unsaved_processes(ROWS_AT_ONCE).await?;
            let streams = self.catalog().unsaved_streams(ROWS_AT_ONCE).await?;
            let partitions = self.catalog().unsaved_partitions(ROWS_AT_ONCE).await?;
            if processes.is_empty() && streams.is_empty() && partitions.is_empty() {
                return Ok(());
            }
            let process_ids: Vec<Uuid> = processes.iter().map(|p| p.process_id).collect();
            let stream_ids: Vec<Uuid> = streams.iter().map(|s| s.stream_id).collect();
            let partition_ids: Vec<i64> = partitions.iter().map(|p| p.0).collect();
            let mut object = MAGIC.to_vec();
            for process in processes {
                append(&mut object, &Entry::Process(process))?;
            }
            for stream in streams {
                append(&mut object, &Entry::Stream(stream))?;
            }
            for (_, partition) in partitions {
                append_record(&mut object, PARTITION, belvedere_model::time::now(), &partition)?;
            }
            let now = chrono::Utc::now().format("%Y-%m-%d/%H-%M-%S");
            self.put_copy(format!("{ROWS}/{now}-{}.blv", Uuid::new_v4().simple()), object).await?;
            self.catalog().mark_saved(&process_ids, &stream_ids, &partition_ids).await?;
        }
    }

    async fn save_numbers(&self) -> Result<(), LakeError> {
        loop {
            let saved = self.catalog().saved_numbers().await?;
            let numbers = self.catalog().numbers_after(saved, NUMBERS_AT_ONCE).await?;
            let Some((last, _)) = numbers.last().copied() else { break };
            let mut body = Vec::with_capacity(numbers.len() * NUMBER);
            for (seq, id) in numbers {
                body.extend(seq.to_le_bytes());
                body.extend(id.as_bytes());
            }
            let mut object = MAGIC.to_vec();
            append_record(&mut object, NUMBERS, belvedere_model::time::now(), &body)?;
            let key = format!("{NUMBERS_FOLDER}/{last:020}-{}.blv", Uuid::new_v4().simple());
            self.put_copy(key, object).await?;
            self.catalog().set_saved_numbers(last).await?;
        }
        Ok(())
    }

    async fn put_copy(&self, key: String, object: Vec<u8>) -> Result<(), LakeError> {
        let create = PutOptions::from(PutMode::Create);
        self.store().put_opts(&key.as_str().into(), object.into(), create).await?;
        self.make_durable(&key).await
    }

    /// Deletes copies of numbers whose blocks are gone, and were long ago.
    pub async fn delete_old_numbers(&self) -> Result<u64, LakeError> {
        let Some(first) = self.catalog().first_number().await? else { return Ok(0) };
        let mut old = Vec::new();
        let mut objects = self.store().list(Some(&NUMBERS_FOLDER.into()));
        while let Some(object) = objects.try_next().await? {
            let name = object.location.filename().unwrap_or_default();
            let last = name.split('-').next().and_then(|last| last.parse::<i64>().ok());
            if last.is_some_and(|last| last < first.saturating_sub(LONG_AGO)) {
                old.push(object.location.to_string());
            }
        }
        self.delete(&old).await?;
        Ok(old.len() as u64)
    }
}
