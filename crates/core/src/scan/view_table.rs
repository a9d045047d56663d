//! A view instance as the engine sees it: the rows of its partitions, and those of the blocks that no partition
//! covers, decoded as the query goes.

use super::block_queue::BlockList;
use super::block_scan::{BlockScan, ScanTarget};
use super::conditions::{range_predicate, with_plain_ids};
use super::leaf_exec::LeafExec;
use super::stream_scan::{LivePiece, StreamScan};
use super::{Conditions, Coverage, Instance, PartitionScan, RowSource, ScanContext, Scope, plan_streams};
use crate::error::Error;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::{BlockFilter, BlockSummary};
use belvedere_view::decoder::StreamTarget;
use belvedere_view::{BlockSource, Origin};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ToDFSchema;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use std::sync::Arc;

/// The rows of one view instance that is made of blocks.
#[derive(Debug)]
pub(crate) struct ViewTable {
    instance: Instance,
    sources: Arc<[BlockSource]>,
    context: ScanContext,
    schema: SchemaRef,
}

impl ViewTable {
    pub(crate) fn new(instance: Instance, sources: Arc<[BlockSource]>, context: ScanContext) -> Self {
        Self { schema: instance.view_set.engine_schema(), instance, sources, context }
    }

    /// Which blocks can have rows of the answer.
    fn block_filter(&self, conditions: &Conditions) -> BlockFilter {
        let view_set = self.instance.view_set;
        let id = |origin| {
            let column = view_set.columns.iter().find(|c| c.origin == origin)?;
            conditions.uuid(column.name)
        };
        let blocks = self.instance.blocks.clone();
        let mut filter = BlockFilter {
            process_id: blocks.process_id.or_else(|| id(Origin::ProcessId)),
            stream_id: blocks.stream_id.or_else(|| id(Origin::StreamId)),
            block_ids: id(Origin::BlockId).map(|id| vec![id]),
            ..blocks
        };
        if let Some((begin, end)) = view_set.event_time_columns() {
            filter.events = self.context.range.intersect(conditions.times_of(begin, end));
        }
        if let Some(c) = view_set.columns.iter().find(|c| c.origin == Origin::InsertTime) {
            filter.inserted = conditions.times(c.name);
        }
        filter
    }

    /// A process or stream that was never announced is a mistake in the query, not an empty table.
    async fn check_scope(&self) -> Result<()> {
        let catalog = self.context.connection().catalog();
        let (what, id, is_known) = match self.instance.scope {
            Scope::Global => return Ok(()),
            Scope::Process(id) => ("process", id, catalog.process(id).await.map_err(Error::from)?.is_some()),
            Scope::Stream(id) => ("stream", id, catalog.stream(id).await.map_err(Error::from)?.is_some()),
        };
        if is_known {
            Ok(())
        } else {
            Err(DataFusionError::Plan(format!(
                "there is no {what} {id} in this lake: SELECT {what}_id FROM {what}{} lists all",
                if what == "process" { "es" } else { "s" }
            )))
        }
    }

    /// Partitions, and the scan of the blocks that none of them covers.
    async fn block_by_block(
        &self,
        conditions: &Conditions,
        read: &[usize],
        threads: usize,
    ) -> Result<(Coverage, Option<Arc<dyn ExecutionPlan>>)> {
        let coverage =
            Coverage::load(&self.instance, &self.context, conditions).await.map_err(Error::from)?;
        let connection = self.context.connection().clone();
        let list = BlockList::new(connection, self.block_filter(conditions), coverage.gaps.clone())
            .await
            .map_err(Error::from)?;
        let live = list.summary().await.map_err(Error::from)?;
        coverage.report(&self.instance, &self.context, (live.blocks, live.payload_bytes));
        if live.blocks == 0 && !coverage.partitions.is_empty() {
            return Ok((coverage, None));
        }
        let target = ScanTarget {
            instance: self.instance.clone(),
            sources: self.sources.clone(),
            schema: Arc::new(self.schema.project(read)?),
            projection: read.to_vec(),
        };
        let partitions = threads.min(list.first_page.len()).max(1);
        let schema = target.schema.clone();
        let scan = BlockScan::new(target, list, live, self.context.clone(), partitions);
        Ok((coverage, Some(Arc::new(LeafExec::new(scan, schema, partitions)))))
    }

    /// Partitions that hold, and the scan of what follows them in each stream.
    async fn along_streams(
        &self,
        conditions: &Conditions,
        read: &[usize],
        threads: usize,
    ) -> Result<(Coverage, Option<Arc<dyn ExecutionPlan>>)> {
        let context = &self.context;
        let mut chains = plan_streams(&self.instance, &self.sources, context).await.map_err(Error::from)?;
        let of_stream = self.instance.view_set.columns.iter().find(|c| c.origin == Origin::StreamId);
        if let Some(id) = of_stream.and_then(|c| conditions.uuid(c.name)) {
            chains.retain(|chain| chain.stream.stream_id == id);
        }
        let kept = chains.iter().flat_map(|chain| &chain.kept);
        let chosen = Coverage::choose(&self.instance, context, conditions, kept);
        let known = chains.iter().map(|chain| chain.kept.len() + chain.stale.len()).sum();
        let coverage = Coverage { known, ..chosen };
        let mut live = BlockSummary::default();
        let mut pieces = Vec::new();
        for chain in chains {
            for piece in chain.pieces {
                let part =
                    context.connection().catalog().summary(&piece.blocks).await.map_err(Error::from)?;
                live = live.merge(part);
                // what is open behind the last block is shown even if no block follows
                if part.blocks > 0 || (piece.is_last && piece.state.is_some()) {
                    let (process, stream) = (chain.process.clone(), chain.stream.clone());
                    pieces.push(LivePiece { process, stream, piece });
                }
            }
        }
        coverage.report(&self.instance, context, (live.blocks, live.payload_bytes));
        if pieces.is_empty() && !coverage.partitions.is_empty() {
            return Ok((coverage, None));
        }
        let target = StreamTarget::new(
            self.instance.view_set,
            self.sources.clone(),
            read.to_vec(),
            Arc::new(self.schema.project(read)?),
            context.lake.decode.clone(),
        );
        let schema = target.schema().clone();
        let scan = StreamScan::new(self.instance.clone(), target, pieces, live, context.clone(), threads);
        let partitions = scan.partitions();
        Ok((coverage, Some(Arc::new(LeafExec::new(scan, schema, partitions)))))
    }

    /// The query's time range as a condition on rows.
    fn range_predicate(&self) -> Option<Expr> {
        range_predicate(self.instance.view_set, self.context.range)
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // all of them help to leave out row groups and pages
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.check_scope().await?;
        let conditions = Conditions::new(filters);
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let range = self.range_predicate();
        // the range's columns are read even if the query does not ask for them
        let mut read = wanted.clone();
        if range.is_some()
            && let Some((begin, end)) = self.instance.view_set.event_time_columns()
        {
            for name in [begin, end] {
                let i = self.schema.index_of(name)?;
                if !read.contains(&i) {
                    read.push(i);
                }
            }
        }
        let threads = state.config().target_partitions();
        let (coverage, live) = match self.instance.source {
            RowSource::Streams(_) => self.along_streams(&conditions, &read, threads).await?,
            _ => self.block_by_block(&conditions, &read, threads).await?,
        };
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !coverage.partitions.is_empty() {
            let plain = filters.iter().map(|f| with_plain_ids(f.clone(), &self.schema));
            let all: Vec<Expr> = plain.chain(range.clone().map(Ok)).collect::<Result<_>>()?;
            let predicate = match conjunction(all) {
                Some(p) => Some(state.create_physical_expr(p, &self.schema.as_ref().clone().to_dfschema()?)?),
                None => None,
            };
            let scan = PartitionScan { instance: &self.instance, context: &self.context, predicate };
            plans.push(scan.plan(&coverage.partitions, &read, threads)?);
        }
        plans.extend(live);
        let scan = UnionExec::try_new(plans)?;
        let Some(range) = range else { return Ok(scan) };
        let predicate = state.create_physical_expr(range, &scan.schema().to_dfschema()?)?;
        let filter = FilterExecBuilder::new(predicate, scan)
            .apply_projection(Some((0..wanted.len()).collect()))?
            .build()?;
        Ok(Arc::new(filter))
    }
}
