//! Files under a directory, each appended to by the one process that made it.
//!
//! One disk sync makes a whole group durable. The writer holds an advisory lock on its file as long as it
//! lives, so others can tell a file that still grows from one whose writer died.

use super::super::record::MAGIC;
use super::{LakeError, Written, new_key};
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// From this size on a new file is begun: small enough to be read back quickly after a crash.
const ROLL_AT: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct LocalObjects {
    root: PathBuf,
    current: Mutex<Option<OpenObject>>,
}

#[derive(Debug)]
struct OpenObject {
    key: String,
    file: File,
    length: u64,
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> LakeError {
    let text = format!("{what} {}", path.display());
    move |e| LakeError::Objects(format!("{text}: {e}"))
}

impl LocalObjects {
    pub(super) fn new(root: PathBuf) -> Result<Self, LakeError> {
        std::fs::create_dir_all(&root).map_err(failed("making", &root))?;
        if let Some(parent) = root.canonicalize().ok().as_deref().and_then(Path::parent) {
            // the directory's own name must survive a power cut too
            File::open(parent).and_then(|d| d.sync_all()).map_err(failed("syncing", parent))?;
        }
        Ok(Self { root, current: Mutex::default() })
    }

    /// Appends and waits for the disk.
    pub(super) fn append(&self, records: &[u8]) -> Result<Written, LakeError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let completed = match &*current {
            Some(open) if open.length >= ROLL_AT => current.take().map(|open| open.key),
            _ => None,
        };
        // taken out: after a failed write nobody knows what the file's tail is, so it is not used again
        let mut open = match current.take() {
            Some(open) => open,
            None => create(&self.root)?,
        };
        let path = self.root.join(&open.key);
        open.file.write_all(records).map_err(failed("writing to", &path))?;
        open.file.sync_data().map_err(failed("syncing", &path))?;
        let offset = open.length;
        open.length += records.len() as u64;
        let key = open.key.clone();
        *current = Some(open);
        Ok(Written { key, offset, is_complete: false, completed })
    }

    pub(super) async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, LakeError> {
        let path = self.root.join(key);
        blocking(move || {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(LakeError::Corrupt(format!("{} is missing", path.display())));
                }
                Err(e) => return Err(failed("opening", &path)(e)),
            };
            // a damaged catalogue must not make us allocate: the file says how much there is
            let length = file.metadata().map_err(failed("reading", &path))?.len();
            if range.start > range.end || range.end > length {
                return Err(LakeError::Corrupt(format!("{} ends before byte {}", path.display(), range.end)));
            }
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.seek(SeekFrom::Start(range.start)).map_err(failed("reading", &path))?;
            file.read_exact(&mut bytes).map_err(failed("reading", &path))?;
            Ok(bytes.into())
        })
        .await
    }

    /// Waits until a file that was made by other means than appending, and its name, are on disk.
    pub(super) async fn make_durable(&self, key: &str) -> Result<(), LakeError> {
        let (root, path) = (self.root.clone(), self.root.join(key));
        blocking(move || {
            let mut next = Some(path.as_path());
            while let Some(path) = next.filter(|p| p.starts_with(&root)) {
                File::open(path).and_then(|f| f.sync_all()).map_err(failed("syncing", path))?;
                next = path.parent();
            }
            Ok(())
        })
        .await
    }

    /// Deletes what uploads that never came to their end left under `prefix` before `before`.
    pub(super) async fn delete_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, LakeError> {
        let root = self.root.join(prefix);
        blocking(move || delete_unfinished(&root, before).map_err(failed("cleaning up", &root))).await
    }

    pub(super) fn store(&self) -> Result<Arc<dyn ObjectStore>, LakeError> {
        Ok(Arc::new(LocalFileSystem::new_with_prefix(&self.root)?.with_automatic_cleanup(true)))
    }

    pub(super) async fn ping(&self) -> Result<(), LakeError> {
        let root = self.root.clone();
        blocking(move || std::fs::metadata(&root).map(drop).map_err(failed("reading", &root))).await
    }

    pub(super) async fn close(&self) -> Option<String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take().map(|open| open.key)
    }

    /// Waits for the right to read objects back; it ends with the value.
    pub(crate) async fn recovery_turn(&self) -> Result<File, LakeError> {
        let path = self.root.join("recovery.lock");
        blocking(move || {
            let file = File::create(&path).map_err(failed("making", &path))?;
            file.lock().map_err(failed("locking", &path))?;
            Ok(file)
        })
        .await
    }

    /// Keys of all objects, sorted.
    pub(crate) fn keys(&self) -> Result<Vec<String>, LakeError> {
        let mut keys = Vec::new();
        let records = self.root.join("records");
        if !records.exists() {
            return Ok(keys);
        }
        for day in std::fs::read_dir(&records).map_err(failed("listing", &records))? {
            let day = day.map_err(failed("listing", &records))?.path();
            for file in std::fs::read_dir(&day).map_err(failed("listing", &day))? {
                let path = file.map_err(failed("listing", &day))?.path();
                if let (Some(day), Some(name)) = (day.file_name(), path.file_name()) {
                    keys.push(format!("records/{}/{}", day.to_string_lossy(), name.to_string_lossy()));
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// All of an object whose writer is gone, and the lock that keeps others from reading it back too.
    /// `None` if somebody holds the lock.
    pub(crate) fn read_abandoned(&self, key: &str) -> Result<Option<(Bytes, File)>, LakeError> {
        let path = self.root.join(key);
        let mut file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(failed("opening", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(failed("locking", &path)(e)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("reading", &path))?;
        // what was written may not have reached the disk, and its rows are about to say that it has
        file.sync_all().map_err(failed("syncing", &path))?;
        Ok(Some((bytes.into(), file)))
    }
}

/// Makes a new object and sees to it that its name survives a power cut.
fn create(root: &Path) -> Result<OpenObject, LakeError> {
    let key = new_key();
    let path = root.join(&key);
    let day = path.parent().unwrap_or(root);
    std::fs::create_dir_all(day).map_err(failed("making", day))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(failed("making", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        // somebody who is opening the lake took the new file for an abandoned one: it is theirs
        Err(TryLockError::WouldBlock) => return create(root),
        Err(TryLockError::Error(e)) => return Err(failed("locking", &path)(e)),
    }
    file.write_all(MAGIC).map_err(failed("writing to", &path))?;
    file.sync_all().map_err(failed("syncing", &path))?;
    for directory in [day, day.parent().unwrap_or(root), root] {
        File::open(directory).and_then(|d| d.sync_all()).map_err(failed("syncing", directory))?;
    }
    Ok(OpenObject { key, file, length: MAGIC.len() as u64 })
}

/// A file of the store is written under its name, `#` and a number first.
fn delete_unfinished(directory: &Path, before: SystemTime) -> io::Result<u64> {
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut deleted = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            deleted += delete_unfinished(&entry.path(), before)?;
        } else if entry.file_name().to_string_lossy().contains('#') && entry.metadata()?.modified()? < before
        {
            std::fs::remove_file(entry.path())?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(LakeError::Objects(format!("a thread for the disk ended early: {e}"))),
    }
}
