//! Directories for temporary files that are gone with their process, however it ends.
//!
//! A process that is killed deletes nothing. So each server has a directory of its own, with a lock that the kernel drops
//! when the process dies; the next server deletes directories whose lock is free.

use crate::error::{Context, Result};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// What the directories are called: this, and an id.
const PREFIX: &str = "belvedere-scratch-";
const LOCK: &str = "lock";

/// A directory for the temporary files of this process and of its query processes. Dropping it deletes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
    parts: AtomicU64,
}

impl Scratch {
    /// Makes a directory in `parent`, or where the operating system has temporary files, and deletes those that processes
    /// left there that are gone.
    pub fn new(parent: Option<&Path>) -> Result<Self, crate::Error> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let made = || format!("no directory for temporary files in {}", parent.display());
        std::fs::create_dir_all(&parent).with_context(made)?;
        delete_abandoned(&parent);
        let path = parent.join(format!("{PREFIX}{}", Uuid::new_v4().simple()));
        std::fs::create_dir(&path).with_context(made)?;
        let lock = File::create(path.join(LOCK)).with_context(made)?;
        lock.lock().with_context(made)?;
        Ok(Self { path, _lock: lock, parts: AtomicU64::new(0) })
    }

    /// The path of a file in it that is new. It is not made.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{name}-{number}"))
    }

    /// A directory in it that is new.
    pub fn part(&self) -> Result<PathBuf, crate::Error> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(number.to_string());
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        delete(&self.path);
    }
}

/// Deletes a directory and what is in it. What can't be deleted now goes when the next server starts.
pub(super) fn delete(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => tracing::warn!("temporary files in {} could not be deleted: {e}", path.display()),
    }
}

/// Whether nothing was done with a directory for an hour.
fn is_old(directory: &Path) -> bool {
    let modified = std::fs::metadata(directory).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > std::time::Duration::from_secs(3600)))
}

fn delete_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for directory in ours.map(|entry| entry.path()) {
        let Ok(lock) = File::open(directory.join(LOCK)) else {
            // it was made a moment ago, or is half deleted
            if is_old(&directory) {
                delete(&directory);
            }
            continue;
        };
        match lock.try_lock() {
            Ok(()) => delete(&directory),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_another_one_uses_stays() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::new(Some(parent.path())).unwrap();
        let part = used.part().unwrap();
        std::fs::write(part.join("rows"), b"x").unwrap();
        // a killed process leaves its files, and nobody has the lock
        let left = parent.path().join(format!("{PREFIX}gone"));
        std::fs::create_dir_all(left.join("0")).unwrap();
        std::fs::write(left.join(LOCK), b"").unwrap();
        let next = Scratch::new(Some(parent.path())).unwrap();
        assert!(!left.exists() && part.join("rows").exists());
        drop((used, next));
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
