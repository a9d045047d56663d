//! A view instance as the engine sees it: the rows of its partitions, and those of the blocks that no partition
//! covers, decoded as the query goes.

use super::block_scan::{BlockScanExec, ScanTarget};
use super::context::ScanPlan;
use super::feed::BlockList;
use super::partition_scan::PartitionScan;
use super::{Conditions, QueryContext};
use crate::lake::{BlockFilter, LakeError, PartitionRecord};
use crate::model::SeqRange;
use crate::partitions::{Instance, Scope};
use crate::registry::{BlockSource, Origin};
use crate::time::TimeRange;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ToDFSchema;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The rows of one view instance that is made of blocks.
#[derive(Debug)]
pub(crate) struct ViewTable {
    instance: Instance,
    sources: Arc<[BlockSource]>,
    context: QueryContext,
    schema: SchemaRef,
}

/// The partitions of an instance that a query reads, and what they leave open.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// Those that can have rows of the answer, in the order of what they cover.
    pub(crate) partitions: Vec<PartitionRecord>,
    /// How many there are at all.
    pub(crate) known: usize,
    /// Blocks that no partition covers.
    pub(crate) gaps: Vec<SeqRange>,
    /// Blocks that could not be read when these partitions, or ones without rows, were made.
    pub(crate) faults: u64,
}

impl Coverage {
    /// What there is for a query with these conditions.
    pub(crate) async fn of(
        instance: &Instance,
        context: &QueryContext,
        conditions: &Conditions,
    ) -> Result<Self, LakeError> {
        // first: what is covered by now is visible by now
        let catalog = context.connection().catalog();
        let all = match context.is_live_only {
            true => Vec::new(),
            false => {
                let set = instance.view_set.name;
                catalog.partitions_of(set, &instance.id, &instance.schema_hash).await?
            }
        };
        let visible = context.visible().await?;
        // one that also covers blocks that this query does not see is of no use to it
        let whole = all.iter().filter(|p| visible.contains(p.content.seqs));
        let gaps = visible.without(whole.clone().map(|p| p.content.seqs));
        let origin = |origin| instance.view_set.columns.iter().find(|c| c.origin == origin).map(|c| c.name);
        let process = origin(Origin::ProcessId).and_then(|name| conditions.uuid(name));
        let inserted = origin(Origin::InsertTime).map(|name| conditions.times(name)).unwrap_or_default();
        let events = match instance.view_set.event_time_columns() {
            Some((begin, end)) => context.range().intersect(conditions.times_of(begin, end)),
            None => TimeRange::ALL,
        };
        let mut faults = 0;
        let partitions = whole
            .filter(|p| {
                let p = &p.content;
                let is_of_process = match (process, &p.process_ids) {
                    (Some(id), Some(ids)) => ids.binary_search(&id).is_ok(),
                    _ => true,
                };
                let may_matter = is_of_process
                    && inserted.touches(p.insert_begin, p.insert_end)
                    && p.events.is_none_or(|(begin, end)| events.touches(begin, end));
                if may_matter {
                    faults += p.fault_count.max(0) as u64;
                }
                may_matter && p.row_count > 0
            })
            .cloned()
            .collect();
        Ok(Self { partitions, known: all.len(), gaps, faults })
    }

    /// Notes in the report of a query what it is going to read.
    pub(crate) fn report(&self, instance: &Instance, context: &QueryContext, blocks: (i64, i64)) {
        context.report().add_known_faults(self.faults);
        context.report().add_scan(ScanPlan {
            table: instance.name(),
            known_partitions: self.known,
            partitions: self.partitions.len(),
            partition_bytes: self.partitions.iter().map(|p| p.content.file_size).sum(),
            blocks: blocks.0,
            block_bytes: blocks.1,
        });
    }
}

impl ViewTable {
    pub(crate) fn new(instance: Instance, sources: Arc<[BlockSource]>, context: QueryContext) -> Self {
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
            block_id: id(Origin::BlockId),
            ..blocks
        };
        if let Some((begin, end)) = view_set.event_time_columns() {
            filter.events = self.context.range().intersect(conditions.times_of(begin, end));
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
            Scope::Process(id) => ("process", id, catalog.process(id).await.map_err(external)?.is_some()),
            Scope::Stream(id) => ("stream", id, catalog.stream(id).await.map_err(external)?.is_some()),
        };
        if is_known {
            Ok(())
        } else {
            Err(DataFusionError::Plan(format!(
                "there is no {what} {id} in this lake: SELECT {what}_id FROM {what}{} lists those that there are",
                if what == "process" { "es" } else { "s" }
            )))
        }
    }

    /// The query's time range as a condition on rows.
    fn range_predicate(&self) -> Option<Expr> {
        range_predicate(&self.instance, self.context.range())
    }
}

/// A time range as a condition on the rows of an instance.
pub(crate) fn range_predicate(instance: &Instance, range: TimeRange) -> Option<Expr> {
    let (begin, end) = instance.view_set.event_time_columns()?;
    let TimeRange { begin: from, end: to } = range;
    let time = |t| lit(ScalarValue::TimestampNanosecond(Some(t), Some("+00:00".into())));
    let ident = |name: &str| col(datafusion::common::Column::new_unqualified(name));
    let lower = from.map(|t| ident(end).gt_eq(time(t)));
    let upper = to.map(|t| ident(begin).lt_eq(time(t)));
    match (lower, upper) {
        (Some(a), Some(b)) => Some(a.and(b)),
        (a, b) => a.or(b),
    }
}

pub(crate) fn external(e: LakeError) -> DataFusionError {
    DataFusionError::External(Box::new(e))
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
        let conditions = Conditions::of(filters);
        let coverage = Coverage::of(&self.instance, &self.context, &conditions).await.map_err(external)?;
        let connection = self.context.connection().clone();
        let list = BlockList::new(connection, self.block_filter(&conditions), coverage.gaps.clone())
            .await
            .map_err(external)?;
        let live = list.summary().await.map_err(external)?;
        coverage.report(&self.instance, &self.context, (live.blocks, live.payload_bytes));

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
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !coverage.partitions.is_empty() {
            let all = filters.iter().cloned().chain(range.clone());
            let predicate = match conjunction(all) {
                Some(p) => Some(state.create_physical_expr(p, &self.schema.as_ref().clone().to_dfschema()?)?),
                None => None,
            };
            let scan = PartitionScan { instance: &self.instance, context: &self.context, predicate };
            plans.push(scan.plan(&coverage.partitions, &read, state.config().target_partitions())?);
        }
        if live.blocks > 0 || plans.is_empty() {
            let target = ScanTarget {
                instance: self.instance.clone(),
                sources: self.sources.clone(),
                schema: Arc::new(self.schema.project(&read)?),
                projection: read,
            };
            let partitions = state.config().target_partitions().min(list.first_page.len()).max(1);
            plans.push(Arc::new(BlockScanExec::new(target, list, live, self.context.clone(), partitions)));
        }
        let scan = UnionExec::try_new(plans)?;
        let Some(range) = range else { return Ok(scan) };
        let predicate = state.create_physical_expr(range, &scan.schema().to_dfschema()?)?;
        let filter = FilterExecBuilder::new(predicate, scan)
            .apply_projection(Some((0..wanted.len()).collect()))?
            .build()?;
        Ok(Arc::new(filter))
    }
}
