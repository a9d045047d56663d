//! How far opening a lake is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What opening a lake has done so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct OpenProgress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    objects: AtomicU64,
    objects_done: AtomicU64,
    blocks: AtomicU64,
}

impl OpenProgress {
    /// Objects that are to be read back; 0 if that is not known yet.
    pub fn objects(&self) -> u64 {
        self.0.objects.load(Ordering::Relaxed)
    }

    /// Objects that have been read back.
    pub fn objects_done(&self) -> u64 {
        self.0.objects_done.load(Ordering::Relaxed)
    }

    /// Blocks that have been read back.
    pub fn blocks(&self) -> u64 {
        self.0.blocks.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, objects: u64) {
        self.0.objects.store(objects, Ordering::Relaxed);
    }

    pub(crate) fn object_done(&self) {
        self.0.objects_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_blocks(&self, blocks: u64) {
        self.0.blocks.fetch_add(blocks, Ordering::Relaxed);
    }
}

/// It is no part of where a lake is.
impl PartialEq for OpenProgress {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OpenProgress {}
