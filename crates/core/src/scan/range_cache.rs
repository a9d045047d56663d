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
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
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
    /// Bytes that came from the store.
    fetched: Counter,
}

#[derive(Debug)]
struct Ranges {
    by_use: LruCache<Key, Bytes>,
    bytes: usize,
}

impl RangeCache {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, limit: usize, fetched: Counter) -> Self {
        let ranges = Ranges { by_use: LruCache::unbounded(), bytes: 0 };
        Self { store, ranges: Mutex::new(ranges), limit, fetched }
    }

    /// Ranges from the store itself.
    pub(super) async fn fetch(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetched = self.store.get_ranges(location, ranges).await?;
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
        let result = self.store.get_opts(location, options).await?;
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
