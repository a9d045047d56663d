//! Files of partitions as queries read them: what comes from the store is checked before anything is made of it.
//!
//! Ranges that are in memory were checked when they came, so each byte is checked once for each time that it is fetched.

use super::file_sums::FileSums;
use super::lost_files::{file_is_whole, note_lost};
use super::{Instance, RangeCache, ScanContext};
use async_trait::async_trait;
use belvedere_lake::PartitionRecord;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A file of a partition is not what was written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file {file} of partition {partition_id} is damaged: {what}; {}",
    if *.can_be_made_again {
        "its blocks are decoded instead from now on, so ask again"
    } else {
        "its blocks were deleted, so nothing else here has its rows: put the file back from a backup"
    }
)]
pub(crate) struct DamagedFile {
    file: String,
    partition_id: i64,
    what: String,
    can_be_made_again: bool,
}

/// The files of the partitions of one plan.
pub(crate) struct VerifiedFiles {
    cache: Arc<RangeCache>,
    instance: Instance,
    context: ScanContext,
    files: HashMap<Path, VerifiedFile>,
}

struct VerifiedFile {
    partition: PartitionRecord,
    size: u64,
    /// Files of earlier versions have none.
    sums: Option<FileSums>,
    /// Their table, once it was read.
    table: OnceLock<Bytes>,
}

impl VerifiedFiles {
    pub(crate) fn new(instance: &Instance, context: &ScanContext, partitions: &[PartitionRecord]) -> Self {
        let file = |partition: &PartitionRecord| {
            let p = &partition.content;
            let size = p.file_size.max(0) as u64;
            let sums = p.sums.and_then(|sums| FileSums::of_record(sums, size));
            let file = VerifiedFile { partition: partition.clone(), size, sums, table: OnceLock::new() };
            Some((Path::from(p.file_key.as_deref()?), file))
        };
        Self {
            cache: context.lake.files.clone(),
            instance: instance.clone(),
            context: context.clone(),
            files: partitions.iter().filter_map(file).collect(),
        }
    }

    async fn read(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let Some(file) = self.files.get(location) else {
            return self.cache.get_ranges(location, ranges).await;
        };
        let mut found: Vec<Option<Bytes>> =
            ranges.iter().map(|range| self.cache.find(location, range)).collect();
        let missing: Vec<Range<u64>> =
            found.iter().zip(ranges).filter(|(f, _)| f.is_none()).map(|(_, range)| range.clone()).collect();
        if !missing.is_empty() {
            let fetched = match file.sums {
                Some(sums) => self.fetch(location, file, sums, &missing).await?,
                None => self.cache.get_ranges(location, &missing).await?,
            };
            for (slot, bytes) in found.iter_mut().filter(|f| f.is_none()).zip(fetched) {
                *slot = Some(bytes);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Fetches ranges together with what is around them, and checks that.
    async fn fetch(
        &self,
        location: &Path,
        file: &VerifiedFile,
        sums: FileSums,
        wanted: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let known = file.table.get().cloned().or_else(|| self.cache.find(location, &sums.table()));
        let mut parts: Vec<Range<u64>> = wanted.iter().map(|range| sums.around(range, file.size)).collect();
        if known.is_none() {
            parts.push(sums.at..file.size);
        }
        let parts = merged(parts);
        let mut wrong = String::new();
        // what was changed on its way is right the second time
        for _ in 0..2 {
            let fetched = match self.cache.fetch(location, &parts).await {
                Ok(fetched) => fetched,
                Err(e) => match file_is_whole(&self.context, &file.partition).await {
                    Ok(false) => {
                        return Err(self.damaged(file, "it is missing or cut short".to_owned()).await);
                    }
                    _ => return Err(e),
                },
            };
            match check(sums, file.size, &parts, &fetched, known.as_ref()) {
                Ok(table) => {
                    self.cache.keep(location, &sums.table(), &table);
                    let _ = file.table.set(table);
                    let bytes: Vec<Bytes> =
                        wanted.iter().map(|range| slice(&parts, &fetched, range)).collect();
                    for (range, bytes) in wanted.iter().zip(&bytes) {
                        self.cache.keep(location, range, bytes);
                    }
                    return Ok(bytes);
                }
                Err(what) => wrong = what,
            }
        }
        Err(self.damaged(file, wrong).await)
    }

    /// Sees to it that the file is not used any more if its blocks have its rows.
    async fn damaged(&self, file: &VerifiedFile, what: String) -> Error {
        let noted = note_lost(&self.instance, &self.context, &file.partition, &what).await;
        let can_be_made_again = match noted {
            Ok(can_be_made_again) => can_be_made_again,
            Err(e) => return Error::Generic { store: "catalog", source: Box::new(e) },
        };
        if can_be_made_again {
            self.context.report.add_damaged_file();
        }
        let p = &file.partition;
        let damaged = DamagedFile {
            file: p.content.file_key.clone().unwrap_or_default(),
            partition_id: p.partition_id,
            what,
            can_be_made_again,
        };
        Error::Generic { store: "partitions", source: Box::new(damaged) }
    }
}

/// Parts of a file that neither overlap nor touch.
fn merged(mut parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    parts.retain(|part| !part.is_empty());
    parts.sort_unstable_by_key(|part| part.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match merged.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => merged.push(part),
        }
    }
    merged
}

/// Checks parts of a file, one of which is its end unless the table is known. Returns the table.
fn check(
    sums: FileSums,
    size: u64,
    parts: &[Range<u64>],
    fetched: &[Bytes],
    known: Option<&Bytes>,
) -> Result<Bytes, String> {
    let is_whole = |(part, bytes): (&Range<u64>, &Bytes)| bytes.len() as u64 == part.end - part.start;
    if parts.len() != fetched.len() || !parts.iter().zip(fetched).all(is_whole) {
        return Err("the store gave fewer bytes than there should be".to_owned());
    }
    let mut table = known.cloned().unwrap_or_default();
    // the end first: it has the checksums of all before
    for (part, bytes) in parts.iter().zip(fetched).rev() {
        sums.check(part.start, bytes, &table)?;
        if part.end == size && known.is_none() {
            table = slice(parts, fetched, &sums.table());
        }
    }
    Ok(table)
}

/// The bytes of a range, from parts of which one has it.
fn slice(parts: &[Range<u64>], fetched: &[Bytes], range: &Range<u64>) -> Bytes {
    let part = parts.iter().zip(fetched).find(|(p, _)| p.start <= range.start && range.end <= p.end);
    match part {
        Some((p, bytes)) => bytes.slice((range.start - p.start) as usize..(range.end - p.start) as usize),
        None => Bytes::new(),
    }
}

impl fmt::Debug for VerifiedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedFiles").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl fmt::Display for VerifiedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with checksums", self.cache)
    }
}

#[async_trait]
impl ObjectStore for VerifiedFiles {
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(location, ranges).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let file = match self.files.get(location) {
            Some(file) if file.sums.is_some() && !options.head => file,
            _ => return self.cache.get_opts(location, options).await,
        };
        let size = file.size;
        let range = match options.range {
            None => 0..size,
            Some(GetRange::Bounded(range)) => range.start.min(size)..range.end.min(size),
            Some(GetRange::Offset(offset)) => offset.min(size)..size,
            Some(GetRange::Suffix(length)) => size.saturating_sub(length)..size,
        };
        let bytes = self.read(location, std::slice::from_ref(&range)).await?.pop().unwrap_or_default();
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }.boxed()).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.cache.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.cache.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.cache.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.cache.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.cache.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.cache.copy_opts(from, to, options).await
    }
}
