//! Hot ranges of partitions in memory. Files are never changed, so what was read once stays true.
//!
//! The engine keeps parsed footers (issue 15582 of apache/datafusion, "Cache Parquet Metadata"), and we use that for them. It
//! keeps no bytes of columns, and `object_store` has no wrapper that does. No issue upstream is known to us (November 2026).
//! This goes when either has a cache of ranges with a limit in bytes, without asking the store whether a file has changed.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use lru::LruCache;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, coalesce_ranges,
};
use prometheus_client::metrics::counter::Counter;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A larger range is not kept: it would push everything else out.
const LARGEST_SHARE: usize = 8;

type Key = (Path, u64, u64);

/// An object store of files that are never changed, with the ranges that were read last in memory.
#[derive(Debug)]
pub(crate) struct RangeCache {
    store: Arc<dyn ObjectStore>,
    ranges: Mutex<Ranges>,
    limit: usize,
    /// Objects are files, which are read by themselves as a whole or not at all.
    is_local: bool,
    /// Bytes that came from the store.
    fetched: Counter,
}

#[derive(Debug)]
struct Ranges {
    by_use: LruCache<Key, Bytes>,
    bytes: usize,
}

impl RangeCache {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, limit: usize, is_local: bool, fetched: Counter) -> Self {
        let ranges = Ranges { by_use: LruCache::unbounded(), bytes: 0 };
        Self { store, ranges: Mutex::new(ranges), limit, is_local, fetched }
    }

    /// Ranges as the store has them, each as long as it should be: what reads them counts on that, and a file that was cut
    /// made it panic. Several ranges are read as one, and who takes them apart again panics, too, so each read is checked.
    async fn read(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.is_local {
            return self.store.get_ranges(location, ranges).await;
        }
        let whole = |range: Range<u64>| async move {
            let bytes = self.store.get_range(location, range.clone()).await?;
            check_end(location, &range, range.start + bytes.len() as u64)?;
            Ok(bytes)
        };
        coalesce_ranges(ranges, whole, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    /// Ranges from the store itself.
    pub(super) async fn fetch(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetched = self.read(location, ranges).await?;
        self.fetched.inc_by(fetched.iter().map(|bytes| bytes.len() as u64).sum());
        Ok(fetched)
    }

    pub(super) fn find(&self, location: &Path, range: &Range<u64>) -> Option<Bytes> {
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.by_use.get(&(location.clone(), range.start, range.end)).cloned()
    }

    pub(super) fn keep(&self, location: &Path, range: &Range<u64>, bytes: &Bytes) {
        if bytes.len() > self.limit / LARGEST_SHARE {
            return;
        }
        // a copy: the bytes may be a part of something much larger
        let bytes = Bytes::copy_from_slice(bytes);
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.bytes += bytes.len();
        if let Some(old) = ranges.by_use.put((location.clone(), range.start, range.end), bytes) {
            ranges.bytes -= old.len();
        }
        while ranges.bytes > self.limit
            && let Some((_, oldest)) = ranges.by_use.pop_lru()
        {
            ranges.bytes -= oldest.len();
        }
    }
}

/// Whether a range was read up to its end.
fn check_end(location: &Path, range: &Range<u64>, end: u64) -> Result<()> {
    if end == range.end {
        return Ok(());
    }
    let why = format!("{location} ends at byte {end}, before byte {}: it was cut", range.end);
    Err(Error::Generic { store: "partitions", source: why.into() })
}

impl fmt::Display for RangeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes of memory", self.store, self.limit)
    }
}

#[async_trait]
impl ObjectStore for RangeCache {
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut found: Vec<Option<Bytes>> = ranges.iter().map(|range| self.find(location, range)).collect();
        let missing: Vec<Range<u64>> =
            found.iter().zip(ranges).filter(|(f, _)| f.is_none()).map(|(_, range)| range.clone()).collect();
        if !missing.is_empty() {
            let fetched = self.fetch(location, &missing).await?;
            for (range, bytes) in missing.iter().zip(&fetched) {
                self.keep(location, range, bytes);
            }
            for (slot, bytes) in found.iter_mut().filter(|f| f.is_none()).zip(fetched) {
                *slot = Some(bytes);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let wanted = options.range.clone();
        let result = self.store.get_opts(location, options).await?;
        if let Some(GetRange::Bounded(range)) = wanted {
            check_end(location, &range, result.range.end)?;
        }
        self.fetched.inc_by(result.range.end - result.range.start);
        Ok(result)
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_file_that_was_cut_is_an_error_and_not_a_short_read_that_is_kept() {
        let (store, path) = (Arc::new(InMemory::new()), Path::from("a.parquet"));
        let cache = RangeCache::new(store.clone(), 1 << 20, false, Counter::default());
        store.put(&path, vec![1; 50].into()).await.unwrap();
        for ranges in [&[0..10, 40..60][..], &[0..10, 70..90], &[40..60, 90..95]] {
            let error = cache.get_ranges(&path, ranges).await.unwrap_err();
            assert!(error.to_string().contains("ends at byte 50"), "{error}");
        }
        assert!(cache.get_range(&path, 40..60).await.is_err());
        store.put(&path, vec![2; 100].into()).await.unwrap();
        let whole = cache.get_ranges(&path, &[0..10, 40..60, 70..90]).await.unwrap();
        assert_eq!(whole.iter().map(Bytes::len).collect::<Vec<_>>(), [10, 20, 20]);
        assert_eq!(cache.get_range(&path, 90..100).await.unwrap(), vec![2; 10]);
    }
}
