//! What the tables and functions of one query know.

use crate::decode::DecodeLimits;
use crate::lake::LakeConnection;
use crate::registry::{Assembly, ViewFactory};
use crate::time::TimeRange;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Faults whose details are kept for a query; more are only counted.
const KEPT_FAULTS: usize = 100;

/// The lake, its tables and the limits, as one query sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryContext {
    pub(super) connection: Arc<LakeConnection>,
    pub(super) assembly: Arc<Assembly>,
    pub(super) factory: ViewFactory,
    pub(super) range: TimeRange,
    pub(super) report: Arc<QueryReport>,
    pub(super) limits: DecodeLimits,
    /// Threads that may decode at once, over all queries.
    pub(super) decoders: Arc<Semaphore>,
}

impl QueryContext {
    /// The lake.
    pub fn connection(&self) -> &Arc<LakeConnection> {
        &self.connection
    }

    /// What is registered.
    pub fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// All tables.
    pub fn factory(&self) -> &ViewFactory {
        &self.factory
    }

    /// The range of event time that the query is about.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// What the query did so far.
    pub fn report(&self) -> &Arc<QueryReport> {
        &self.report
    }
}

/// A block whose rows are missing from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// View set that should have had the rows.
    pub view_set: String,
    /// The block.
    pub block_id: Uuid,
    /// Its process.
    pub process_id: Uuid,
    /// Why it can't be read.
    pub reason: String,
}

/// What a query did. Complete when its last row has been taken.
#[derive(Debug, Default)]
pub struct QueryReport {
    blocks: AtomicU64,
    payload_bytes: AtomicU64,
    fault_count: AtomicU64,
    faults: Mutex<Vec<Fault>>,
}

impl QueryReport {
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

    /// The first of them.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_block(&self, payload_bytes: u64) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.payload_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.fault_count.fetch_add(1, Ordering::Relaxed);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < KEPT_FAULTS {
            faults.push(fault);
        }
    }
}
