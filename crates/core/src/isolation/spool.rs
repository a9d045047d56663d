//! Rows that wait for a slow reader. A query that has been computed must not keep its process, its turn and its memory
//! because nobody takes the rows: what is ahead of the reader goes into a file.

use bytes::Bytes;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that wait in memory.
const IN_MEMORY: usize = 8 << 20;

/// Pieces of rows between the process that makes them and the client that takes them, in order.
#[derive(Debug)]
pub(crate) struct Spool {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    path: PathBuf,
    file: Option<File>,
    /// Where the next piece is read, and where the next one is written.
    read: u64,
    written: u64,
    disk: Arc<SpoolDisk>,
}

/// Disk space of all spools together.
#[derive(Debug)]
pub(crate) struct SpoolDisk {
    most_bytes: u64,
    used: AtomicU64,
}

impl SpoolDisk {
    pub(crate) fn new(most_bytes: u64) -> Arc<Self> {
        Arc::new(Self { most_bytes, used: AtomicU64::new(0) })
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let grown = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.most_bytes)
        });
        grown.is_ok()
    }
}

impl Spool {
    /// A spool whose file, if it needs one, is `path`.
    pub(crate) fn new(path: &Path, disk: Arc<SpoolDisk>) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            path: path.to_owned(),
            file: None,
            read: 0,
            written: 0,
            disk,
        }
    }

    /// Adds a piece behind the others. False if there is no room for it.
    pub(crate) fn push(&mut self, piece: Bytes) -> Result<bool> {
        let is_in_memory = self.read == self.written;
        if is_in_memory && (self.waiting.is_empty() || self.waiting_bytes + piece.len() <= IN_MEMORY) {
            self.waiting_bytes += piece.len();
            self.waiting.push_back(piece);
            return Ok(true);
        }
        let length = piece.len() as u64 + 8;
        if !self.disk.take(length) {
            return Ok(false);
        }
        // what was taken is given back when the file is empty, or gone
        let at = self.written;
        self.written += length;
        let file = self.file()?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&(piece.len() as u64).to_le_bytes())?;
        file.write_all(&piece)?;
        Ok(true)
    }

    /// Takes the first piece.
    pub(crate) fn pop(&mut self) -> Result<Option<Bytes>> {
        if let Some(piece) = self.waiting.pop_front() {
            self.waiting_bytes -= piece.len();
            return Ok(Some(piece));
        }
        if self.read == self.written {
            return Ok(None);
        }
        let at = self.read;
        let file = self.file()?;
        file.seek(SeekFrom::Start(at))?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let mut piece = vec![0; usize::try_from(length).map_err(|e| Error::new(ErrorKind::InvalidData, e))?];
        file.read_exact(&mut piece)?;
        self.read += length + 8;
        if self.read == self.written {
            // nothing waits: the disk space is free again
            self.file()?.set_len(0)?;
            self.give_back();
        }
        Ok(Some(piece.into()))
    }

    fn give_back(&mut self) {
        self.disk.used.fetch_sub(self.written, Ordering::Relaxed);
        (self.read, self.written) = (0, 0);
    }

    fn file(&mut self) -> Result<&mut File> {
        if self.file.is_none() {
            let mut options = File::options();
            self.file = Some(options.read(true).write(true).create(true).truncate(true).open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // one that stays goes with its directory
            let _ = std::fs::remove_file(&self.path);
        }
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn pieces_come_out_in_order_whether_they_waited_in_memory_or_on_disk(
            steps in prop::collection::vec((any::<bool>(), 0_usize..5_000_000), 1..24),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let disk = SpoolDisk::new(u64::MAX);
            let mut spool = Spool::new(&directory.path().join("rows"), disk.clone());
            let (mut pushed, mut popped) = (0_u8, 0_u8);
            for (is_push, size) in steps {
                if is_push {
                    prop_assert!(spool.push(vec![pushed; size].into()).unwrap());
                    pushed += 1;
                } else if let Some(piece) = spool.pop().unwrap() {
                    prop_assert!(piece.iter().all(|byte| *byte == popped));
                    popped += 1;
                }
            }
            while let Some(piece) = spool.pop().unwrap() {
                prop_assert!(piece.iter().all(|byte| *byte == popped));
                popped += 1;
            }
            prop_assert_eq!(pushed, popped);
            prop_assert_eq!(disk.used(), 0);
            drop(spool);
            prop_assert!(!directory.path().join("rows").exists());
        }
    }

    #[test]
    fn all_spools_together_take_no_more_disk_than_they_may() {
        let directory = tempfile::tempdir().unwrap();
        let disk = SpoolDisk::new(200);
        let spool = |name: &str| {
            let mut spool = Spool::new(&directory.path().join(name), disk.clone());
            assert!(spool.push(vec![0; IN_MEMORY].into()).unwrap());
            spool
        };
        let (mut one, mut other) = (spool("one"), spool("other"));
        assert!(one.push(vec![1; 80].into()).unwrap());
        assert!(other.push(vec![1; 80].into()).unwrap());
        assert!(!one.push(vec![2; 80].into()).unwrap());
        drop(other);
        assert!(one.push(vec![2; 80].into()).unwrap());
        drop(one);
        assert_eq!(disk.used(), 0);
    }
}
