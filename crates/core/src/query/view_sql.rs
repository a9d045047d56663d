//! The SQL of views, as frames and plans of the engine.

use crate::error::{Context, Result};
use crate::registry::PARTIALS;
use crate::scan::ConformExec;
use arrow::datatypes::SchemaRef;
use belvedere_view::{SqlSource, ViewSet};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, cast, col};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::prelude::{SQLOptions, SessionContext};
use std::sync::Arc;

/// A column by its name as it is.
pub(super) fn ident(name: &str) -> Expr {
    col(Column::new_unqualified(name))
}

/// SQL that reads, and can do nothing else.
async fn query_only(session: &SessionContext, sql: &str) -> EngineResult<DataFrame> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    session.sql_with_options(sql, options).await
}

/// The rows of a view's SQL with the columns of the view set, by name, in the types of the engine.
pub(crate) async fn frame(
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
        Ok(if *field.data_type() == engine_type {
            ident(c.name)
        } else {
            cast(ident(c.name), engine_type).alias(c.name)
        })
    });
    let columns = columns.collect::<EngineResult<Vec<_>>>().map_err(in_view)?;
    rows.select(columns).map_err(in_view)
}

/// The plan of a table whose rows are those of a query.
pub(crate) async fn scan_of(
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
    if schema.fields().is_empty() {
        without_columns(plan)
    } else {
        Ok(Arc::new(ConformExec::new(plan, schema)))
    }
}

/// For when only the number of rows is wanted.
pub(super) fn without_columns(plan: Arc<dyn ExecutionPlan>) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let none: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
    Ok(Arc::new(ProjectionExec::try_new(none, plan)?))
}

/// The columns that a view's SQL gives, for a view set that is not documented yet, once it is known to work.
pub(crate) async fn check_sql_source(session: &SessionContext, sql: &SqlSource) -> Result<SchemaRef> {
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
            .with_context(|| format!("the merge SQL does not give the column {}", field.name()))?;
    }
    Ok(schema)
}
