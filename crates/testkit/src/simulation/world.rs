//! The backends of a run: what outlives the programs that end.

use super::programs::registrations;
use crate::faults::Faults;
use belvedere_core::assembly::Assembly;
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::{Database, LakeOptions, ObjectsAddress, with_causes};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Where the lake of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backends {
    /// SQLite and files in a directory.
    Directory,
    /// SQLite and an object store.
    Store,
    /// PostgreSQL and an object store: the one of `BELVEDERE_TEST_POSTGRES`.
    Postgres,
}

impl Display for Backends {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::Store => "store",
            Self::Postgres => "postgres",
        })
    }
}

impl FromStr for Backends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Directory, Self::Store, Self::Postgres];
        let found = all.into_iter().find(|backends| backends.to_string() == text);
        found.ok_or_else(|| format!("'{text}' are no backends: there are directory, store and postgres"))
    }
}

/// A copy of the catalog, and how many synced transactions there were by then.
#[derive(Debug)]
struct Snapshot {
    synced: u64,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// The backends of a run. A database goes with it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) backends: Backends,
    directory: PathBuf,
    store: Arc<InMemory>,
    postgres: Option<String>,
    faults: Faults,
    grace: Duration,
    snapshots: Vec<Snapshot>,
    lake: Option<Lake>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(url) = &self.postgres {
            crate::backend::drop_postgres_database(url);
        }
    }
}

const CATALOG: [&str; 3] = ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"];

impl World {
    pub(super) fn new(backends: Backends, directory: &Path, faults: Faults, has_grace: bool) -> Self {
        Self {
            backends,
            directory: directory.to_owned(),
            store: Arc::new(InMemory::new()),
            postgres: match backends {
                Backends::Postgres => crate::postgres_database(),
                _ => None,
            },
            faults,
            grace: if has_grace { Duration::from_secs(3600) } else { Duration::ZERO },
            snapshots: Vec::new(),
            lake: None,
        }
    }

    fn options(&self) -> LakeOptions {
        let directory = LakeOptions::directory(&self.directory);
        if self.backends == Backends::Directory {
            return LakeOptions { interposer: self.faults.interposer(), ..directory };
        }
        let interposer = self.faults.interposer_over(self.store.clone());
        let database = self.postgres.clone().map_or(directory.database.clone(), Database::Postgres);
        LakeOptions { database, objects: ObjectsAddress::Memory, interposer, ..directory }
    }

    /// Opens the lake once more.
    pub(super) async fn another(&self, is_beside: bool) -> Result<Lake, String> {
        let config = LakeConfig {
            threads: 1,
            background_threads: 1,
            memory_bytes: 256 << 20,
            grace: self.grace,
            is_beside,
            ..LakeConfig::default()
        };
        let registrations = belvedere_core::registrations().into_iter().chain(registrations());
        let assembly = Assembly::new(registrations).map_err(|e| with_causes(&e))?;
        Lake::assemble(&self.options(), assembly, config).await.map_err(|e| with_causes(&e))
    }

    /// The lake, if it is open.
    pub(super) fn lake(&self) -> Result<&Lake, String> {
        self.lake.as_ref().ok_or_else(|| "the lake is not open".to_owned())
    }

    pub(super) fn is_open(&self) -> bool {
        self.lake.is_some()
    }

    pub(super) async fn open(&mut self) -> Result<(), String> {
        self.lake = Some(self.another(false).await?);
        Ok(())
    }

    /// Ends the program, well or not.
    pub(super) async fn close(&mut self, is_crash: bool) {
        if is_crash {
            self.faults.end();
        }
        if let Some(lake) = self.lake.take() {
            lake.close().await;
        }
        self.faults.begin();
    }

    /// Notes what the catalog is now.
    pub(super) fn take_snapshot(&mut self) -> Result<(), String> {
        if self.backends == Backends::Directory {
            let paths = CATALOG.iter().map(|name| self.directory.join(name)).filter(|path| path.exists());
            let read = |path: PathBuf| std::fs::read(&path).map(|bytes| (path, bytes));
            let files = paths.map(read).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
            self.snapshots.push(Snapshot { synced: self.faults.synced(), files });
        }
        Ok(())
    }

    /// After the end of the program: the power is cut. Commits that were not synced are gone, and a record that was being
    /// written is there in part. `pick` chooses.
    pub(super) fn cut_power(&mut self, pick: u64) -> Result<(), String> {
        let synced = self.faults.synced();
        let mut possible: Vec<Snapshot> =
            std::mem::take(&mut self.snapshots).into_iter().filter(|s| s.synced == synced).collect();
        if possible.is_empty() {
            return Ok(());
        }
        let snapshot = possible.swap_remove(pick as usize % possible.len());
        self.delete_catalog()?;
        for (path, bytes) in snapshot.files {
            std::fs::write(path, bytes).map_err(|e| e.to_string())?;
        }
        if let Some(last) = self.files("records")?.pop() {
            let mut bytes = std::fs::read(&last).map_err(|e| e.to_string())?;
            bytes.extend(std::iter::repeat_n(7, pick as usize % 40));
            std::fs::write(last, bytes).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// The catalog is lost.
    pub(super) fn delete_catalog(&mut self) -> Result<(), String> {
        self.snapshots.clear();
        let mut paths = CATALOG.iter().map(|name| self.directory.join(name)).filter(|path| path.exists());
        paths.try_for_each(std::fs::remove_file).map_err(|e| e.to_string())
    }

    /// Files below a folder, those first that were changed first: their names are not the same in each run.
    fn files(&self, folder: &str) -> Result<Vec<PathBuf>, String> {
        let (mut files, mut folders) = (Vec::new(), vec![self.directory.join(folder)]);
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.map_err(|e| e.to_string())?.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort_by_cached_key(|path| path.metadata().and_then(|m| m.modified()).ok());
        Ok(files)
    }

    /// Damages an object of a folder for good; `None` deletes it. `pick` chooses which. Returns whether there was one.
    pub(super) async fn damage(
        &self,
        folder: &str,
        pick: u64,
        change: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> Result<bool, String> {
        if self.backends == Backends::Directory {
            let mut files = self.files(folder)?;
            if files.is_empty() {
                return Ok(false);
            }
            let file = files.swap_remove(pick as usize % files.len());
            let mut bytes = std::fs::read(&file).map_err(|e| e.to_string())?;
            let stays = change(&mut bytes);
            let changed = if stays { std::fs::write(&file, bytes) } else { std::fs::remove_file(&file) };
            return changed.map(|()| true).map_err(|e| e.to_string());
        }
        let list = self.store.list(Some(&folder.into())).try_collect::<Vec<_>>();
        let mut all = list.await.map_err(|e| e.to_string())?;
        if all.is_empty() {
            return Ok(false);
        }
        all.sort_by_key(|object| object.last_modified);
        let object = all.swap_remove(pick as usize % all.len());
        let read = async { self.store.get(&object.location).await?.bytes().await };
        let mut bytes = read.await.map_err(|e| e.to_string())?.to_vec();
        let changed = match change(&mut bytes) {
            true => self.store.put(&object.location, bytes.into()).await.map(drop),
            false => self.store.delete(&object.location).await,
        };
        changed.map(|()| true).map_err(|e| e.to_string())
    }
}
