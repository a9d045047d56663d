//! Tables that are read page by page from the catalog.

use super::QueryContext;
use crate::error::Result;
use crate::scan::Conditions;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream::try_unfold;
use std::fmt::Debug;
use std::sync::Arc;

/// Rows of one page: at most so many.
const PAGE: u32 = 1000;

/// Some rows, and where to go on.
pub(crate) struct Page<C> {
    /// The rows, with all columns of the engine's schema.
    pub rows: RecordBatch,
    /// What to ask for next; `None` if this was the last page.
    pub next: Option<C>,
}

/// Something that gives rows page by page.
#[async_trait]
pub(crate) trait PagedSource: Debug + Send + Sync + 'static {
    /// Where to go on.
    type Cursor: Send + 'static;

    /// Whether the rows are about the blocks that [`QueryContext::visible`] allows, and about no others.
    const FOLLOWS_BLOCKS: bool = false;

    /// The rows behind `after`, at most `limit` of them, that may meet `conditions`, with the columns of
    /// `schema`. They are filtered once more, except for the query's time range: that is up to the source.
    async fn page(
        &self,
        context: &QueryContext,
        conditions: &Conditions,
        after: Option<Self::Cursor>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<Self::Cursor>>;
}

/// A table over a [`PagedSource`].
#[derive(Debug)]
pub(crate) struct PagedTable<S> {
    schema: SchemaRef,
    source: Arc<S>,
    context: QueryContext,
}

impl<S: PagedSource> PagedTable<S> {
    /// A table with the columns of `schema`.
    pub fn new(schema: SchemaRef, source: Arc<S>, context: QueryContext) -> Self {
        Self { schema, source, context }
    }
}

#[async_trait]
impl<S: PagedSource> TableProvider for PagedTable<S> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let pages = Pages {
            schema: self.schema.clone(),
            source: self.source.clone(),
            context: self.context.clone(),
            conditions: Conditions::new(filters),
        };
        StreamingTable::try_new(self.schema.clone(), vec![Arc::new(pages)])?
            .scan(state, projection, &[], limit)
            .await
    }
}

#[derive(Debug)]
struct Pages<S> {
    schema: SchemaRef,
    source: Arc<S>,
    context: QueryContext,
    conditions: Conditions,
}

impl<S: PagedSource> PartitionStream for Pages<S> {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let this = Arc::new((
            self.source.clone(),
            self.context.clone(),
            self.conditions.clone(),
            self.schema.clone(),
        ));
        let pages = try_unfold(Some(None), move |cursor| {
            let this = this.clone();
            async move {
                let Some(after) = cursor else { return Ok(None) };
                let (source, context, conditions, schema) = &*this;
                let page = source.page(context, conditions, after, PAGE, schema).await?;
                Ok(Some((page.rows, page.next.map(Some))))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), pages))
    }
}
