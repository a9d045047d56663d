//! The lake as one value: feed it, ask it. The room that composes the others.

mod config;
mod maintenance;
mod plan;

#[doc(hidden)]
pub use crate::partitions::InstancePartitions;
pub use crate::partitions::{CheckReport, Expired, Finding, Keep, Retention};
pub use config::LakeConfig;
pub use maintenance::{MaintenanceConfig, Progress};
pub use plan::{Kept, Open, PlannedSet};

use crate::assembly::{Assembly, UserViews};
use crate::error::{Context, Result};
use crate::metrics::metrics;
use crate::partitions::{CheckPlan, MaintenanceLimits, PartitionBuilder};
use crate::query::{
    AnswerTypes, DenyRules, LakeMemory, QueryContext, QueryError, QueryMemory, QueryResources, QueryResult,
    RunningQueries, Statement,
};
use crate::scan::{JitRequests, RangeCache, STORE, ScanContext, ScanResources};
use arrow::array::RecordBatch;
use belvedere_lake::{LakeConnection, LakeOptions};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::decoder::DecodeOptions;
use belvedere_view::linked_unsorted;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A lake with its views: what a program embeds.
///
/// Cheap to clone; all clones are the same lake.
#[derive(Debug, Clone)]
pub struct Lake {
    views: Arc<UserViews>,
    runtime: Arc<RuntimeEnv>,
    config: LakeConfig,
    memory: Arc<LakeMemory>,
    scan: Arc<ScanResources>,
    query: Arc<QueryResources>,
}

// Where work is long, its future is boxed here: the state machine of an `async fn` is compiled by each crate that awaits
// it.
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
        let connection = match config.is_beside {
            false => LakeConnection::open(options).await,
            true => LakeConnection::open_beside(options).await,
        };
        let connection = connection.context("the lake could not be opened")?;
        let files = Arc::new(RangeCache::new(
            connection.store().clone(),
            config.content_cache_bytes,
            connection.has_local_files(),
            metrics(&connection).partition_bytes_read.clone(),
        ));
        runtime.register_object_store(ObjectStoreUrl::parse(STORE)?.as_ref(), files.clone());
        let scan = ScanResources {
            connection: connection.clone(),
            // views that users define add no layouts
            decode: DecodeOptions::new(assembly.layouts()).with_block_bytes(config.block_bytes),
            decoders: Arc::new(Semaphore::new(config.threads.max(1))),
            decoder_count: u32::try_from(config.threads.max(1)).unwrap_or(u32::MAX),
            jit_requests: Arc::default(),
            seen_files: Default::default(),
            files,
        };
        let query = QueryResources {
            maintenance: MaintenanceLimits {
                threads: Arc::new(Semaphore::new(config.background_threads.max(1))),
                grace: i64::try_from(config.grace.as_nanos()).unwrap_or(i64::MAX),
                memory_bytes: config.memory_bytes,
                postponed: Arc::default(),
            },
            running: RunningQueries::default(),
            deny_rules: DenyRules::default(),
        };
        let views = Arc::new(UserViews::new(assembly, connection, runtime.clone()).await?);
        let lake = Self { views, runtime, config, memory, scan: Arc::new(scan), query: Arc::new(query) };
        if !lake.config.is_beside && !lake.connection().is_read_only() {
            lake.partition_builder().adopt_last_copies().await?;
        }
        Ok(lake)
    }

    /// The lake below the views: what to feed, and what there is.
    pub fn connection(&self) -> &Arc<LakeConnection> {
        &self.scan.connection
    }

    /// What is registered, and the views that are defined in the lake itself.
    pub fn assembly(&self) -> Arc<Assembly> {
        self.views.current().assembly
    }

    /// Begins to answer a query about events in `range`. Only queries: statements that would change
    /// something are refused.
    pub fn query<'a>(
        &'a self,
        sql: &'a str,
        range: TimeRange,
    ) -> BoxFuture<'a, Result<QueryResult, QueryError>> {
        Box::pin(async move {
            self.refresh().await;
            let statement = Statement {
                sql: sql.to_owned(),
                parameters: None,
                limit: None,
                types: AnswerTypes::Documented,
                suspect: self.first_problem(),
            };
            self.context(range).answer(statement, ()).await.map(|(result, ())| result)
        })
    }

    /// All rows of the answer to a query about the whole lake: for tests and small answers.
    pub fn sql<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<Vec<RecordBatch>, QueryError>> {
        Box::pin(async move {
            let result = self.query(sql, TimeRange::ALL).await?;
            Ok(result.rows.try_collect().await?)
        })
    }

    /// Lets insertions under way come to their end, then closes.
    pub async fn close(&self) {
        self.scan.connection.close().await;
    }

    /// What a query of events in that range works with.
    pub fn context(&self, range: TimeRange) -> QueryContext {
        let scan = ScanContext::new(self.scan.clone(), self.runtime.clone(), self.config.threads);
        QueryContext::new(scan.with_range(range), self.views.current(), self.query.clone())
    }

    /// Makes partitions of everything.
    pub(crate) fn partition_builder(&self) -> PartitionBuilder {
        self.context(TimeRange::ALL).partition_builder()
    }

    /// Sees to it that what is known of the views that users defined is not too old.
    pub(crate) async fn refresh(&self) {
        self.views.refresh().await;
    }

    /// A view that users defined and that can't be used: it may be just that one that a statement names.
    pub(crate) fn first_problem(&self) -> Option<String> {
        self.problems().into_iter().next()
    }

    /// The partitions of a view instance, to be made, merged and retired by hand. An error if there is no such instance,
    /// or if its rows are not kept in partitions. For tests.
    #[doc(hidden)]
    pub fn instance_partitions(&self, view_set: &str, instance: &str) -> Result<InstancePartitions> {
        let view = self.views.current().factory.make_view(view_set, instance)?;
        let instance = view.instance().context("the rows of the view are not materialized")?.clone();
        Ok(InstancePartitions::new(self.partition_builder(), instance))
    }

    /// What is wrong with the views that users defined in the lake.
    pub fn problems(&self) -> Vec<String> {
        self.views.problems()
    }

    /// What would go if only that were kept.
    pub fn what_would_expire<'a>(&'a self, retention: &'a Retention) -> BoxFuture<'a, Result<Vec<Expired>>> {
        Box::pin(async move { self.partition_builder().expire(retention, true).await })
    }

    /// Checks the lake. Contents of at most `sample` partitions and `sample` blocks are read. With `repair`, what can be
    /// made again is retired, and files that nothing refers to are deleted.
    pub fn check(&self, sample: usize, repair: bool) -> BoxFuture<'_, Result<CheckReport>> {
        self.check_and_tell(Some(sample), repair, false, &|_, _| ())
    }

    /// The same with all partitions, and all records with their checksums, if there is no `sample`. With `repair` and
    /// `accept_loss` partitions that are wrong are retired even if their rows can't be made again. `tell` hears how much of
    /// how much is done, step by step.
    pub fn check_and_tell<'a>(
        &'a self,
        sample: Option<usize>,
        repair: bool,
        accept_loss: bool,
        tell: &'a (dyn Fn(u64, u64) + Send + Sync),
    ) -> BoxFuture<'a, Result<CheckReport>> {
        Box::pin(async move {
            self.partition_builder().check(CheckPlan { sample, repair, accept_loss, tell }).await
        })
    }

    /// Threads that queries take at most.
    pub fn query_threads(&self) -> usize {
        self.config.threads.max(1)
    }

    /// Threads that background work takes at most.
    pub fn background_threads(&self) -> usize {
        self.config.background_threads.max(1)
    }

    pub(crate) fn memory(&self) -> &Arc<LakeMemory> {
        &self.memory
    }

    pub(crate) fn running(&self) -> &RunningQueries {
        &self.query.running
    }

    pub(crate) fn deny_rules(&self) -> &DenyRules {
        &self.query.deny_rules
    }

    pub(crate) fn jit_requests(&self) -> &JitRequests {
        &self.scan.jit_requests
    }

    /// Notes what a query in another process would have liked to find. An instance that is not there any more needs
    /// nothing.
    pub(crate) fn wish(&self, view_set: &str, instance: &str, blocks: SeqRange) {
        let view = self.views.current().factory.make_view(view_set, instance);
        if let Some(instance) = view.ok().as_ref().and_then(|view| view.instance()) {
            self.scan.jit_requests.add(instance, blocks);
        }
    }

    /// Bytes that queries have on disk now.
    pub(crate) fn spilled_bytes(&self) -> u64 {
        self.runtime.disk_manager.used_disk_space()
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
