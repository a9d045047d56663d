//! Views that are SQL over others, made anew whenever somebody asks: nothing of them is kept, what they read may be.

use super::sql_view::{frame, hash_with_dependencies, scan_of};
use crate::assembly::{MakerContext, View, ViewMaker};
use crate::partitions::Scope;
use crate::query::{QueryContext, engine_error, range_predicate};
use anyhow::Result;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use belvedere_model::time::TimeRange;
use belvedere_view::ViewSet;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

#[derive(Debug, Clone)]
struct QueryViewMaker {
    view_set: &'static ViewSet,
    sql: &'static str,
    schema_hash: Vec<u8>,
}

#[derive(Debug, Clone)]
struct QueryView {
    maker: QueryViewMaker,
    scope: Scope,
    id: String,
}

/// The maker of a view set that is a query over others.
pub(crate) fn query_view_maker(context: MakerContext, sql: &'static str) -> Arc<dyn ViewMaker> {
    let schema_hash = hash_with_dependencies(&context);
    Arc::new(QueryViewMaker { view_set: context.view_set, sql, schema_hash })
}

impl ViewMaker for QueryViewMaker {
    fn make_view(&self, view_instance_id: &str) -> Result<Arc<dyn View>> {
        let scope = Scope::of(self.view_set, view_instance_id)?;
        Ok(Arc::new(QueryView { maker: self.clone(), scope, id: scope.to_id() }))
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.schema_hash.clone()
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.view_set.documented_schema()
    }
}

impl View for QueryView {
    fn get_view_set_name(&self) -> &str {
        self.maker.view_set.name
    }

    fn get_view_instance_id(&self) -> &str {
        &self.id
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.maker.view_set.documented_schema()
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.maker.schema_hash.clone()
    }

    fn table(&self, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        let schema = self.maker.view_set.engine_schema();
        Ok(Arc::new(QueryTable { view: self.clone(), context: context.clone(), schema }))
    }
}

#[derive(Debug)]
struct QueryTable {
    view: QueryView,
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
        let QueryView { maker, scope, id } = &self.view;
        // a row is what it is, whatever range of time somebody asks for
        let context = self.context.with_range(TimeRange::ALL);
        let session = context.session()?;
        if let Some(kind) = scope.kind() {
            let sets = context.assembly().view_sets().filter(|s| maker.view_set.depends_on.contains(&s.name));
            for set in sets.filter(|s| s.instances.kinds().contains(&kind)) {
                let view = context.factory().make_view(set.name, id).map_err(engine_error)?;
                session.deregister_table(set.name)?;
                session.register_table(set.name, view.table(&context).map_err(engine_error)?)?;
            }
        }
        let rows = frame(&session, maker.view_set, maker.sql, "query").await?;
        let range = range_predicate(maker.view_set, self.context.range());
        scan_of(rows, &self.schema, projection, filters.iter().cloned().chain(range), limit).await
    }
}
