//! What the tables and functions of one query know.

use super::deny_rules::DenyRules;
use super::refused::{RefusedTable, refused_scalar};
use super::running::{RunningQueries, RunningQuery};
use super::view::ViewFactory;
use super::{Functions, Make, SqlFunction, engine, information_schema};
use crate::partitions::{MaintenanceLimits, PartitionBuilder};
use crate::registry::Assembly;
use crate::scan::{ConformExec, QueryReport, RangeCache, ScanContext, ScanResources};
use arrow::datatypes::SchemaRef;
use belvedere_lake::access::Caller;
use belvedere_lake::{LakeConnection, LakeError};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::decoder::DecodeOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Rows of a batch where rows are large: of 1 MiB each, a batch is as large as usual ones are at most.
const CAREFUL_ROWS: usize = 64;

/// What is registered, and the tables that were made of it.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) assembly: Arc<Assembly>,
    pub(crate) factory: ViewFactory,
}

/// What all queries of a lake share beside what they scan.
#[derive(Debug)]
pub(crate) struct QueryResources {
    /// What functions that change partitions go by.
    pub(crate) maintenance: MaintenanceLimits,
    /// All queries of this program.
    pub(crate) running: RunningQueries,
    /// The rules by which queries are denied.
    pub(crate) deny_rules: DenyRules,
}

/// The lake, its tables and the limits, as one query sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryContext {
    scan: ScanContext,
    tables: Tables,
    resources: Arc<QueryResources>,
    /// Who asks.
    caller: Arc<Caller>,
}

impl QueryContext {
    /// A query by anybody.
    pub(crate) fn new(scan: ScanContext, tables: Tables, resources: Arc<QueryResources>) -> Self {
        Self { scan, tables, resources, caller: Caller::anybody() }
    }

    /// What is needed to plan SQL that nobody runs.
    pub(crate) fn for_definitions(
        connection: Arc<LakeConnection>,
        tables: Tables,
        runtime: Arc<RuntimeEnv>,
    ) -> Self {
        let files = RangeCache::new(connection.store().clone(), 0, false, Default::default());
        let scan = ScanResources {
            connection,
            decode: DecodeOptions::new(tables.assembly.layouts()),
            decoders: Arc::new(Semaphore::new(1)),
            decoder_count: 1,
            jit_requests: Arc::default(),
            seen_files: Default::default(),
            files: Arc::new(files),
        };
        let resources = QueryResources {
            maintenance: MaintenanceLimits::none(),
            running: RunningQueries::default(),
            deny_rules: DenyRules::default(),
        };
        Self::new(ScanContext::new(Arc::new(scan), runtime, 1), tables, Arc::new(resources))
    }

    /// What scans of the query go by.
    pub(crate) fn scan(&self) -> &ScanContext {
        &self.scan
    }

    /// The lake.
    pub fn connection(&self) -> &Arc<LakeConnection> {
        self.scan.connection()
    }

    /// What is registered.
    pub fn assembly(&self) -> &Assembly {
        &self.tables.assembly
    }

    /// All tables.
    pub fn factory(&self) -> &ViewFactory {
        &self.tables.factory
    }

    /// Memory and disk for the query.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.scan.runtime
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn running(&self) -> &RunningQueries {
        &self.resources.running
    }

    pub(crate) fn deny_rules(&self) -> &DenyRules {
        &self.resources.deny_rules
    }

    /// A plan whose columns, one for one, are those of `schema`: for tables that are made of other plans.
    pub fn conformed(input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        Arc::new(ConformExec::new(input, schema))
    }

    /// The range of event time that the query is about.
    pub fn range(&self) -> TimeRange {
        self.scan.range
    }

    /// What the query did so far.
    pub fn report(&self) -> &Arc<QueryReport> {
        &self.scan.report
    }

    /// The blocks that the query sees: those that were visible when it first looked, or fewer.
    pub async fn visible(&self) -> Result<SeqRange, LakeError> {
        self.scan.visible().await
    }

    pub(crate) fn decode_options(&self) -> &DecodeOptions {
        &self.scan.lake.decode
    }

    /// Makes partitions of everything, whatever this query is about.
    pub(crate) fn partition_builder(&self) -> PartitionBuilder {
        let scan = self.scan.unlimited();
        PartitionBuilder::new(scan.clone(), Arc::new(self.with_scan(scan)), &self.resources.maintenance)
    }

    /// The same for that caller.
    #[cfg(test)]
    pub(crate) fn asked_by(self, caller: Arc<Caller>) -> Self {
        Self { caller, ..self }
    }

    /// The same for a query that others see running, with its own memory.
    pub(crate) fn for_query(self, query: &RunningQuery) -> Result<Self, DataFusionError> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.scan.runtime)
            .with_memory_pool(query.memory.clone())
            .build_arc()?;
        let (report, over) = (query.report.clone(), query.over.clone());
        Ok(Self { scan: self.scan.with_query(runtime, report, over), caller: query.caller.clone(), ..self })
    }

    /// The same with batches of few rows, one after the other: slow, and with little memory for rows on their way.
    pub(crate) fn carefully(&self) -> Self {
        self.with_scan(self.scan.carefully())
    }

    /// The same with other scans.
    pub(crate) fn with_scan(&self, scan: ScanContext) -> Self {
        Self { scan, ..self.clone() }
    }

    /// The same for another range of event time.
    #[must_use]
    pub fn with_range(&self, range: TimeRange) -> Self {
        self.with_scan(self.scan.with_range(range))
    }

    /// The same for the rows of some blocks only, of all times.
    pub(crate) fn within(&self, window: SeqRange) -> Self {
        self.with_scan(self.scan.within(window))
    }

    /// A session of the engine in which the tables and functions of this context are there: for functions that are
    /// SQL over views.
    pub fn session(&self) -> Result<SessionContext, DataFusionError> {
        // the engine's own information_schema would stand before ours
        let mut config = SessionConfig::new()
            .with_information_schema(false)
            .with_target_partitions(self.scan.threads.max(1));
        if self.scan.is_careful {
            config = config.with_batch_size(CAREFUL_ROWS);
        }
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        // apache/datafusion's heap of groups takes NaN for a new group each time: wrong rows, or a panic
        options.optimizer.enable_topk_aggregation = false;
        // footers of our files are small, and mostly in the cache
        options.execution.parquet.metadata_size_hint = Some(64 << 10);
        let state =
            engine::session_state().with_config(config).with_runtime_env(self.scan.runtime.clone()).build();
        let session = SessionContext::new_with_state(state);
        for view in self.tables.factory.get_global_views() {
            session.register_table(view.get_view_set_name(), view.table(self)?)?;
        }
        for (functions, _) in self.assembly().extensions::<Functions>() {
            for function in functions.all() {
                self.register(function, &session);
            }
        }
        information_schema::register(&session, &self.tables.assembly)?;
        Ok(session)
    }

    /// A function, or, if the caller may not use it, one in its place that says so.
    fn register(&self, function: &SqlFunction, session: &SessionContext) {
        let name = function.name();
        match (self.caller.check(function.right()), function.maker()) {
            (Ok(()), Make::Scalar(make)) => session.register_udf(make(self)),
            (Ok(()), Make::Aggregate(make)) => session.register_udaf(make(self)),
            (Ok(()), Make::Table(make)) => session.register_udtf(name, make(self)),
            (Err(refused), Make::Table(_)) => session.register_udtf(name, Arc::new(RefusedTable(refused))),
            // a scalar function is looked up first, so it can also stand in for an aggregate
            (Err(refused), _) => session.register_udf(refused_scalar(name, refused)),
        }
    }
}
