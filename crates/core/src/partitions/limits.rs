//! What background work may use, and what it has made.

use super::postponed::Postponed;
use belvedere_lake::NewPartition;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What has been made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BuildStats {
    pub(crate) partitions: u64,
    pub(crate) blocks: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl BuildStats {
    /// One partition.
    pub(super) fn of(new: &NewPartition) -> Self {
        Self {
            partitions: 1,
            blocks: new.block_count as u64,
            rows: new.row_count as u64,
            bytes: new.file_size as u64,
        }
    }
}

impl std::ops::AddAssign for BuildStats {
    fn add_assign(&mut self, other: Self) {
        self.partitions += other.partitions;
        self.blocks += other.blocks;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// What is allowed for making partitions.
#[derive(Debug, Clone)]
pub(crate) struct MaintenanceLimits {
    /// Threads that make partitions at once.
    pub(crate) threads: Arc<Semaphore>,
    /// Nanoseconds for which replaced files are kept, for those who still read them.
    pub(crate) grace: i64,
    /// Bytes that all queries and all making of partitions may take.
    pub(crate) memory_bytes: usize,
    /// Blocks that were not there when partitions were to be made of them.
    pub(crate) postponed: Arc<Postponed>,
}

impl MaintenanceLimits {
    /// For where no partition is made.
    pub(crate) fn none() -> Self {
        Self { threads: Arc::new(Semaphore::new(1)), grace: 0, memory_bytes: 0, postponed: Arc::default() }
    }
}
