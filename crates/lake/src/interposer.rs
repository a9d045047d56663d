//! What may stand between a lake and its backends: tests put faults there, `belvedere-testkit` has some. Otherwise there is
//! nothing.
//!
//! This is the one place for it. An object store can be wrapped by anybody who has its trait; what the catalog does, and
//! what is appended to files, has no trait of others. A proxy in front of PostgreSQL would see no transaction of SQLite, and
//! a shim below SQLite would need `unsafe`. All statements and transactions of the catalog pass through two functions,
//! so that is where they are told of: whole transactions, since what a database does with half of one is its own promise.

use super::LakeError;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use std::sync::Arc;

/// A statement or a transaction of the catalog.
#[derive(Debug, Clone)]
pub struct CatalogRequest {
    /// Its SQL, or that of its first step.
    pub sql: String,
    /// It changes something.
    pub writes: bool,
    /// Once it is done, it and all before it are on disk.
    pub is_synced: bool,
}

/// Sees what a lake asks of its backends, and may make it fail.
pub trait Interpose: std::fmt::Debug + Send + Sync {
    /// The store that is used in the place of the lake's own.
    fn store(&self, own: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>;

    /// Called before a request to the catalog. With an error, it is not run.
    fn before(&self, request: CatalogRequest) -> BoxFuture<'_, Result<(), LakeError>>;

    /// Called when a request to the catalog has been done. An error is what its caller gets then.
    fn after(&self, request: CatalogRequest) -> BoxFuture<'_, Result<(), LakeError>>;

    /// Called before bytes are appended to a file of records: after how many of them that fails, if it does. If all of them
    /// are written before, they are synced, too.
    fn append(&self, bytes: usize) -> Option<usize>;

    /// Called before a file of records is read.
    fn read(&self, key: &str) -> Result<(), LakeError>;
}

/// Nobody, or somebody who stands between a lake and its backends.
#[derive(Debug, Clone, Default)]
pub struct Interposer(Option<Arc<dyn Interpose>>);

impl Interposer {
    /// Puts somebody there.
    pub fn new(interpose: Arc<dyn Interpose>) -> Self {
        Self(Some(interpose))
    }

    pub(crate) fn store(&self, own: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        match &self.0 {
            Some(interpose) => interpose.store(own),
            None => own,
        }
    }

    /// What a request to the catalog is told to be, if it is told to anybody.
    pub(crate) fn request(&self, sql: Option<&str>, writes: bool, is_synced: bool) -> Option<CatalogRequest> {
        self.0.as_ref()?;
        Some(CatalogRequest { sql: sql.unwrap_or_default().to_owned(), writes, is_synced })
    }

    /// Runs a request to the catalog.
    pub(crate) async fn run<T>(
        &self,
        request: Option<CatalogRequest>,
        run: impl Future<Output = Result<T, LakeError>>,
    ) -> Result<T, LakeError> {
        let (Some(interpose), Some(request)) = (&self.0, request) else { return run.await };
        interpose.before(request.clone()).await?;
        let done = run.await?;
        interpose.after(request).await?;
        Ok(done)
    }

    pub(crate) fn append(&self, bytes: usize) -> Option<usize> {
        self.0.as_ref().and_then(|interpose| interpose.append(bytes))
    }

    pub(crate) fn read(&self, key: &str) -> Result<(), LakeError> {
        self.0.as_ref().map_or(Ok(()), |interpose| interpose.read(key))
    }
}

/// It is no part of where a lake is.
impl PartialEq for Interposer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Interposer {}
