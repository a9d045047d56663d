//! Views that are SQL over others, made anew whenever somebody asks: nothing of them is kept, what they read may be.

use super::instance_view::{Kind, maker_of};
use super::sql_view::hash_with_dependencies;
use crate::error::Result;
use crate::query::{MakerContext, QueryContext, ViewMaker, frame, scan_of};
use crate::scan::{Scope, range_predicate};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_model::time::TimeRange;
use belvedere_view::ViewSet;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
struct QueryView {
    view_set: &'static ViewSet,
    sql: &'static str,
}

/// The maker of a view set that is a query over others.
pub(crate) fn query_view_maker(context: MakerContext, sql: &'static str) -> Arc<dyn ViewMaker> {
    maker_of(
        context.view_set,
        hash_with_dependencies(&context),
        QueryView { view_set: context.view_set, sql },
    )
}

impl Kind for QueryView {
    fn table(&self, scope: Scope, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        let schema = self.view_set.engine_schema();
        Ok(Arc::new(QueryTable { view: *self, scope, context: context.clone(), schema }))
    }
}

#[derive(Debug)]
struct QueryTable {
    view: QueryView,
    scope: Scope,
    context: QueryContext,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for QueryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let QueryView { view_set, sql } = self.view;
        // a row is what it is, whatever range of time somebody asks for
        let context = self.context.with_range(TimeRange::ALL);
        let session = context.session()?;
        if let Some(kind) = self.scope.kind() {
            let id = self.scope.to_id();
            let sets = context.assembly().view_sets().filter(|s| view_set.depends_on.contains(&s.name));
            for set in sets.filter(|s| s.instances.kinds().contains(&kind)) {
                let view = context.factory().make_view(set.name, &id)?;
                session.deregister_table(set.name)?;
                session.register_table(set.name, view.table(&context)?)?;
            }
        }
        let rows = frame(&session, view_set, sql, "query").await?;
        let range = range_predicate(view_set, self.context.range());
        scan_of(rows, &self.schema, projection, filters.iter().cloned().chain(range), limit).await
    }
}
