//! `flame_graph('process or stream id', begin, end)`

use super::{range_of, spans_of};
use crate::flame::FlameGraph;
use belvedere_core::Error;
use belvedere_core::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use belvedere_core::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_core::arrow::error::ArrowError;
use belvedere_core::datafusion::catalog::streaming::StreamingTable;
use belvedere_core::datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use belvedere_core::datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use belvedere_core::datafusion::physical_plan::streaming::PartitionStream;
use belvedere_core::query::{Argument, QueryContext};
use belvedere_model::TRANSIT_FORMAT;
use belvedere_model::time::TimeRange;
use std::sync::Arc;
use uuid::Uuid;

/// Rows that leave at once.
const BATCH: usize = 8192;

#[derive(Debug)]
pub(super) struct FlameGraphTable {
    context: QueryContext,
}

impl FlameGraphTable {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for FlameGraphTable {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [id, begin, end] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "flame_graph takes the id of a process or stream, a begin and an end".to_owned(),
            ));
        };
        let id = Argument::uuid(id, "process or stream id")?;
        let (begin, end) = range_of(begin, end)?;
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        let graph = Graph {
            context: self.context.with_range(TimeRange { begin: Some(begin), end: Some(end) }),
            id,
            schema: Arc::new(Schema::new(vec![
                field("node", DataType::Int32),
                Field::new("parent", DataType::Int32, true),
                field("depth", DataType::Int32),
                field("name", DataType::Utf8),
                field("calls", DataType::Int64),
                field("total", DataType::Int64),
                field("self", DataType::Int64),
            ])),
        };
        Ok(Arc::new(StreamingTable::try_new(graph.schema.clone(), vec![Arc::new(graph)])?))
    }
}

#[derive(Debug)]
struct Graph {
    context: QueryContext,
    id: Uuid,
    schema: SchemaRef,
}

impl PartitionStream for Graph {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let (rows, schema, context, id) = (builder.tx(), self.schema.clone(), self.context.clone(), self.id);
        builder.spawn(async move {
            let graph = graph(&context, id).await?;
            let all: Vec<_> = graph.ways().collect();
            for (i, ways) in all.chunks(BATCH).enumerate() {
                let first = i * BATCH;
                // there are 2^18 ways at most
                let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
                let columns: Vec<ArrayRef> = vec![
                    Arc::new((first..first + ways.len()).map(|n| Some(number(n))).collect::<Int32Array>()),
                    Arc::new(
                        ways.iter().map(|way| way.parent.map(|n| number(n as usize))).collect::<Int32Array>(),
                    ),
                    Arc::new(ways.iter().map(|way| Some(number(way.depth))).collect::<Int32Array>()),
                    Arc::new(ways.iter().map(|way| Some(way.name)).collect::<StringArray>()),
                    Arc::new(ways.iter().map(|way| Some(way.calls.cast_signed())).collect::<Int64Array>()),
                    Arc::new(ways.iter().map(|way| Some(way.total)).collect::<Int64Array>()),
                    Arc::new(ways.iter().map(|way| Some(way.own)).collect::<Int64Array>()),
                ];
                let batch = RecordBatch::try_new(schema.clone(), columns)
                    .map_err(|e: ArrowError| DataFusionError::from(e));
                if rows.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// Counts all spans of a process or of a thread.
async fn graph(context: &QueryContext, id: Uuid) -> Result<FlameGraph, Error> {
    let mut graph = FlameGraph::default();
    for stream in spans_of::threads(context, id).await? {
        let mut rows = spans_of::rows(context, &FlameGraph::thread_sql(stream.stream_id)).await?;
        graph.add_thread(context.range(), &mut rows).await?;
    }
    let streams = context.connection().catalog().streams_of(id).await?;
    let has_traces = context.factory().get_view_sets().contains_key("otel_spans");
    if has_traces && streams.iter().any(|stream| stream.format != TRANSIT_FORMAT) {
        let mut rows = spans_of::rows(context, &FlameGraph::traces_sql(id)).await?;
        graph.add_traces(context.range(), &mut rows).await?;
    }
    Ok(graph)
}
