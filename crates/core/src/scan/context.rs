//! What scans go by: what all queries of a lake share, and the view that one query has of it.

use super::jit_requests::JitRequests;
use super::{QueryReport, RangeCache, SeenFiles};
use belvedere_lake::{LakeConnection, LakeError};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::decoder::DecodeOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{OnceCell, Semaphore};

/// What all scans of a lake share.
#[derive(Debug)]
pub(crate) struct ScanResources {
    pub(crate) connection: Arc<LakeConnection>,
    pub(crate) decode: DecodeOptions,
    /// Threads that may decode at once, over all queries.
    pub(crate) decoders: Arc<Semaphore>,
    /// All permits of it.
    pub(crate) decoder_count: u32,
    /// Where queries say which partitions they would have liked to find.
    pub(crate) jit_requests: Arc<JitRequests>,
    /// Which files of partitions were there, and when.
    pub(crate) seen_files: SeenFiles,
    /// Where files of partitions are read.
    pub(crate) files: Arc<RangeCache>,
}

/// Payloads of more bytes are decoded alone: LZ4 makes up to 255 times as much of them.
const LARGE: usize = 1 << 20;

impl ScanResources {
    /// How many permits to take for decoding a payload.
    pub(crate) fn permits(&self, payload_bytes: usize) -> u32 {
        if payload_bytes > LARGE { self.decoder_count } else { 1 }
    }
}

/// What one query sees of a lake. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ScanContext {
    pub(crate) lake: Arc<ScanResources>,
    /// Memory and disk for the query.
    pub(crate) runtime: Arc<RuntimeEnv>,
    /// Partitions of a plan.
    pub(crate) threads: usize,
    pub(crate) range: TimeRange,
    /// Only rows of these blocks are there.
    pub(crate) window: SeqRange,
    /// Rows are decoded anew whatever partitions there are.
    pub(crate) is_live_only: bool,
    /// The last block that is there: the same one in the whole query.
    last_seq: Arc<OnceCell<i64>>,
    pub(crate) report: Arc<QueryReport>,
    /// The query came to its end, and nobody waits for what is still at work.
    pub(crate) over: Arc<AtomicBool>,
    /// Few rows at a time, one batch after the other: rows are large.
    pub(crate) is_careful: bool,
}

impl ScanContext {
    /// A query about everything that is there now.
    pub(crate) fn new(lake: Arc<ScanResources>, runtime: Arc<RuntimeEnv>, threads: usize) -> Self {
        Self {
            lake,
            runtime,
            threads,
            range: TimeRange::ALL,
            window: SeqRange::ALL,
            is_live_only: false,
            last_seq: Arc::default(),
            report: Arc::default(),
            over: Arc::default(),
            is_careful: false,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<LakeConnection> {
        &self.lake.connection
    }

    /// The blocks that the query sees: those that were visible when it first looked, or fewer.
    pub(crate) async fn visible(&self) -> Result<SeqRange, LakeError> {
        let last = self.last_seq.get_or_try_init(|| self.connection().catalog().last_seq()).await?;
        Ok(self.window.intersect(SeqRange::new(1, *last)))
    }

    /// The same with what belongs to one query that others see running.
    pub(crate) fn with_query(
        &self,
        runtime: Arc<RuntimeEnv>,
        report: Arc<QueryReport>,
        over: Arc<AtomicBool>,
    ) -> Self {
        Self { runtime, report, over, ..self.clone() }
    }

    /// The same with few rows at a time, one batch after the other.
    pub(crate) fn carefully(&self) -> Self {
        Self { is_careful: true, threads: 1, ..self.clone() }
    }

    /// The same for another range of event time.
    pub(crate) fn with_range(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// The same for the rows of some blocks only, of all times.
    pub(crate) fn within(&self, window: SeqRange) -> Self {
        Self { window, range: TimeRange::ALL, ..self.clone() }
    }

    /// The same, with the blocks that are visible when it first looks.
    pub(crate) fn with_fresh_snapshot(&self) -> Self {
        Self { last_seq: Arc::default(), ..self.clone() }
    }

    /// The same with a report of its own.
    pub(crate) fn with_fresh_report(&self) -> Self {
        Self { report: Arc::default(), ..self.clone() }
    }

    /// The same with rows decoded anew whatever partitions there are.
    pub(crate) fn without_partitions(&self) -> Self {
        Self { is_live_only: true, ..self.clone() }
    }

    /// The same on one thread.
    pub(crate) fn single_threaded(&self) -> Self {
        Self { threads: 1, ..self.clone() }
    }

    /// The same without what belongs to one query: for making partitions of everything.
    pub(crate) fn unlimited(&self) -> Self {
        Self { range: TimeRange::ALL, window: SeqRange::ALL, ..self.clone() }
            .with_fresh_snapshot()
            .with_fresh_report()
    }
}
