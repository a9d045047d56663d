//! Files that may be taken away from under a program that has them open.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// A path, and which file it led to.
#[derive(Debug)]
pub(crate) struct FileIdentity {
    path: PathBuf,
    id: (u64, u64),
}

impl FileIdentity {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(&std::fs::metadata(path)?) })
    }

    /// An error if the path leads to nothing, or to another file.
    pub(crate) fn check(&self) -> io::Result<()> {
        match id(&std::fs::metadata(&self.path)?) == self.id {
            true => Ok(()),
            false => Err(io::Error::other("another one is in its place")),
        }
    }
}

#[cfg(unix)]
fn id(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Whether an open file has no name any more: what is written to it is lost when it is closed.
#[cfg(unix)]
pub(crate) fn is_deleted(file: &std::fs::File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// An open file can't be deleted here.
#[cfg(not(unix))]
pub(crate) fn is_deleted(_: &std::fs::File) -> bool {
    false
}
