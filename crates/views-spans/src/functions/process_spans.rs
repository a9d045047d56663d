//! `process_spans('process id', 'types')`

use super::types;
use crate::thread_decoder::label;
use async_trait::async_trait;
use belvedere_core::Error;
use belvedere_core::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_core::datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use belvedere_core::datafusion::datasource::TableType;
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use belvedere_core::datafusion::physical_plan::ExecutionPlan;
use belvedere_core::datafusion::prelude::{DataFrame, SessionContext, ident, lit};
use belvedere_core::datafusion::scalar::ScalarValue;
use belvedere_core::query::Argument;
use belvedere_core::query::QueryContext;
use belvedere_model::StreamInfo;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct ProcessSpans {
    context: QueryContext,
}

impl ProcessSpans {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ProcessSpans {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [process, which] = args.exprs() else {
            return Err(DataFusionError::Plan("process_spans takes a process id and types".to_owned()));
        };
        let process_id = Argument::uuid(process, "process id")?;
        let (threads, tasks) = types(&Argument::text(which, "types")?).map_err(DataFusionError::Plan)?;
        let view = self.context.assembly().view_sets().find(|s| s.name == "thread_spans");
        let view =
            view.ok_or_else(|| DataFusionError::Plan("there is no view set thread_spans".to_owned()))?;
        let mut fields = vec![dictionary("stream_id"), dictionary("thread_name")];
        fields.extend(view.engine_schema().fields().iter().map(|f| f.as_ref().clone()));
        Ok(Arc::new(SpansTable {
            context: self.context.clone(),
            process_id,
            threads,
            tasks,
            schema: Arc::new(Schema::new(fields)),
        }))
    }
}

fn text_dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn dictionary(name: &str) -> Field {
    Field::new(name, text_dictionary(), false)
}

#[derive(Debug)]
struct SpansTable {
    context: QueryContext,
    process_id: Uuid,
    threads: bool,
    tasks: bool,
    schema: SchemaRef,
}

impl SpansTable {
    async fn threads(&self) -> Result<Vec<StreamInfo>> {
        let catalog = self.context.connection().catalog();
        let mut streams = catalog.streams_of(self.process_id).await.map_err(Error::from)?;
        streams.retain(|s| s.tags.iter().any(|t| t == "cpu"));
        Ok(streams)
    }

    fn of_thread(&self, session: &SessionContext, stream: &StreamInfo) -> Result<DataFrame> {
        let id = stream.stream_id.to_string();
        let view = self.context.factory().make_view("thread_spans", &id)?;
        let rows = session.read_table(view.table(&self.context)?)?;
        self.select(rows, &id, &label(stream))
    }

    async fn of_tasks(&self, session: &SessionContext) -> Result<DataFrame> {
        let events = format!("view_instance('async_events', '{}')", self.process_id);
        let sql = format!(
            "SELECT b.span_id AS id, b.parent_span_id AS parent, b.depth, b.hash, b.time AS \"begin\", \
             e.time AS \"end\", CAST(e.time AS BIGINT) - CAST(b.time AS BIGINT) AS duration, b.name, b.target, \
             b.filename, b.line, true AS is_complete, e.properties \
             FROM (SELECT *, row_number() OVER (PARTITION BY span_id ORDER BY time) AS turn FROM {events} \
             WHERE event_type = 'begin') b \
             JOIN (SELECT span_id, time, properties, row_number() OVER (PARTITION BY span_id ORDER BY time) AS turn FROM {events} \
             WHERE event_type = 'end') e ON b.span_id = e.span_id AND b.turn = e.turn \
             WHERE b.time <= e.time"
        );
        self.select(session.sql(&sql).await?, "", "async")
    }

    /// The columns of the table out of those of `thread_spans`.
    fn select(&self, rows: DataFrame, stream_id: &str, thread: &str) -> Result<DataFrame> {
        let constant = |text: &str, name: &str| {
            let text = ScalarValue::Utf8(Some(text.to_owned()));
            lit(ScalarValue::Dictionary(Box::new(DataType::Int32), Box::new(text))).alias(name)
        };
        let mut columns: Vec<Expr> = vec![constant(stream_id, "stream_id"), constant(thread, "thread_name")];
        columns.extend(self.schema.fields().iter().skip(2).map(|f| ident(f.name())));
        rows.select(columns)
    }
}

#[async_trait]
impl TableProvider for SpansTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let known =
            self.context.connection().catalog().process(self.process_id).await.map_err(Error::from)?;
        if known.is_none() {
            return Err(DataFusionError::Plan(format!(
                "there is no process {} in this lake: SELECT process_id FROM processes lists all",
                self.process_id
            )));
        }
        let session = self.context.session()?;
        let threads = self.threads().await?;
        let mut parts = Vec::new();
        if self.threads {
            for stream in &threads {
                parts.push(self.of_thread(&session, stream)?);
            }
        }
        if self.tasks && !threads.is_empty() {
            parts.push(self.of_tasks(&session).await?);
        }
        let wanted: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&wanted)?);
        let mut parts = parts.into_iter();
        let rows = match parts.next() {
            Some(first) => parts.try_fold(first, DataFrame::union)?,
            None => {
                let nothing = LogicalPlanBuilder::empty(false).build()?;
                let columns = self.schema.fields().iter().map(|f| -> Result<Expr> {
                    Ok(lit(ScalarValue::try_from(f.data_type())?).alias(f.name()))
                });
                let columns = columns.collect::<Result<Vec<_>>>()?;
                DataFrame::new(session.state(), nothing).select(columns)?
            }
        };
        let rows =
            rows.select(wanted.iter().map(|i| ident(self.schema.field(*i).name())).collect::<Vec<_>>())?;
        let rows = rows.limit(0, limit)?;
        Ok(QueryContext::conformed(rows.create_physical_plan().await?, schema))
    }
}
