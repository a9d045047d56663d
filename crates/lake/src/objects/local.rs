//! Files under a directory, each appended to only by the process that created it.
//!
//! One file for each group, as in an object store, would cost two syncs for each group: of the file, and of the
//! directory that lists it. Appending to one file costs one `fdatasync`.
//!
//! Two processes never append to one file: their groups would interleave, and after a crash nobody could tell whose
//! tail is torn. So each has its own, and several processes may serve one directory. A writer holds an advisory lock on
//! its file as long as it lives. Others tell by it a file that still grows from one whose writer died; the kernel
//! releases it in all cases, `kill -9` included.

use super::super::record::MAGIC;
use super::{LakeError, WrittenGroup, new_key};
use crate::files::{FileIdentity, is_at};
use crate::interposer::Interposer;
use crate::{Cause, Leftover};
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// From this size on a new file is started. It bounds how much is read back after a crash.
const ROLL_AT: u64 = 64 << 20;

/// What is written to see whether that is possible: more than fits into an inode.
const PROBE: &str = "write-probe#0";
const PROBE_BYTES: usize = 8192;

#[derive(Debug)]
pub(crate) struct LocalObjects {
    root: PathBuf,
    /// Which directory the root is: another one in its place is not the lake.
    identity: FileIdentity,
    current: Mutex<Option<OpenObject>>,
    /// An object that is not written to any more, and that nobody was told of yet: it is large enough, or a write to it
    /// failed. All that was acknowledged of it is in the catalog, and the rest need not come back.
    complete: Mutex<Option<String>>,
    interposer: Interposer,
}

#[derive(Debug)]
struct OpenObject {
    key: String,
    file: File,
    length: u64,
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> LakeError {
    let text = format!("{what} {}", path.display());
    move |e| LakeError::Objects(Cause::new(format!("{text}: {e}"), e))
}

impl LocalObjects {
    pub(super) fn new(root: PathBuf, interposer: Interposer) -> Result<Self, LakeError> {
        let is_new = !root.is_dir();
        std::fs::create_dir_all(&root).map_err(failed("making", &root))?;
        if let Some(parent) = root.canonicalize().ok().as_deref().and_then(Path::parent) {
            // the name of a new lake directory is an entry of its parent, and must survive a power cut too
            let synced = File::open(parent).and_then(|d| d.sync_all());
            if is_new {
                synced.map_err(failed("syncing", parent))?;
            }
        }
        let identity = FileIdentity::of(&root).map_err(failed("reading", &root))?;
        Ok(Self { root, identity, current: Mutex::default(), complete: Mutex::default(), interposer })
    }

    /// Appends records and waits until they are on disk.
    pub(super) fn append(&self, records: &[u8]) -> Result<WrittenGroup, LakeError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // what is not there any more is lost, or not found
        if current.as_ref().is_some_and(|open| !is_at(&open.file, &self.root.join(&open.key))) {
            *current = None;
        }
        let mut complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|open| open.length >= ROLL_AT) {
            *complete = current.take().map(|open| open.key);
        }
        // taken out and put back only on success: after a failed write or sync the tail of the file is unknown (the
        // kernel may have dropped dirty pages and report the next sync as good), so the file is not used again
        let (open, offset) = match current.take() {
            Some(mut open) => {
                let path = self.root.join(&open.key);
                if let Err(e) = self.write_synced(&mut open.file, records) {
                    *complete = Some(open.key);
                    return Err(failed("writing to", &path)(e));
                }
                let offset = open.length;
                open.length += records.len() as u64;
                (open, offset)
            }
            None => (self.create(records)?, MAGIC.len() as u64),
        };
        let key = open.key.clone();
        *current = Some(open);
        Ok(WrittenGroup { key, offset, is_complete: false, completed: complete.take() })
    }

    fn write_synced(&self, file: &mut File, records: &[u8]) -> io::Result<()> {
        if let Some(written) = self.interposer.append(records.len()) {
            file.write_all(records.get(..written).unwrap_or(records))?;
            file.sync_data()?;
            return Err(io::Error::other("a fault of a test"));
        }
        file.write_all(records)?;
        file.sync_data()
    }

    /// Reads a range as far as the file goes, and at least up to `needed`.
    pub(super) async fn read(&self, key: &str, range: Range<u64>, needed: u64) -> Result<Bytes, LakeError> {
        self.interposer.read(key)?;
        let (path, key) = (self.root.join(key), key.to_owned());
        blocking(move || {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(LakeError::Missing(format!("object {key} is missing").into()));
                }
                Err(e) => return Err(failed("opening", &path)(e)),
            };
            // the range comes from the catalog, which may be damaged: it must not decide how much is allocated
            let length = file.metadata().map_err(failed("reading", &path))?.len();
            let end = range.end.min(length);
            if range.start > end || needed > length {
                return Err(LakeError::Missing(
                    format!("object {key} ends at byte {length}, before byte {needed}").into(),
                ));
            }
            let mut bytes = vec![0; (end - range.start) as usize];
            file.seek(SeekFrom::Start(range.start)).map_err(failed("reading", &path))?;
            file.read_exact(&mut bytes).map_err(failed("reading", &path))?;
            Ok(bytes.into())
        })
        .await
    }

    /// Waits until a whole file that the object store wrote, and the directory entries that lead to it, are on disk.
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

    /// Deletes what unfinished uploads left under `prefix` before `before`.
    pub(super) async fn delete_unfinished(&self, prefix: &str, before: SystemTime) -> Result<u64, LakeError> {
        let root = self.root.join(prefix);
        blocking(move || delete_unfinished(&root, before).map_err(failed("cleaning up", &root))).await
    }

    pub(super) fn store(&self) -> Result<Arc<dyn ObjectStore>, LakeError> {
        let files = LocalFileSystem::new_with_prefix(&self.root)?.with_automatic_cleanup(true);
        Ok(self.interposer.store(Arc::new(files)))
    }

    pub(super) async fn ping(&self) -> Result<(), LakeError> {
        let root = self.root.clone();
        blocking(move || std::fs::metadata(&root).map(drop).map_err(failed("reading", &root))).await
    }

    /// Writes a file and deletes it.
    pub(super) async fn check_writable(&self) -> Result<(), LakeError> {
        if let Some(open) = &*self.current.lock().unwrap_or_else(PoisonError::into_inner)
            && !is_at(&open.file, &self.root.join(&open.key))
        {
            return Err(LakeError::Objects("the file with the last records is not there any more".into()));
        }
        self.check_in_place()?;
        let path = self.root.join(PROBE);
        blocking(move || {
            std::fs::write(&path, [0; PROBE_BYTES]).map_err(failed("writing", &path))?;
            match std::fs::remove_file(&path) {
                // another server looks, too
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("deleting", &path)(e)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Begins a new object. A lake whose directory was taken away is not begun anew: what is left of it is elsewhere.
    fn create(&self, records: &[u8]) -> Result<OpenObject, LakeError> {
        self.check_in_place()?;
        let fault = self.interposer.append(records.len());
        if fault.is_none_or(|written| written >= records.len()) {
            let created = create(&self.root, records)?;
            if fault.is_none() {
                return Ok(created);
            }
        }
        Err(failed("writing to", &self.root)(io::Error::other("a fault of a test")))
    }

    /// An error if the directory is not there any more, or another one is in its place.
    fn check_in_place(&self) -> Result<(), LakeError> {
        self.identity.check().map_err(failed("the directory of the lake was taken away:", &self.root))
    }

    /// The same for a thread that may block.
    fn for_a_thread(&self) -> Self {
        Self {
            root: self.root.clone(),
            identity: self.identity.clone(),
            current: Mutex::default(),
            complete: Mutex::default(),
            interposer: self.interposer.clone(),
        }
    }

    pub(super) async fn close(&self) -> Option<String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take().map(|open| open.key)
    }

    /// Waits for the lock of recovery; dropping the file releases it.
    pub(crate) async fn lock_recovery(&self) -> Result<File, LakeError> {
        let path = self.root.join("recovery.lock");
        blocking(move || {
            let file = File::create(&path).map_err(failed("making", &path))?;
            file.lock().map_err(failed("locking", &path))?;
            Ok(file)
        })
        .await
    }

    /// Files that never got a record and were last changed before `before`.
    pub(crate) async fn without_records(&self, before: SystemTime) -> Result<Vec<Leftover>, LakeError> {
        let this = self.for_a_thread();
        blocking(move || {
            let mut found = Vec::new();
            for key in this.record_files(|_| true)? {
                // gone by now
                let Ok(file) = std::fs::metadata(this.root.join(&key)) else { continue };
                let has_records = file.len() > MAGIC.len() as u64 && !is_unfinished(&key);
                if !has_records && file.modified().is_ok_and(|modified| modified < before) {
                    found.push(Leftover { key, size: file.len() });
                }
            }
            Ok(found)
        })
        .await
    }

    /// Deletes such files, unless somebody writes to them. Returns how many.
    pub(crate) async fn delete_without_records(&self, keys: Vec<String>) -> Result<u64, LakeError> {
        let this = self.for_a_thread();
        blocking(move || {
            let mut deleted = 0;
            for key in keys {
                if let Some(object) = this.abandoned(&key)?
                    && (is_unfinished(&key) || object.length() <= MAGIC.len() as u64)
                {
                    deleted += u64::from(object.delete_if_older(Duration::ZERO)?);
                }
            }
            Ok(deleted)
        })
        .await
    }

    /// Keys of all objects, sorted.
    pub(crate) fn keys(&self) -> Result<Vec<String>, LakeError> {
        self.record_files(|name| !is_unfinished(name))
    }

    /// Deletes files that were begun and never got their first group, unless their writers live. Returns how many.
    pub(crate) fn delete_unfinished_objects(&self) -> Result<u64, LakeError> {
        let mut deleted = 0;
        for key in self.record_files(is_unfinished)? {
            let path = self.root.join(&key);
            // by its writer, who finished it a moment ago
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() && std::fs::remove_file(&path).is_ok() {
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn record_files(&self, is_wanted: fn(&str) -> bool) -> Result<Vec<String>, LakeError> {
        let mut keys = Vec::new();
        let records = self.root.join("records");
        if !records.exists() {
            return Ok(keys);
        }
        for day in std::fs::read_dir(&records).map_err(failed("listing", &records))? {
            let day = day.map_err(failed("listing", &records))?.path();
            for file in std::fs::read_dir(&day).map_err(failed("listing", &day))? {
                let path = file.map_err(failed("listing", &day))?.path();
                if let (Some(day), Some(name)) = (day.file_name(), path.file_name())
                    && is_wanted(&name.to_string_lossy())
                {
                    keys.push(format!("records/{}/{}", day.to_string_lossy(), name.to_string_lossy()));
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// An object whose writer is gone, with its lock, which keeps others from reading it back too. `None` if a live writer
    /// holds the lock, or if it was deleted meanwhile.
    pub(crate) fn abandoned(&self, key: &str) -> Result<Option<AbandonedObject>, LakeError> {
        let path = self.root.join(key);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("opening", &path)(e)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(failed("locking", &path)(e)),
        }
        let length = file.metadata().map_err(failed("reading", &path))?.len();
        Ok(Some(AbandonedObject { path, file, length }))
    }
}

/// An object whose writer is gone.
#[derive(Debug)]
pub(crate) struct AbandonedObject {
    path: PathBuf,
    file: File,
    length: u64,
}

impl AbandonedObject {
    /// Its size in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Its bytes from a position on, which are on disk then: its writer may have died between write and sync, and rows must
    /// not outlive the bytes that they are made from.
    pub(crate) fn read_from(&mut self, position: u64) -> Result<Bytes, LakeError> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(position)).map_err(failed("reading", &self.path))?;
        self.file.read_to_end(&mut bytes).map_err(failed("reading", &self.path))?;
        self.file.sync_all().map_err(failed("syncing", &self.path))?;
        Ok(bytes.into())
    }

    /// Deletes it if it is old enough not to be one that another program has just created and not locked yet.
    pub(crate) fn delete_if_older(&self, age: Duration) -> Result<bool, LakeError> {
        let modified =
            self.file.metadata().and_then(|m| m.modified()).map_err(failed("reading", &self.path))?;
        if modified.elapsed().is_ok_and(|elapsed| elapsed < age) {
            return Ok(false);
        }
        std::fs::remove_file(&self.path).map_err(failed("deleting", &self.path))?;
        Ok(true)
    }
}

/// Creates a new object with its first records; its name survives a power cut. It gets its name when all of that is on
/// disk, so a disk that is full gets no files without records.
fn create(root: &Path, records: &[u8]) -> Result<OpenObject, LakeError> {
    let key = new_key();
    let path = root.join(&key);
    let unfinished = root.join(format!("{key}#0"));
    let day = path.parent().unwrap_or(root);
    std::fs::create_dir_all(day).map_err(failed("making", day))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&unfinished)
        .map_err(failed("making", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        // another process that opens the lake took the lock between our create and our lock, since the file looked
        // abandoned. It deletes it
        Err(TryLockError::WouldBlock) => return create(root, records),
        Err(TryLockError::Error(e)) => return Err(failed("locking", &path)(e)),
    }
    let written = file
        .write_all(MAGIC)
        .and_then(|()| file.write_all(records))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&unfinished, &path));
    if let Err(e) = written {
        // what can't be deleted now, the next start deletes
        let _ = std::fs::remove_file(&unfinished);
        return Err(failed("writing to", &path)(e));
    }
    for directory in [day, day.parent().unwrap_or(root), root] {
        File::open(directory).and_then(|d| d.sync_all()).map_err(failed("syncing", directory))?;
    }
    Ok(OpenObject { key, file, length: (MAGIC.len() + records.len()) as u64 })
}

fn is_unfinished(name: &str) -> bool {
    name.contains('#')
}

/// `LocalFileSystem` writes an upload to `NAME#NUMBER` and renames it at the end: a file with `#` is unfinished.
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
        } else if is_unfinished(&entry.file_name().to_string_lossy())
            && entry.metadata()?.modified()? < before
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
        Err(e) => Err(LakeError::Objects(Cause::new(format!("a thread for the disk ended early: {e}"), e))),
    }
}
