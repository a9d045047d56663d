//! A view instance as the engine sees it: columns, filters, and the plan that reads them.

use super::block_scan::{BlockScanExec, ScanTarget};
use super::feed::{BlockList, PAGE};
use super::{Conditions, QueryContext};
use crate::lake::BlockFilter;
use crate::registry::{BlockSource, Origin, ViewSet};
use crate::time::TimeRange;
use crate::views::Scope;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ToDFSchema;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::prelude::{col, lit};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The rows of one view instance, decoded from blocks as the query goes.
#[derive(Debug)]
pub(crate) struct BlockTable {
    view_set: &'static ViewSet,
    sources: Arc<[BlockSource]>,
    scope: Scope,
    context: QueryContext,
    schema: SchemaRef,
}

impl BlockTable {
    pub(crate) fn new(
        view_set: &'static ViewSet,
        sources: Arc<[BlockSource]>,
        scope: Scope,
        context: QueryContext,
    ) -> Self {
        Self { schema: view_set.engine_schema(), view_set, sources, scope, context }
    }

    /// Which blocks can have rows of the answer.
    fn block_filter(&self, conditions: &Conditions) -> BlockFilter {
        let id = |origin| {
            let column = self.view_set.columns.iter().find(|c| c.origin == origin)?;
            conditions.uuid(column.name)
        };
        let mut filter = BlockFilter {
            tags: Some(distinct(self.sources.iter().map(|s| s.tag))),
            formats: Some(distinct(self.sources.iter().map(|s| s.format))),
            process_id: id(Origin::ProcessId),
            stream_id: id(Origin::StreamId),
            block_id: id(Origin::BlockId),
            ..BlockFilter::default()
        };
        if let Some((begin, end)) = self.view_set.event_time_columns() {
            filter.events = self.context.range().intersect(conditions.times_of(begin, end));
        }
        if let Some(c) = self.view_set.columns.iter().find(|c| c.origin == Origin::InsertTime) {
            filter.inserted = conditions.times(c.name);
        }
        match self.scope {
            Scope::Global => {}
            Scope::Process(id) => filter.process_id = Some(id),
            Scope::Stream(id) => filter.stream_id = Some(id),
        }
        filter
    }

    /// A process or stream that was never announced is a mistake in the query, not an empty table.
    async fn check_scope(&self) -> Result<()> {
        let catalog = self.context.connection().catalog();
        let external = |e: crate::lake::LakeError| DataFusionError::External(Box::new(e));
        let (what, id, is_known) = match self.scope {
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
        let (begin, end) = self.view_set.event_time_columns()?;
        let TimeRange { begin: from, end: to } = self.context.range();
        let time = |t| lit(ScalarValue::TimestampNanosecond(Some(t), Some("+00:00".into())));
        let ident = |name: &str| col(datafusion::common::Column::new_unqualified(name));
        let lower = from.map(|t| ident(end).gt_eq(time(t)));
        let upper = to.map(|t| ident(begin).lt_eq(time(t)));
        match (lower, upper) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        }
    }
}

fn distinct(texts: impl Iterator<Item = &'static str>) -> Vec<String> {
    let mut texts: Vec<String> = texts.map(str::to_owned).collect();
    texts.sort();
    texts.dedup();
    texts
}

#[async_trait]
impl TableProvider for BlockTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match Conditions::can_use(filter) {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.check_scope().await?;
        let list = {
            let filter = self.block_filter(&Conditions::of(filters));
            let connection = self.context.connection().clone();
            let first_page = connection
                .catalog()
                .blocks(&filter, 0, PAGE)
                .await
                .map_err(|e| DataFusionError::External(Box::new(e)))?;
            BlockList { connection, filter, first_page: Arc::new(first_page) }
        };
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let range = self.range_predicate();
        // the range's columns are decoded even if the query does not ask for them
        let mut decoded = wanted.clone();
        if range.is_some()
            && let Some((begin, end)) = self.view_set.event_time_columns()
        {
            for name in [begin, end] {
                let i = self.schema.index_of(name)?;
                if !decoded.contains(&i) {
                    decoded.push(i);
                }
            }
        }
        let target = ScanTarget {
            view_set: self.view_set,
            sources: self.sources.clone(),
            schema: Arc::new(self.schema.project(&decoded)?),
            projection: decoded,
        };
        let partitions = state.config().target_partitions().min(list.first_page.len()).max(1);
        let scan = Arc::new(BlockScanExec::new(target, list, self.context.clone(), partitions));
        let Some(range) = range else { return Ok(scan) };
        let predicate = state.create_physical_expr(range, &scan.schema().to_dfschema()?)?;
        let filter = FilterExecBuilder::new(predicate, scan)
            .apply_projection(Some((0..wanted.len()).collect()))?
            .build()?;
        Ok(Arc::new(filter))
    }
}
