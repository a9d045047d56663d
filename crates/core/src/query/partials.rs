//! The partial rows of a view that is SQL over others: those in partitions, and those of the blocks that none covers.

use super::QueryContext;
use super::view_sql::{frame, ident, without_columns};
use crate::error::Error;
use crate::scan::{ConformExec, Coverage, Instance, PartitionScan};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_model::SeqRange;
use belvedere_view::SqlSource;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ToDFSchema;
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use std::sync::Arc;

/// The partial rows of a view.
#[derive(Debug)]
pub(crate) struct Partials {
    instance: Instance,
    sql: SqlSource,
    context: QueryContext,
    coverage: Coverage,
    schema: SchemaRef,
}

impl Partials {
    pub(crate) fn new(instance: Instance, sql: SqlSource, context: QueryContext, coverage: Coverage) -> Self {
        Self { schema: instance.view_set.engine_schema(), instance, sql, context, coverage }
    }

    /// Where partial rows are to be made: gaps in which there is something.
    async fn gaps(&self) -> EngineResult<Vec<SeqRange>> {
        let mut with_blocks = Vec::new();
        for gap in &self.coverage.gaps {
            let filter = self.instance.blocks_in(*gap);
            let summary = self.context.connection().catalog().summary(&filter).await.map_err(Error::from)?;
            if summary.blocks > 0 {
                with_blocks.push(*gap);
            }
        }
        Ok(with_blocks)
    }
}

#[async_trait]
impl TableProvider for Partials {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&wanted)?);
        let predicate = conjunction(filters.iter().cloned());
        let (gaps, partitions) = (self.gaps().await?, &self.coverage.partitions);
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !partitions.is_empty() {
            let df_schema = self.schema.as_ref().clone().to_dfschema()?;
            let predicate = match &predicate {
                Some(predicate) => Some(state.create_physical_expr(predicate.clone(), &df_schema)?),
                None => None,
            };
            let scan = PartitionScan { instance: &self.instance, context: self.context.scan(), predicate };
            plans.push(scan.plan(partitions, &wanted, state.config().target_partitions())?);
        }
        for gap in gaps {
            let session = self.context.within(gap).session()?;
            let mut rows = frame(&session, self.instance.view_set, self.sql.extract, "extract").await?;
            if let Some(predicate) = &predicate {
                rows = rows.filter(predicate.clone())?;
            }
            if !schema.fields().is_empty() {
                rows = rows.select(schema.fields().iter().map(|f| ident(f.name())))?;
                let plan = rows.create_physical_plan().await?;
                plans.push(Arc::new(ConformExec::new(plan, schema.clone())));
            } else {
                let plan = rows.create_physical_plan().await?;
                plans.push(without_columns(plan)?);
            }
        }
        if plans.is_empty() {
            plans.push(Arc::new(EmptyExec::new(schema)));
        }
        UnionExec::try_new(plans)
    }
}
