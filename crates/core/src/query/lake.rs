//! The lake as one value: feed it, ask it.

use super::context::{ScanPlan, Upkeep};
use super::denials::Denials;
use super::interrupt::interruptible;
use super::memory::{LakeMemory, QueryMemory};
use super::output::{answer_schema, split};
use super::partition_scan::STORE;
use super::range_cache::RangeCache;
use super::running::RunningQueries;
use super::{
    AnswerTypes, Description, QueryContext, QueryError, QueryReport, QueryRequest, complexity, documented,
    information_schema,
};
use crate::assembly::Assembly;
use crate::partitions::{Expired, InstancePartitions, Retention, Wanted};
use crate::views::Views;
use anyhow::{Context, Result};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_lake::access::Caller;
use belvedere_lake::{LakeConnection, LakeOptions};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::decoder::DecodeOptions;
use belvedere_view::linked_unsorted;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions};
use futures::{StreamExt, TryStreamExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How much a lake may use.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Bytes for all queries together; operators that can spill to disk do so beyond.
    pub memory_bytes: usize,
    /// Bytes of disk for what all queries together spill; those that want more fail.
    pub spill_bytes: u64,
    /// Where that goes, if not to where the operating system has temporary files. It is made if it is not there.
    pub spill_directory: Option<PathBuf>,
    /// Bytes for each decompressed buffer of a block.
    pub block_bytes: usize,
    /// Threads that decode at once, and partitions of a plan.
    pub threads: usize,
    /// Threads that make partitions at once.
    pub background_threads: usize,
    /// Bytes of footers of partitions that are kept in memory.
    pub footer_cache_bytes: usize,
    /// Bytes of partitions' contents that are kept in memory.
    pub content_cache_bytes: usize,
    /// How long the file of a partition that was replaced is kept for those who still read it.
    pub grace: Duration,
}

impl Default for LakeConfig {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 2 << 30,
            spill_bytes: 10 << 30,
            spill_directory: None,
            block_bytes: DecodeOptions::default().block_bytes(),
            threads,
            // queries and senders come first
            background_threads: (threads / 2).max(1),
            footer_cache_bytes: 64 << 20,
            content_cache_bytes: 256 << 20,
            grace: Duration::from_secs(3600),
        }
    }
}

/// A lake with its views: what a program embeds.
///
/// Cheap to clone; all clones are the same lake.
#[derive(Debug, Clone)]
pub struct Lake {
    connection: Arc<LakeConnection>,
    views: Arc<Views>,
    runtime: Arc<RuntimeEnv>,
    config: LakeConfig,
    decoders: Arc<Semaphore>,
    wanted: Arc<Wanted>,
    upkeep: Upkeep,
    memory: Arc<LakeMemory>,
    running: Arc<RunningQueries>,
    denials: Arc<Denials>,
}

/// The answer to a query, on its way.
pub struct QueryResult {
    /// The columns, in their documented types.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub rows: SendableRecordBatchStream,
    /// What the query did; complete when the last row has been taken.
    pub report: Arc<QueryReport>,
    /// How the rows are made.
    pub(super) plan: Option<Arc<dyn ExecutionPlan>>,
}

/// A statement, and how its answer is to be.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Option<ParamValues>,
    pub(super) limit: Option<usize>,
    pub(super) types: AnswerTypes,
}

impl Statement {
    pub(super) fn of(request: &QueryRequest) -> Self {
        let QueryRequest { sql, parameters, limit, types, .. } = request;
        Self { sql: sql.clone(), parameters: parameters.clone(), limit: *limit, types: *types }
    }
}

/// A statement that can be run.
struct Planned {
    /// The columns as they were described before anything was optimized.
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    is_explain: bool,
}

/// Stack of a thread that plans: the engine's recursion takes kilobytes for each level, and
/// [`complexity`](super::complexity) lets some thousands of levels through.
const PLANNING_STACK: usize = 64 << 20;

/// Plans, where there is room for it: planning takes a deep stack, may take seconds without a pause, and must not keep
/// the threads that answers move on. Who stops waiting leaves it to come to its end, and `held` with it.
async fn planning<T: Send + 'static, H: Send + 'static>(
    work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    held: H,
) -> Result<(T, H), QueryError> {
    let runtime = Handle::current();
    let planned = tokio::task::spawn_blocking(move || {
        (stacker::grow(PLANNING_STACK, move || runtime.block_on(work)), held)
    });
    match planned.await {
        Ok((planned, held)) => Ok((planned?, held)),
        Err(_) => Err(QueryError::Internal(
            "planning the query broke off, which is a fault of the server: its log says more".to_owned(),
        )),
    }
}

impl Lake {
    /// Opens the lake in a directory, making it if it is not there, with the views that are linked in.
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::connect(&LakeOptions::directory(directory.as_ref())).await
    }

    /// A lake in memory, gone with its last clone.
    pub async fn in_memory() -> Result<Self> {
        Self::connect(&LakeOptions::in_memory()).await
    }

    /// Opens the lake at these addresses with the views that are linked in.
    pub async fn connect(options: &LakeOptions) -> Result<Self> {
        let assembly = Assembly::new(linked_unsorted())?;
        Self::assemble(options, assembly, LakeConfig::default()).await
    }

    /// Opens a lake with these views and limits.
    pub async fn assemble(options: &LakeOptions, assembly: Assembly, config: LakeConfig) -> Result<Self> {
        let memory = LakeMemory::new(config.memory_bytes);
        let caches = CacheManagerConfig::default().with_metadata_cache_limit(config.footer_cache_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(QueryMemory::new(memory.clone(), config.memory_bytes)))
            .with_cache_manager(caches)
            .with_disk_manager_builder(spilling(&config)?)
            .build_arc()?;
        let connection = LakeConnection::open(options).await.context("the lake could not be opened")?;
        let store = RangeCache::new(
            connection.store().clone(),
            config.content_cache_bytes,
            connection.metrics().partition_bytes_read.clone(),
        );
        runtime.register_object_store(ObjectStoreUrl::parse(STORE)?.as_ref(), Arc::new(store));
        let views = Arc::new(Views::new(assembly, connection.clone(), runtime.clone()).await?);
        Ok(Self {
            connection,
            views,
            runtime,
            decoders: Arc::new(Semaphore::new(config.threads.max(1))),
            wanted: Arc::default(),
            upkeep: Upkeep {
                threads: Arc::new(Semaphore::new(config.background_threads.max(1))),
                grace: i64::try_from(config.grace.as_nanos()).unwrap_or(i64::MAX),
                memory_bytes: config.memory_bytes,
            },
            memory,
            running: Arc::default(),
            denials: Arc::default(),
            config,
        })
    }

    /// The lake below the views: what to feed, and what there is.
    pub fn connection(&self) -> &Arc<LakeConnection> {
        &self.connection
    }

    /// What is registered, and the views that are defined in the lake itself.
    pub fn assembly(&self) -> Arc<Assembly> {
        self.views.current().0
    }

    /// Begins to answer a query about events in `range`. Only queries: statements that would change
    /// something are refused.
    pub async fn query(&self, sql: &str, range: TimeRange) -> Result<QueryResult, QueryError> {
        let statement =
            Statement { sql: sql.to_owned(), parameters: None, limit: None, types: AnswerTypes::Documented };
        self.answer(&self.context(range), statement, ()).await.map(|(result, ())| result)
    }

    /// Plans a statement, without running it. `held` is dropped when planning is over, whoever waits for it.
    pub(super) async fn describe(
        &self,
        context: &QueryContext,
        statement: Statement,
        held: impl Send + 'static,
    ) -> Result<Description, QueryError> {
        self.views.refresh().await;
        let (lake, context) = (self.clone(), context.clone());
        let described = async move {
            let frame = lake.frame(&context, &statement).await?;
            let mut parameters: Vec<(String, Option<DataType>)> =
                frame.logical_plan().get_parameter_types()?.into_iter().collect();
            // $2 before $10
            parameters.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
            let parameters = parameters
                .into_iter()
                .map(|(name, data_type)| Field::new(name, data_type.unwrap_or(DataType::Utf8), true));
            Ok(Description {
                schema: answer_schema(frame.schema().as_arrow(), statement.types),
                parameters: Arc::new(Schema::new(parameters.collect::<Vec<_>>())),
            })
        };
        planning(described, held).await.map(|(description, _)| description)
    }

    async fn frame(&self, context: &QueryContext, statement: &Statement) -> Result<DataFrame, QueryError> {
        complexity::check(&statement.sql)?;
        let session = context.session()?;
        let sql = &*information_schema::with_descriptions(&statement.sql, context.assembly());
        // no DDL, no DML, no SET: and so no way to the host's files
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let mut frame = session.sql_with_options(sql, options).await.map_err(|e| {
            let error = QueryError::from(e);
            match (error, self.views.problems().first()) {
                // it may be just that view that is missing
                (QueryError::Sql(text), Some(problem)) => QueryError::Sql(format!("{text} ({problem})")),
                (error, _) => error,
            }
        })?;
        if let Some(parameters) = &statement.parameters {
            check_parameters(&frame, parameters)?;
            frame = frame.with_param_values(parameters.clone())?;
        }
        if let Some(limit) = statement.limit {
            frame = frame.limit(0, Some(limit))?;
        }
        Ok(frame)
    }

    /// Begins to answer a statement. `held` comes back when it is planned, or is dropped then if nobody waits any more.
    pub(super) async fn answer<H: Send + 'static>(
        &self,
        context: &QueryContext,
        statement: Statement,
        held: H,
    ) -> Result<(QueryResult, H), QueryError> {
        self.connection.metrics().queries.inc();
        self.views.refresh().await;
        let report = context.report.clone();
        let types = statement.types;
        let (lake, context) = (self.clone(), context.clone());
        let planned = async move {
            let frame = lake.frame(&context, &statement).await?;
            let is_explain = matches!(frame.logical_plan(), LogicalPlan::Explain(_));
            let task = Arc::new(frame.task_ctx());
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let plan = interruptible(frame.create_physical_plan().await?, &context.over)?;
            Ok(Planned { schema, plan, task, is_explain })
        };
        let (Planned { schema, plan, task, is_explain }, held) = planning(planned, held).await?;
        let mut engine_rows = execute_stream(plan.clone(), task)?;
        if is_explain {
            engine_rows = with_scans(engine_rows, &report.scans())?;
        }
        let schema = answer_schema(&schema, types);
        let to = schema.clone();
        let rows = engine_rows
            .map_ok(|batch| futures::stream::iter(split(batch)).map(Ok::<_, DataFusionError>))
            .try_flatten()
            .map(move |batch: Result<RecordBatch, DataFusionError>| Ok(documented(&batch?, &to)?));
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
        Ok((QueryResult { schema, rows, report, plan: Some(plan) }, held))
    }

    /// All rows of the answer to a query about the whole lake: for tests and small answers.
    pub async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        let result = self.query(sql, TimeRange::ALL).await?;
        Ok(result.rows.try_collect().await?)
    }

    /// Lets insertions under way come to their end, then closes.
    pub async fn close(&self) {
        self.connection.close().await;
    }

    /// What a query of events in that range works with.
    pub fn context(&self, range: TimeRange) -> QueryContext {
        let (assembly, factory) = self.views.current();
        let decode = DecodeOptions::new(assembly.layouts()).with_block_bytes(self.config.block_bytes);
        QueryContext {
            connection: self.connection.clone(),
            assembly,
            factory,
            runtime: self.runtime.clone(),
            threads: self.config.threads,
            range,
            window: SeqRange::ALL,
            is_live_only: false,
            last_seq: Arc::default(),
            report: Arc::default(),
            decode,
            decoders: self.decoders.clone(),
            wanted: self.wanted.clone(),
            upkeep: self.upkeep.clone(),
            caller: Caller::anybody(),
            over: Arc::default(),
            running: self.running.clone(),
            denials: self.denials.clone(),
        }
    }

    /// The partitions of a view instance, to be made, merged and retired by hand. An error if there is no such instance,
    /// or if its rows are not kept in partitions.
    pub fn instance_partitions(&self, view_set: &str, instance: &str) -> Result<InstancePartitions> {
        InstancePartitions::new(self.context(TimeRange::ALL).workshop(), view_set, instance)
    }

    /// What is wrong with the views that users defined in the lake.
    pub fn problems(&self) -> Vec<String> {
        self.views.problems()
    }

    /// What would go if only that were kept.
    pub async fn what_would_expire(&self, retention: &Retention) -> Result<Vec<Expired>> {
        self.context(TimeRange::ALL).workshop().expire(retention, true).await
    }

    /// Threads that queries take at most.
    pub fn query_threads(&self) -> usize {
        self.config.threads.max(1)
    }

    /// Threads that background work takes at most.
    pub fn background_threads(&self) -> usize {
        self.config.background_threads.max(1)
    }

    pub(super) fn memory(&self) -> &Arc<LakeMemory> {
        &self.memory
    }

    pub(super) fn running(&self) -> &RunningQueries {
        &self.running
    }

    pub(crate) fn views(&self) -> &Views {
        &self.views
    }
}

/// Where operators put what does not fit into memory.
fn spilling(config: &LakeConfig) -> Result<DiskManagerBuilder> {
    let mode = match &config.spill_directory {
        None => DiskManagerMode::OsTmpDirectory,
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("queries can't spill to {}", directory.display()))?;
            DiskManagerMode::Directories(vec![directory.clone()])
        }
    };
    Ok(DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(config.spill_bytes))
}

/// Adds to the answer of EXPLAIN what the plan reads.
fn with_scans(
    rows: SendableRecordBatchStream,
    scans: &[ScanPlan],
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let schema = rows.schema();
    let is_text = |i: usize| *schema.field(i).data_type() == DataType::Utf8;
    if schema.fields().len() != 2 || !is_text(0) || !is_text(1) || scans.is_empty() {
        return Ok(rows);
    }
    let kinds = StringArray::from(vec!["reads"; scans.len()]);
    let texts = StringArray::from_iter_values(scans.iter().map(ScanPlan::to_string));
    let reads = RecordBatch::try_new(schema.clone(), vec![Arc::new(kinds), Arc::new(texts)])?;
    let rows = rows.chain(futures::stream::iter([Ok(reads)]));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

/// Whether each value belongs to a parameter: one that does not was meant for something. What has no value is refused
/// by the engine.
fn check_parameters(frame: &DataFrame, values: &ParamValues) -> Result<(), QueryError> {
    let wanted = frame.logical_plan().get_parameter_names()?;
    match values {
        ParamValues::List(values) => {
            let last = wanted.iter().filter_map(|name| name.trim_start_matches('$').parse().ok()).max();
            match last.unwrap_or(0) {
                last if values.len() > last => Err(QueryError::Sql(format!(
                    "{} values were given, but the statement has {last} parameters",
                    values.len()
                ))),
                _ => Ok(()),
            }
        }
        ParamValues::Map(values) => {
            let is_wanted = |name: &str| wanted.iter().any(|known| known.trim_start_matches('$') == name);
            match values.keys().find(|name| !is_wanted(name.trim_start_matches('$'))) {
                Some(name) => Err(QueryError::Sql(format!("the statement has no parameter ${name}"))),
                None => Ok(()),
            }
        }
    }
}
