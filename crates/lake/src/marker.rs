//! The id of a lake, at both of its ends: a row of the catalog, and an object of the store.
//!
//! A folder that is not mounted looks like an empty one, and a wrong address like a new lake. Both are found when a lake is
//! opened: the catalog knows an id that the store does not have, or another one.

use super::catalog::Catalog;
use super::{Cause, LakeError};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::sync::Arc;
use uuid::Uuid;

/// The object with the id, as text.
const MARKER: &str = "lake.id";

/// Whether catalog and store belong together. What has no id yet gets one; if it can't be written, that is for next time. Returns
/// the id of a lake whose catalog was lost: this one is to get the rows of it, and then the id.
pub(super) async fn check(
    catalog: &Catalog,
    store: &Arc<dyn ObjectStore>,
) -> Result<Option<Uuid>, LakeError> {
    match (catalog.lake_id().await?, read(store).await?) {
        (Some(known), Some(found)) if known == found => Ok(None),
        (Some(known), Some(found)) => Err(LakeError::Address(
            format!(
                "the catalog belongs to the lake {known}, and the object store to the lake {found}: one of the two \
                 addresses is wrong"
            )
            .into(),
        )),
        (Some(known), None) => Err(LakeError::Missing(
            format!(
                "'{MARKER}', which says that it belongs to the lake {known} of the catalog: is its volume mounted, \
                 and its address right? If only this file was lost, write the id into it"
            )
            .into(),
        )),
        (None, _) if catalog.is_read_only() => Ok(None),
        (None, Some(found)) if catalog.begins_anew(found).await? => Ok(Some(found)),
        (None, found) => {
            let written = async {
                let id = match found {
                    Some(found) => found,
                    None => create(store).await?,
                };
                catalog.set_lake_id(id).await
            };
            if let Err(e) = written.await {
                tracing::warn!("the lake gets no id now: {e}");
            }
            Ok(None)
        }
    }
}

/// Writes an id. Of several programs that do so at once, the first one wins.
async fn create(store: &Arc<dyn ObjectStore>) -> Result<Uuid, LakeError> {
    let id = Uuid::new_v4();
    let put = PutOptions::from(PutMode::Create);
    match store.put_opts(&MARKER.into(), format!("{id}\n").into(), put).await {
        Ok(_) => Ok(id),
        Err(e @ object_store::Error::AlreadyExists { .. }) => read(store).await?.ok_or_else(|| e.into()),
        Err(e) => Err(e.into()),
    }
}

async fn read(store: &Arc<dyn ObjectStore>) -> Result<Option<Uuid>, LakeError> {
    let bytes = match store.get(&MARKER.into()).await {
        Ok(object) => object.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let id = Uuid::try_parse(text.trim());
    id.map(Some)
        .map_err(|e| LakeError::Corrupt(Cause::new(format!("'{MARKER}' is not the id of a lake: {e}"), e)))
}

#[cfg(test)]
mod tests {
    use crate::{LakeConnection, LakeError, LakeOptions};

    #[tokio::test]
    async fn a_store_that_is_not_there_or_is_another_lakes_is_not_taken_for_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let options = |name: &str| LakeOptions::directory(&directory.path().join(name));
        for name in ["one", "other"] {
            LakeConnection::open(&options(name)).await.unwrap().close().await;
        }
        let mixed = LakeOptions { objects: options("other").objects, ..options("one") };
        let error = LakeConnection::open(&mixed).await.unwrap_err();
        assert!(matches!(error, LakeError::Address(_)), "{error}");
        // the folder of the mount is there, and empty
        let unmounted = LakeOptions { objects: options("empty").objects, ..options("one") };
        let error = LakeConnection::open(&unmounted).await.unwrap_err();
        assert!(error.to_string().contains("mounted"), "{error}");
        let left = std::fs::read_dir(directory.path().join("empty")).unwrap().count();
        assert_eq!(left, 0, "nothing is begun there");
        // a catalog that is made anew finds out whose it is
        for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = std::fs::remove_file(directory.path().join("one").join(file));
        }
        LakeConnection::open(&options("one")).await.unwrap().close().await;
        let error = LakeConnection::open(&mixed).await.unwrap_err();
        assert!(matches!(error, LakeError::Address(_)), "{error}");
    }
}
