//! Views that are SQL over other views, kept in parts.
//!
//! What a query sees is the view's merge over partial rows: those of the partitions, and those that the view's
//! extraction gives for the blocks that no partition covers.

use super::instance_view::{Kind, maker_of};
use crate::error::{Error, Result};
use crate::query::{MakerContext, Partials, QueryContext, ViewMaker, frame, scan_of};
use crate::registry::PARTIALS;
use crate::scan::{Conditions, Coverage, Instance, RowSource, Scope, range_predicate};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_view::SqlSource;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

#[derive(Debug)]
struct SqlView {
    instance: Instance,
    sql: SqlSource,
}

/// The maker of a view set that is SQL over others.
pub(crate) fn sql_view_maker(context: MakerContext, sql: SqlSource) -> Arc<dyn ViewMaker> {
    let mut instance =
        Instance::new(context.view_set, RowSource::Sql(sql), Scope::Global, blocks_of(&context));
    instance.schema_hash = hash_with_dependencies(&context);
    maker_of(context.view_set, instance.schema_hash.clone(), SqlView { instance, sql })
}

impl Kind for SqlView {
    fn instance(&self, _: Scope) -> Option<Instance> {
        Some(self.instance.clone())
    }

    fn table(&self, _: Scope, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(SqlTable {
            schema: self.instance.view_set.engine_schema(),
            instance: self.instance.clone(),
            sql: self.sql,
            context: context.clone(),
        }))
    }
}

/// The hash of a view set whose rows change with what they are made of.
pub(super) fn hash_with_dependencies(context: &MakerContext) -> Vec<u8> {
    let mut hashes = context.view_set.schema_hash();
    for name in context.view_set.depends_on {
        if let Some(maker) = context.dependencies.get_view_sets().get(*name) {
            hashes.extend(maker.get_schema_hash());
        }
    }
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &hashes).as_bytes().to_vec()
}

/// The blocks that what the view reads is made of, as far as that is known.
fn blocks_of(context: &MakerContext) -> BlockFilter {
    let (mut tags, mut formats) = (Vec::new(), Vec::new());
    for name in context.view_set.depends_on {
        let view = context.dependencies.get_global_view(name);
        match view.as_ref().and_then(|v| v.instance()).map(|i| (&i.blocks.tags, &i.blocks.formats)) {
            Some((Some(of_tags), Some(of_formats))) => {
                tags.extend(of_tags.iter().cloned());
                formats.extend(of_formats.iter().cloned());
            }
            // it may show any block
            _ => return BlockFilter::default(),
        }
    }
    for texts in [&mut tags, &mut formats] {
        texts.sort();
        texts.dedup();
    }
    BlockFilter { tags: Some(tags), formats: Some(formats), ..BlockFilter::default() }
}

/// What users see of the view.
#[derive(Debug)]
struct SqlTable {
    instance: Instance,
    sql: SqlSource,
    context: QueryContext,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for SqlTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
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
        let session = self.context.session()?;
        let coverage = Coverage::load(&self.instance, self.context.scan(), &Conditions::new(filters))
            .await
            .map_err(Error::from)?;
        coverage.report(&self.instance, self.context.scan(), (0, 0));
        let partials = Partials::new(self.instance.clone(), self.sql, self.context.clone(), coverage);
        session.register_table(PARTIALS, Arc::new(partials))?;
        let rows = frame(&session, self.instance.view_set, self.sql.merge, "merge").await?;
        // the engine moves down what can be asked of partial rows already
        let range = range_predicate(self.instance.view_set, self.context.range());
        scan_of(rows, &self.schema, projection, filters.iter().cloned().chain(range), limit).await
    }
}
