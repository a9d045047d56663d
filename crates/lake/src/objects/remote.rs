//! Object stores behind the `object_store` crate. Objects are created, never changed.

use super::super::record::MAGIC;
use super::{LakeError, WrittenGroup, new_key};
use crate::Cause;
use crate::interposer::Interposer;
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct RemoteObjects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The last write failed.
    has_failed: AtomicBool,
}

/// What is written to see whether that is possible.
const PROBE: &str = "write-probe";

impl RemoteObjects {
    fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix, has_failed: AtomicBool::new(false) }
    }

    pub(super) fn in_memory(interposer: &Interposer) -> Self {
        Self::new(interposer.store(Arc::new(InMemory::new())), Path::default())
    }

    pub(super) fn connect(url: &url::Url, interposer: &Interposer) -> Result<Self, LakeError> {
        // the store's own options come from the environment: AWS_…, GOOGLE_…, AZURE_…; empty ones are unset
        let options = std::env::vars()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_ascii_lowercase(), value))
            .filter(|(key, _)| ["aws_", "google_", "azure_"].iter().any(|p| key.starts_with(p)));
        let (store, prefix) = object_store::parse_url_opts(url, options).map_err(|e| {
            LakeError::Address(Cause::new(format!("'{url}' is not usable as an object store: {e}"), e))
        })?;
        Ok(Self::new(interposer.store(store.into()), prefix))
    }

    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(self.store.clone(), self.prefix.clone()))
    }

    fn path(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(super) async fn put(&self, records: Vec<u8>) -> Result<WrittenGroup, LakeError> {
        let key = new_key();
        let payload = [Bytes::from_static(MAGIC), records.into()];
        let create = PutOptions::from(PutMode::Create);
        let payload = payload.into_iter().collect::<PutPayload>();
        let put = self.store.put_opts(&self.path(&key), payload, create).await;
        self.has_failed.store(put.is_err(), Ordering::Relaxed);
        put?;
        Ok(WrittenGroup { key, offset: MAGIC.len() as u64, is_complete: true, completed: None })
    }

    /// Reads a range as far as the object goes, and at least up to `needed`.
    pub(super) async fn read(&self, key: &str, range: Range<u64>, needed: u64) -> Result<Bytes, LakeError> {
        let start = range.start;
        let failure = match self.store.get_range(&self.path(key), range).await {
            Ok(bytes) if start + bytes.len() as u64 >= needed => return Ok(bytes),
            Ok(_) => None,
            Err(e @ object_store::Error::NotFound { .. }) => return Err(e.into()),
            Err(e) => Some(e),
        };
        // a range behind the end is an error of its own with each store: how long the object is tells
        let length = self.store.head(&self.path(key)).await?.size;
        match failure {
            Some(e) if length >= needed => Err(e.into()),
            _ => Err(LakeError::Missing(
                format!("object {key} ends at byte {length}, before byte {needed}").into(),
            )),
        }
    }

    /// Writes a probe only if the last write failed: requests have a price.
    pub(super) async fn check_writable(&self) -> Result<(), LakeError> {
        if !self.has_failed.load(Ordering::Relaxed) {
            return self.ping().await;
        }
        self.store.put(&self.path(PROBE), PutPayload::from_static(b"probe")).await?;
        self.has_failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn ping(&self) -> Result<(), LakeError> {
        self.store.list_with_delimiter(Some(&self.prefix)).await?;
        Ok(())
    }
}
