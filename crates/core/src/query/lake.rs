//! The lake as one value: feed it, ask it.

use super::output::split;
use super::{QueryContext, QueryError, QueryReport, documented, documented_schema};
use crate::decode::DecodeLimits;
use crate::lake::{LakeConnection, LakeOptions};
use crate::registry::{Assembly, ViewFactory, linked_unsorted};
use crate::time::TimeRange;
use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How much a lake may use for queries.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Bytes for all queries together; operators that can spill to disk do so beyond.
    pub memory_bytes: usize,
    /// Bytes for each decompressed buffer of a block.
    pub block_bytes: usize,
    /// Threads that decode at once, and partitions of a plan.
    pub threads: usize,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            block_bytes: DecodeLimits::default().block_bytes,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// A lake with its views: what a program embeds.
///
/// Cheap to clone; all clones are the same lake.
#[derive(Debug, Clone)]
pub struct Lake {
    connection: Arc<LakeConnection>,
    assembly: Arc<Assembly>,
    factory: ViewFactory,
    runtime: Arc<RuntimeEnv>,
    config: LakeConfig,
    decoders: Arc<Semaphore>,
}

/// The answer to a query, on its way.
pub struct QueryResult {
    /// The columns, in their documented types.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub rows: SendableRecordBatchStream,
    /// What the query did; complete when the last row has been taken.
    pub report: Arc<QueryReport>,
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
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.memory_bytes)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory),
            )
            .build_arc()?;
        let connection = LakeConnection::open(options).await.context("the lake could not be opened")?;
        let factory = assembly.view_factory(runtime.clone(), connection.clone())?;
        Ok(Self {
            connection,
            assembly: Arc::new(assembly),
            factory,
            runtime,
            decoders: Arc::new(Semaphore::new(config.threads.max(1))),
            config,
        })
    }

    /// The lake below the views: what to feed, and what there is.
    pub fn connection(&self) -> &Arc<LakeConnection> {
        &self.connection
    }

    /// What is registered.
    pub fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// Begins to answer a query about events in `range`. Only queries: statements that would change
    /// something are refused.
    pub async fn query(&self, sql: &str, range: TimeRange) -> Result<QueryResult, QueryError> {
        self.connection.metrics().queries.inc();
        let context = QueryContext {
            connection: self.connection.clone(),
            assembly: self.assembly.clone(),
            factory: self.factory.clone(),
            range,
            report: Arc::default(),
            limits: DecodeLimits { block_bytes: self.config.block_bytes },
            decoders: self.decoders.clone(),
        };
        let report = context.report.clone();
        let session = self.session(&context)?;
        // no DDL, no DML, no SET: and so no way to the host's files
        let options =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let engine_rows = session.sql_with_options(sql, options).await?.execute_stream().await?;
        let schema = documented_schema(&engine_rows.schema());
        let to = schema.clone();
        let rows = engine_rows
            .map_ok(|batch| futures::stream::iter(split(batch)).map(Ok::<_, DataFusionError>))
            .try_flatten()
            .map(move |batch: Result<RecordBatch, DataFusionError>| Ok(documented(&batch?, &to)?));
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
        Ok(QueryResult { schema, rows, report })
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

    fn session(&self, context: &QueryContext) -> Result<SessionContext, QueryError> {
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_target_partitions(self.config.threads.max(1));
        config.options_mut().sql_parser.collect_spans = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime.clone())
            .with_default_features()
            .build();
        let session = SessionContext::new_with_state(state);
        for view in self.factory.get_global_views() {
            session.register_table(view.get_view_set_name(), view.table(context)?)?;
        }
        for (functions, _) in self.assembly.functions() {
            let set = (functions.make)(context);
            for scalar in set.scalars {
                session.register_udf(scalar);
            }
            for aggregate in set.aggregates {
                session.register_udaf(aggregate);
            }
            for (name, table) in set.tables {
                session.register_udtf(name, table);
            }
        }
        Ok(session)
    }
}
