//! What a query reads and did: complete when its last row has been taken.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Faults whose details are kept for a query; more are only counted.
const KEPT_FAULTS: usize = 100;

/// What a plan is going to read of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScanPlan {
    /// View set and instance.
    pub table: String,
    /// Partitions that there are.
    pub known_partitions: usize,
    /// Partitions that are read, or parts of them.
    pub partitions: usize,
    /// Bytes of their files.
    pub partition_bytes: i64,
    /// Rows of the partitions, before any condition.
    pub partition_rows: i64,
    /// Blocks that are decoded.
    pub blocks: i64,
    /// Bytes of their payloads.
    pub block_bytes: i64,
}

impl std::fmt::Display for ScanPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} of {} partitions ({} bytes of files), {} blocks to decode ({} bytes)",
            self.table,
            self.partitions,
            self.known_partitions,
            self.partition_bytes,
            self.blocks,
            self.block_bytes
        )
    }
}

/// Bytes of a row in a file, on the average, that are much.
const LARGE_ROW: i64 = 16 << 10;
/// Bytes of a payload, on the average, that are much.
const LARGE_BLOCK: i64 = 4 << 20;

impl ScanPlan {
    /// Whether rows may be so large that a batch of them takes much memory.
    pub(crate) fn has_large_rows(&self) -> bool {
        self.partition_bytes > self.partition_rows.saturating_mul(LARGE_ROW)
            || self.block_bytes > self.blocks.saturating_mul(LARGE_BLOCK)
    }
}

/// A block whose rows are missing from an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// View set that should have had the rows.
    pub view_set: String,
    /// The block.
    pub block_id: Uuid,
    /// Its process.
    pub process_id: Uuid,
    /// Why it can't be read.
    pub reason: String,
    /// Number of the block in the lake.
    pub seq: i64,
    /// The block was not where it should be. It may be readable later.
    pub may_pass: bool,
}

/// What a query did. Complete when its last row has been taken.
#[derive(Debug, Default)]
pub struct QueryReport {
    blocks: AtomicU64,
    payload_bytes: AtomicU64,
    fault_count: AtomicU64,
    faults: Mutex<Vec<Fault>>,
    /// Of those that may pass, the one of the first block.
    first_passing: Mutex<Option<Fault>>,
    ignored: AtomicU64,
    damaged_files: AtomicU64,
    scans: Mutex<Vec<ScanPlan>>,
}

/// All that a report says, for another process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReportState {
    blocks: u64,
    payload_bytes: u64,
    fault_count: u64,
    faults: Vec<Fault>,
    ignored: u64,
    scans: Vec<ScanPlan>,
}

impl QueryReport {
    /// All that it says now.
    pub(crate) fn state(&self) -> ReportState {
        ReportState {
            blocks: self.blocks(),
            payload_bytes: self.payload_bytes(),
            fault_count: self.fault_count(),
            faults: self.faults(),
            ignored: self.ignored_events(),
            scans: self.scans(),
        }
    }

    /// Says what the report of another process says.
    pub(crate) fn adopt(&self, state: ReportState) {
        self.adopt_progress(state.blocks, state.payload_bytes);
        self.fault_count.store(state.fault_count, Ordering::Relaxed);
        self.ignored.store(state.ignored, Ordering::Relaxed);
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = state.faults;
        *self.scans.lock().unwrap_or_else(PoisonError::into_inner) = state.scans;
    }

    /// Says how far another process has come.
    pub(crate) fn adopt_progress(&self, blocks: u64, payload_bytes: u64) {
        self.blocks.store(blocks, Ordering::Relaxed);
        self.payload_bytes.store(payload_bytes, Ordering::Relaxed);
    }

    /// Blocks that were decoded.
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes of payload that were read.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes.load(Ordering::Relaxed)
    }

    /// Blocks that could not be read.
    pub fn fault_count(&self) -> u64 {
        self.fault_count.load(Ordering::Relaxed)
    }

    /// Events that gave no row although they are of a kind that should: the end of a span that never began, say.
    pub fn ignored_events(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(crate) fn add_ignored(&self, events: u64) {
        self.ignored.fetch_add(events, Ordering::Relaxed);
    }

    /// What the plan reads, table by table.
    pub fn scans(&self) -> Vec<ScanPlan> {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of them that were met in this query; others are known from when their partition was made, and
    /// `block_faults()` has them.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of the blocks that may be readable later, the first one.
    pub(crate) fn first_passing_fault(&self) -> Option<Fault> {
        self.first_passing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a file was found to be damaged whose blocks can be decoded instead.
    pub(crate) fn damaged_files(&self) -> u64 {
        self.damaged_files.load(Ordering::Relaxed)
    }

    pub(crate) fn add_damaged_file(&self) {
        self.damaged_files.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_block(&self, payload_bytes: u64) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.payload_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_scan(&self, scan: ScanPlan) {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).push(scan);
    }

    /// Blocks that could not be read when the partitions were made that are read now.
    pub(crate) fn add_known_faults(&self, count: u64) {
        self.fault_count.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        self.fault_count.fetch_add(1, Ordering::Relaxed);
        if fault.may_pass {
            let mut first = self.first_passing.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|first| fault.seq < first.seq) {
                *first = Some(fault.clone());
            }
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < KEPT_FAULTS {
            faults.push(fault);
        }
    }
}
