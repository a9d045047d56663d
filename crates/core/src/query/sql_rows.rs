//! The rows of views that are SQL over others: what extract and merge give.

use super::QueryContext;
use super::partials::Partials;
use super::view_sql::{frame, ident};
use crate::error::Result;
use crate::partitions::ViewRows;
use crate::registry::PARTIALS;
use crate::scan::{Coverage, Instance, ScanContext, conform};
use async_trait::async_trait;
use belvedere_view::SqlSource;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::SortExpr;
use std::sync::Arc;

#[async_trait]
impl ViewRows for QueryContext {
    fn instance(&self, view_set: &str, id: &str) -> Option<Instance> {
        self.factory().make_view(view_set, id).ok()?.instance().cloned()
    }

    fn global_instances(&self) -> Vec<Instance> {
        self.factory().get_global_views().iter().filter_map(|view| view.instance().cloned()).collect()
    }

    async fn extract(
        &self,
        scan: &ScanContext,
        instance: &Instance,
        sql: &SqlSource,
    ) -> Result<SendableRecordBatchStream> {
        let session = self.with_scan(scan.clone()).session()?;
        let rows = frame(&session, instance.view_set, sql.extract, "extract").await?;
        let rows = rows.sort(sort_exprs(sql))?.execute_stream().await?;
        Ok(conform(rows, instance.view_set.engine_schema()))
    }

    async fn merge(
        &self,
        scan: &ScanContext,
        instance: &Instance,
        sql: &SqlSource,
        partials: Coverage,
    ) -> Result<SendableRecordBatchStream> {
        let context = self.with_scan(scan.clone());
        let session = context.session()?;
        let partials = Partials::new(instance.clone(), *sql, context, partials);
        session.register_table(PARTIALS, Arc::new(partials))?;
        let rows = frame(&session, instance.view_set, sql.merge, "merge").await?;
        let rows = rows.sort(sort_exprs(sql))?.execute_stream().await?;
        Ok(conform(rows, instance.view_set.engine_schema()))
    }

    async fn rows(&self, scan: &ScanContext, instance: &Instance) -> Result<SendableRecordBatchStream> {
        let context = self.with_scan(scan.clone());
        let view = context.factory().make_view(instance.view_set.name, &instance.id)?;
        Ok(context.session()?.read_table(view.table(&context)?)?.execute_stream().await?)
    }

    fn task(&self, scan: &ScanContext) -> Result<Arc<TaskContext>> {
        Ok(self.with_scan(scan.clone()).session()?.task_ctx())
    }
}

fn sort_exprs(sql: &SqlSource) -> Vec<SortExpr> {
    sql.sort.iter().map(|name| ident(name).sort(true, false)).collect()
}
