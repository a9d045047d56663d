//! Where payloads are stored: files that grow by appending, or an object store with one object for each group.

mod local;
mod remote;

use super::LakeError;
use super::interposer::Interposer;
use bytes::Bytes;
pub(super) use local::{AbandonedObject, LocalObjects};
use object_store::ObjectStore;
use remote::RemoteObjects;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::Handle;

/// Address of a lake's object store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectsAddress {
    /// Files under a directory.
    Directory(PathBuf),
    /// In memory: gone with the process.
    Memory,
    /// An object store: `s3://bucket/prefix`, `gs://…`, `az://…`. Credentials come from the environment.
    Store(url::Url),
}

impl FromStr for ObjectsAddress {
    type Err = LakeError;

    fn from_str(text: &str) -> Result<Self, LakeError> {
        let bad = |why: &str| {
            let forms = "s3://…, gs://…, az://…, file://… or memory:";
            LakeError::Address(format!("'{text}' is not an object store: {why}; use {forms}").into())
        };
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let url = url::Url::parse(text).map_err(|e| bad(&e.to_string()))?;
        match url.scheme() {
            "file" => Ok(Self::Directory(url.to_file_path().map_err(|()| bad("the path is not absolute"))?)),
            "s3" | "gs" | "az" => Ok(Self::Store(url)),
            scheme => Err(bad(&format!("the scheme '{scheme}' is unknown"))),
        }
    }
}

/// Where the records of a group were written.
#[derive(Debug)]
pub(super) struct WrittenGroup {
    pub(super) key: String,
    /// Where in the object the group starts.
    pub(super) offset: u64,
    /// Whether nothing will be appended to the object.
    pub(super) is_complete: bool,
    /// Another object that is complete since this write.
    pub(super) completed: Option<String>,
}

#[derive(Debug)]
pub(super) enum Objects {
    Local(LocalObjects),
    Remote(RemoteObjects),
}

impl Objects {
    pub(super) fn open(address: &ObjectsAddress, interposer: &Interposer) -> Result<Self, LakeError> {
        Ok(match address {
            ObjectsAddress::Directory(path) => {
                Self::Local(LocalObjects::new(path.clone(), interposer.clone())?)
            }
            ObjectsAddress::Memory => Self::Remote(RemoteObjects::in_memory(interposer)),
            ObjectsAddress::Store(url) => Self::Remote(RemoteObjects::connect(url, interposer)?),
        })
    }

    /// Writes the records of a group and waits until they are durable. Blocks the thread.
    pub(super) fn write(&self, records: Vec<u8>, runtime: &Handle) -> Result<WrittenGroup, LakeError> {
        match self {
            Self::Local(local) => local.append(&records),
            Self::Remote(remote) => runtime.block_on(remote.put(records)),
        }
    }

    /// Whether recovery reads objects back.
    pub(super) fn are_read_back(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// How many bytes are best written at once. A sync is cheap, and whoever comes meanwhile waits for it: with 8 MiB a flood
    /// made others wait 13 ms, with 256 KiB 2 ms, and got through faster itself (290 and 326 MB/s). A request to a store
    /// elsewhere takes long whatever is in it.
    pub(super) fn group_bytes(&self) -> usize {
        match self {
            Self::Local(_) => 256 << 10,
            Self::Remote(_) => 8 << 20,
        }
    }

    /// Reads a range of an object as far as it goes, and at least up to `needed`: what ends before is missing.
    pub(super) async fn read(&self, key: &str, range: Range<u64>, needed: u64) -> Result<Bytes, LakeError> {
        match self {
            Self::Local(local) => local.read(key, range, needed).await,
            Self::Remote(remote) => remote.read(key, range, needed).await,
        }
    }

    /// The store, for files that are written as a whole. Keys are relative to the lake's root.
    pub(super) fn store(&self) -> Result<Arc<dyn ObjectStore>, LakeError> {
        match self {
            Self::Local(local) => local.store(),
            Self::Remote(remote) => Ok(remote.store()),
        }
    }

    /// Waits until a whole file that was put into the store survives a power cut.
    pub(super) async fn make_durable(&self, key: &str) -> Result<(), LakeError> {
        match self {
            Self::Local(local) => local.make_durable(key).await,
            Self::Remote(_) => Ok(()),
        }
    }

    /// Deletes what unfinished uploads left. Object stores do so by rules of their own.
    pub(super) async fn delete_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, LakeError> {
        match self {
            Self::Local(local) => local.delete_unfinished(prefix, before).await,
            Self::Remote(_) => Ok(0),
        }
    }

    /// Checks that the store responds.
    pub(super) async fn ping(&self) -> Result<(), LakeError> {
        match self {
            Self::Local(local) => local.ping().await,
            Self::Remote(remote) => remote.ping().await,
        }
    }

    /// Checks that the store can be written, and is still where it was.
    pub(super) async fn check_writable(&self) -> Result<(), LakeError> {
        match self {
            Self::Local(local) => local.check_writable().await,
            Self::Remote(remote) => remote.check_writable().await,
        }
    }

    /// Closes the open object and returns its key: it is complete now.
    pub(super) async fn close(&self) -> Option<String> {
        match self {
            Self::Local(local) => local.close().await,
            Self::Remote(_) => None,
        }
    }
}

/// A new key: the time for people, a random part against collisions.
fn new_key() -> String {
    let now = chrono::Utc::now();
    format!("records/{}-{}.blv", now.format("%Y-%m-%d/%H-%M-%S"), uuid::Uuid::new_v4().simple())
}
