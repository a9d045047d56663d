//! Views that are SQL over other views, kept in parts.
//!
//! What a query sees is the view's merge over partial rows: those of the partitions, and those that the view's
//! extraction gives for the blocks that no partition covers.

use crate::assembly::{MakerContext, View, ViewMaker};
use crate::partitions::{Instance, RowSource, Scope};
use crate::query::{
    Conditions, ConformExec, Coverage, PartitionScan, QueryContext, conform, external, range_predicate,
};
use anyhow::{Context, Result, bail};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_model::SeqRange;
use belvedere_view::{SqlSource, ViewSet};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, ToDFSchema};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, cast, col};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::{SQLOptions, SessionContext};
use std::sync::Arc;

/// What the merge of a view calls its partial rows.
pub(crate) const PARTIALS: &str = "partials";

#[derive(Debug, Clone)]
struct SqlView {
    instance: Instance,
    sql: SqlSource,
}

/// The maker of a view set that is SQL over others.
pub(crate) fn sql_view_maker(context: MakerContext, sql: SqlSource) -> Arc<dyn ViewMaker> {
    let mut instance =
        Instance::new(context.view_set, RowSource::Sql(sql), Scope::Global, blocks_of(&context));
    instance.schema_hash = hash_with_dependencies(&context);
    Arc::new(SqlView { instance, sql })
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

impl ViewMaker for SqlView {
    fn make_view(&self, view_instance_id: &str) -> Result<Arc<dyn View>> {
        if view_instance_id != "global" {
            let name = self.instance.view_set.name;
            bail!("{name} has only the instance 'global', not '{view_instance_id}'");
        }
        Ok(Arc::new(self.clone()))
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.instance.schema_hash.clone()
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.instance.view_set.documented_schema()
    }
}

impl View for SqlView {
    fn get_view_set_name(&self) -> &str {
        self.instance.view_set.name
    }

    fn get_view_instance_id(&self) -> &str {
        &self.instance.id
    }

    fn get_schema(&self) -> Arc<Schema> {
        self.instance.view_set.documented_schema()
    }

    fn get_schema_hash(&self) -> Vec<u8> {
        self.instance.schema_hash.clone()
    }

    fn instance(&self) -> Option<&Instance> {
        Some(&self.instance)
    }

    fn table(&self, context: &QueryContext) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(SqlTable {
            schema: self.instance.view_set.engine_schema(),
            instance: self.instance.clone(),
            sql: self.sql,
            context: context.clone(),
        }))
    }
}

/// The partial rows for the blocks that the context sees, in the order of the view's partitions.
pub(crate) async fn extract(
    context: &QueryContext,
    view_set: &'static ViewSet,
    sql: &SqlSource,
) -> Result<SendableRecordBatchStream> {
    let session = context.session()?;
    let rows = frame(&session, view_set, sql.extract, "extract").await?;
    let rows = rows.sort(sort_exprs(sql))?.execute_stream().await?;
    Ok(conform(rows, view_set.engine_schema()))
}

/// What partial rows in files become together, in the order of the view's partitions.
pub(crate) async fn merge(
    context: &QueryContext,
    instance: &Instance,
    sql: &SqlSource,
    coverage: Coverage,
) -> Result<SendableRecordBatchStream> {
    let session = context.session()?;
    let partials = Partials::new(instance.clone(), *sql, context.clone(), coverage);
    session.register_table(PARTIALS, Arc::new(partials))?;
    let rows = frame(&session, instance.view_set, sql.merge, "merge").await?;
    let rows = rows.sort(sort_exprs(sql))?.execute_stream().await?;
    Ok(conform(rows, instance.view_set.engine_schema()))
}

fn sort_exprs(sql: &SqlSource) -> Vec<datafusion::logical_expr::SortExpr> {
    sql.sort.iter().map(|name| ident(name).sort(true, false)).collect()
}

fn ident(name: &str) -> Expr {
    col(Column::new_unqualified(name))
}

/// SQL that reads, and can do nothing else.
async fn query_only(session: &SessionContext, sql: &str) -> EngineResult<DataFrame> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    session.sql_with_options(sql, options).await
}

/// The rows of a view's SQL with the columns of the view set, by name, in the types of the engine.
pub(super) async fn frame(
    session: &SessionContext,
    view_set: &ViewSet,
    sql: &str,
    what: &str,
) -> EngineResult<DataFrame> {
    let in_view = |e: DataFusionError| e.context(format!("the {what} SQL of view set {}", view_set.name));
    let rows = query_only(session, sql).await.map_err(in_view)?;
    let columns = view_set.columns.iter().map(|c| {
        let field = rows.schema().field_with_unqualified_name(c.name)?;
        let engine_type = c.column_type.engine();
        Ok(match *field.data_type() == engine_type {
            true => ident(c.name),
            false => cast(ident(c.name), engine_type).alias(c.name),
        })
    });
    let columns = columns.collect::<EngineResult<Vec<_>>>().map_err(in_view)?;
    rows.select(columns).map_err(in_view)
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
        let coverage =
            Coverage::of(&self.instance, &self.context, &Conditions::of(filters)).await.map_err(external)?;
        coverage.report(&self.instance, &self.context, (0, 0));
        let partials = Partials::new(self.instance.clone(), self.sql, self.context.clone(), coverage);
        session.register_table(PARTIALS, Arc::new(partials))?;
        let rows = frame(&session, self.instance.view_set, self.sql.merge, "merge").await?;
        // the engine moves down what can be asked of partial rows already
        let range = range_predicate(self.instance.view_set, self.context.range());
        scan_of(rows, &self.schema, projection, filters.iter().cloned().chain(range), limit).await
    }
}

/// The plan of a table whose rows are those of a query.
pub(super) async fn scan_of(
    mut rows: DataFrame,
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
    filters: impl Iterator<Item = Expr>,
    limit: Option<usize>,
) -> EngineResult<Arc<dyn ExecutionPlan>> {
    if let Some(predicate) = conjunction(filters) {
        rows = rows.filter(predicate)?;
    }
    let mut schema = schema.clone();
    if let Some(projection) = projection {
        schema = Arc::new(schema.project(projection)?);
        if !projection.is_empty() {
            rows = rows.select(schema.fields().iter().map(|f| ident(f.name())))?;
        }
    }
    if limit.is_some() {
        rows = rows.limit(0, limit)?;
    }
    let plan = rows.create_physical_plan().await?;
    match schema.fields().is_empty() {
        true => without_columns(plan),
        false => Ok(Arc::new(ConformExec::new(plan, schema))),
    }
}

/// For when only the number of rows is wanted.
fn without_columns(plan: Arc<dyn ExecutionPlan>) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let none: Vec<(Arc<dyn datafusion::physical_expr::PhysicalExpr>, String)> = Vec::new();
    Ok(Arc::new(datafusion::physical_plan::projection::ProjectionExec::try_new(none, plan)?))
}

/// The partial rows of a view.
#[derive(Debug)]
struct Partials {
    instance: Instance,
    sql: SqlSource,
    context: QueryContext,
    coverage: Coverage,
    schema: SchemaRef,
}

impl Partials {
    fn new(instance: Instance, sql: SqlSource, context: QueryContext, coverage: Coverage) -> Self {
        Self { schema: instance.view_set.engine_schema(), instance, sql, context, coverage }
    }

    /// Where partial rows are to be made: gaps in which there is something.
    async fn gaps(&self) -> EngineResult<Vec<SeqRange>> {
        let mut with_blocks = Vec::new();
        for gap in &self.coverage.gaps {
            let filter = self.instance.blocks_in(*gap);
            let summary = self.context.connection().catalog().summary(&filter).await.map_err(external)?;
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
            let scan = PartitionScan { instance: &self.instance, context: &self.context, predicate };
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

/// The columns that a view's SQL gives, for a view set that is not documented yet, once it is known to work.
pub(super) async fn check(session: &SessionContext, sql: &SqlSource) -> Result<SchemaRef> {
    let rows = query_only(session, sql.extract).await.context("the SQL of the view")?;
    let schema: SchemaRef = Arc::new(rows.schema().as_arrow().clone());
    let partials = datafusion::datasource::MemTable::try_new(schema.clone(), vec![vec![]])?;
    session.register_table(PARTIALS, Arc::new(partials))?;
    let merged = query_only(session, sql.merge).await;
    session.deregister_table(PARTIALS)?;
    let merged = merged.context("the merge SQL")?;
    for field in schema.fields() {
        merged
            .schema()
            .field_with_unqualified_name(field.name())
            .with_context(|| format!("the merge SQL has no column {}", field.name()))?;
    }
    Ok(schema)
}
