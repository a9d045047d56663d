//! What the tables and functions of one query know.

use super::denials::Denials;
use super::error::engine_error;
use super::refused::{RefusedTable, refused_scalar};
use super::running::{RunningQueries, RunningQuery};
use super::{engine, information_schema};
use crate::assembly::{Assembly, Functions, ViewFactory};
use crate::partitions::{Wanted, Workshop};
use belvedere_lake::access::Caller;
use belvedere_lake::{LakeConnection, LakeError};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::decoder::DecodeOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore};
use uuid::Uuid;

/// Faults whose details are kept for a query; more are only counted.
const KEPT_FAULTS: usize = 100;

/// The lake, its tables and the limits, as one query sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryContext {
    pub(super) connection: Arc<LakeConnection>,
    pub(super) assembly: Arc<Assembly>,
    pub(super) factory: ViewFactory,
    pub(super) runtime: Arc<RuntimeEnv>,
    /// Partitions of a plan.
    pub(super) threads: usize,
    pub(super) range: TimeRange,
    /// Only rows of these blocks are there.
    pub(super) window: SeqRange,
    /// Rows are made anew whatever partitions there are.
    pub(super) is_live_only: bool,
    /// The last block that is there: the same one in the whole query.
    pub(super) last_seq: Arc<OnceCell<i64>>,
    pub(super) report: Arc<QueryReport>,
    pub(super) decode: DecodeOptions,
    /// Threads that may decode at once, over all queries.
    pub(super) decoders: Arc<Semaphore>,
    /// Where to say what it would have liked to find.
    pub(super) wanted: Arc<Wanted>,
    /// What functions that change partitions work with.
    pub(super) upkeep: Upkeep,
    /// Who asks.
    pub(super) caller: Arc<Caller>,
    /// The query came to its end, and nobody waits for what is still at work.
    pub(super) over: Arc<AtomicBool>,
    /// All queries of this program.
    pub(super) running: Arc<RunningQueries>,
    /// The rules that keep queries away.
    pub(super) denials: Arc<Denials>,
}

impl QueryContext {
    /// What is needed to plan SQL that nobody runs.
    pub(crate) fn for_definitions(
        connection: Arc<LakeConnection>,
        assembly: Arc<Assembly>,
        factory: ViewFactory,
        runtime: Arc<RuntimeEnv>,
    ) -> Self {
        let decode = DecodeOptions::new(assembly.layouts());
        Self {
            connection,
            assembly,
            factory,
            runtime,
            threads: 1,
            range: TimeRange::ALL,
            window: SeqRange::ALL,
            is_live_only: false,
            last_seq: Arc::default(),
            report: Arc::default(),
            decode,
            decoders: Arc::new(Semaphore::new(1)),
            wanted: Arc::default(),
            upkeep: Upkeep { threads: Arc::new(Semaphore::new(1)), grace: 0, memory_bytes: 0 },
            caller: Caller::anybody(),
            over: Arc::default(),
            running: Arc::default(),
            denials: Arc::default(),
        }
    }

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

    /// Memory and disk for queries.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn running(&self) -> &RunningQueries {
        &self.running
    }

    /// The range of event time that the query is about.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// What the query did so far.
    pub fn report(&self) -> &Arc<QueryReport> {
        &self.report
    }

    /// The blocks that the query sees: those that were visible when it first looked, or fewer.
    pub async fn visible(&self) -> Result<SeqRange, LakeError> {
        let last = self.last_seq.get_or_try_init(|| self.connection.catalog().last_seq()).await?;
        Ok(self.window.intersect(SeqRange::new(1, *last)))
    }

    pub(crate) fn decode_options(&self) -> &DecodeOptions {
        &self.decode
    }

    /// Whether rows are made anew whatever partitions there are.
    pub(crate) fn is_live_only(&self) -> bool {
        self.is_live_only
    }

    pub(crate) fn wanted(&self) -> &Arc<Wanted> {
        &self.wanted
    }

    pub(crate) fn workshop(&self) -> Workshop {
        let unlimited = Self {
            range: TimeRange::ALL,
            window: SeqRange::ALL,
            last_seq: Arc::default(),
            report: Arc::default(),
            ..self.clone()
        };
        let upkeep = &self.upkeep;
        Workshop::new(unlimited, upkeep.threads.clone(), upkeep.grace, upkeep.memory_bytes)
    }

    /// The same for that caller.
    #[cfg(test)]
    pub(super) fn asked_by(self, caller: Arc<Caller>) -> Self {
        Self { caller, ..self }
    }

    /// The same for a query that others see running, with its own memory.
    pub(super) fn of_query(self, query: &RunningQuery) -> Result<Self, DataFusionError> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(query.memory.clone())
            .build_arc()?;
        let (report, caller, over) = (query.report.clone(), query.caller.clone(), query.over.clone());
        Ok(Self { runtime, report, caller, over, ..self })
    }

    /// The same for another range of event time.
    #[must_use]
    pub fn with_range(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// The same for the rows of some blocks only, of all times.
    pub(crate) fn within(&self, window: SeqRange) -> Self {
        Self { window, range: TimeRange::ALL, ..self.clone() }
    }

    /// The same, with the blocks that are visible when it first looks.
    pub(crate) fn looking_anew(&self) -> Self {
        Self { last_seq: Arc::default(), ..self.clone() }
    }

    /// The same with a report of its own.
    pub(crate) fn reporting_anew(&self) -> Self {
        Self { report: Arc::default(), ..self.clone() }
    }

    /// The same with rows made anew whatever partitions there are.
    pub(crate) fn without_partitions(&self) -> Self {
        Self { is_live_only: true, ..self.clone() }
    }

    /// The same on one thread.
    pub(crate) fn single_threaded(&self) -> Self {
        Self { threads: 1, ..self.clone() }
    }

    /// A session of the engine in which the tables and functions of this context are there: for functions that are
    /// SQL over views.
    pub fn session(&self) -> Result<SessionContext, DataFusionError> {
        // the engine's own information_schema would stand before ours
        let mut config =
            SessionConfig::new().with_information_schema(false).with_target_partitions(self.threads.max(1));
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        // footers of our files are small, and mostly in the cache
        options.execution.parquet.metadata_size_hint = Some(64 << 10);
        let state = engine::session_state(&self.runtime.memory_pool)
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .build();
        let session = SessionContext::new_with_state(state);
        for view in self.factory.get_global_views() {
            session.register_table(view.get_view_set_name(), view.table(self).map_err(engine_error)?)?;
        }
        for (functions, _) in self.assembly.functions() {
            self.register(functions, &session);
        }
        information_schema::register(&session, &self.assembly)?;
        Ok(session)
    }

    /// The functions of one crate; in place of those that the caller may not use, some that say so. One that is not
    /// documented needs nobody knows which right, and is left out; the making of a view factory refuses it before.
    fn register(&self, functions: &Functions, session: &SessionContext) {
        let check = |name: &str| {
            let doc = functions.docs.iter().find(|doc| doc.name == name)?;
            Some(self.caller.check(doc.needs))
        };
        let set = (functions.make)(self);
        for scalar in set.scalars {
            match check(scalar.name()) {
                Some(Err(refused)) => session.register_udf(refused_scalar(scalar.name(), refused)),
                Some(Ok(())) => session.register_udf(scalar),
                None => (),
            }
        }
        for aggregate in set.aggregates {
            match check(aggregate.name()) {
                // a function of one value is looked for first: so that one is enough
                Some(Err(refused)) => session.register_udf(refused_scalar(aggregate.name(), refused)),
                Some(Ok(())) => session.register_udaf(aggregate),
                None => (),
            }
        }
        for (name, table) in set.tables {
            match check(name) {
                Some(Err(refused)) => session.register_udtf(name, Arc::new(RefusedTable(refused))),
                Some(Ok(())) => session.register_udtf(name, table),
                None => (),
            }
        }
    }
}

/// What is allowed for making partitions.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    /// Threads that make partitions at once.
    pub(crate) threads: Arc<Semaphore>,
    /// Nanoseconds for which replaced files are kept.
    pub(crate) grace: i64,
    pub(crate) memory_bytes: usize,
}

/// What a plan is going to read of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPlan {
    /// View set and instance.
    pub table: String,
    /// Partitions that there are.
    pub known_partitions: usize,
    /// Partitions that are read, or parts of them.
    pub partitions: usize,
    /// Bytes of their files.
    pub partition_bytes: i64,
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
    ignored: AtomicU64,
    scans: Mutex<Vec<ScanPlan>>,
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

    /// Events that gave no row although they are of a kind that should: the end of a span that never began, say.
    pub fn ignored_events(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(super) fn add_ignored(&self, events: u64) {
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

    pub(super) fn add_block(&self, payload_bytes: u64) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.payload_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
    }

    pub(super) fn add_scan(&self, scan: ScanPlan) {
        self.scans.lock().unwrap_or_else(PoisonError::into_inner).push(scan);
    }

    /// Blocks that could not be read when the partitions were made that are read now.
    pub(super) fn add_known_faults(&self, count: u64) {
        self.fault_count.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.fault_count.fetch_add(1, Ordering::Relaxed);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < KEPT_FAULTS {
            faults.push(fault);
        }
    }
}
