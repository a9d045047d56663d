//! Files that may be taken away from under a program that has them open.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// A path, and which file or directory it led to.
#[derive(Debug, Clone)]
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

/// Whether an open file is still where it was: what is written to one that was deleted is lost when it is closed, and what is
/// written to one that was moved is not found.
pub(crate) fn is_at(file: &std::fs::File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(found)) => id(&open) == id(&found),
        // what can't be told now may be as it should be
        (Err(_), _) => true,
        (_, Err(e)) => e.kind() != io::ErrorKind::NotFound,
    }
}
