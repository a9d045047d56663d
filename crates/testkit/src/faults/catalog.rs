//! The catalog's faults, and those of files of records.

use super::store::FaultyStore;
use super::{Fault, Faults, slowly};
use belvedere_lake::{CatalogRequest, Interpose, LakeError};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use std::sync::Arc;

/// Stands between a lake and its backends.
#[derive(Debug)]
pub(super) struct Between {
    pub(super) faults: Faults,
    /// The store, if it is not to be the lake's own.
    pub(super) store: Option<Arc<dyn ObjectStore>>,
}

/// What a request to the catalog is called: the statement's first words.
fn name(request: &CatalogRequest) -> String {
    let words: Vec<&str> = request.sql.split_whitespace().collect();
    let table = words.iter().skip_while(|word| !["FROM", "INTO", "UPDATE"].contains(word)).nth(1);
    let verb = words.first().copied().unwrap_or_default();
    format!("{verb} {}", table.copied().unwrap_or_default())
}

fn failed(request: &CatalogRequest, how: &str) -> LakeError {
    LakeError::Database(format!("a fault of a test: '{}' {how}", name(request)).into())
}

impl Interpose for Between {
    fn store(&self, own: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(FaultyStore::new(self.store.clone().unwrap_or(own), self.faults.clone()))
    }

    fn before(&self, request: CatalogRequest) -> BoxFuture<'_, Result<(), LakeError>> {
        async move {
            match self.faults.strike("catalog", &name(&request)) {
                None => Ok(()),
                Some(Fault::Slow) => {
                    slowly().await;
                    Ok(())
                }
                Some(Fault::LostRequest) => {
                    self.faults.no_answer().await;
                    Err(failed(&request, "got no answer"))
                }
                Some(Fault::Before | Fault::Crash | Fault::Torn) => Err(failed(&request, "was not run")),
                // these strike afterwards, or not at all
                Some(_) => Ok(()),
            }
        }
        .boxed()
    }

    fn after(&self, request: CatalogRequest) -> BoxFuture<'_, Result<(), LakeError>> {
        async move {
            if request.is_synced {
                self.faults.lock().synced += 1;
            }
            match self.faults.strike("catalog's answer", &name(&request)) {
                Some(Fault::After | Fault::Crash) => {
                    Err(failed(&request, "was run, and the answer was lost"))
                }
                // it has ended meanwhile: nobody hears the answer
                Some(Fault::Before) if self.faults.has_ended() => Err(failed(&request, "was not heard")),
                Some(Fault::LostReply) => {
                    self.faults.no_answer().await;
                    Err(failed(&request, "was run, and got no answer"))
                }
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn append(&self, bytes: usize) -> Option<usize> {
        match self.faults.strike("append", "") {
            Some(Fault::Before | Fault::Crash | Fault::LostRequest) => Some(0),
            Some(Fault::After | Fault::LostReply) => Some(bytes),
            Some(Fault::Torn) => Some(bytes / 2),
            _ => None,
        }
    }

    fn read(&self, key: &str) -> Result<(), LakeError> {
        match self.faults.strike("read", key) {
            Some(Fault::Before | Fault::After | Fault::Torn | Fault::Crash) => {
                Err(LakeError::Objects(format!("a fault of a test: {key} was not read").into()))
            }
            Some(Fault::NotFound) => {
                Err(LakeError::Missing(format!("a fault of a test: {key} is missing").into()))
            }
            _ => Ok(()),
        }
    }
}
