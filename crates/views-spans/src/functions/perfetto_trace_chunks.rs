//! `perfetto_trace_chunks('process id', 'types', begin, end)`

use super::types;
use crate::trace::{Parts, write_trace};
use belvedere_core::arrow::array::{BinaryArray, Int32Array, RecordBatch};
use belvedere_core::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_core::datafusion::catalog::streaming::StreamingTable;
use belvedere_core::datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use belvedere_core::datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use belvedere_core::datafusion::physical_plan::streaming::PartitionStream;
use belvedere_core::query::Argument;
use belvedere_core::query::QueryContext;
use belvedere_model::time::TimeRange;
use std::sync::Arc;
use tokio::sync::mpsc::channel;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct PerfettoTraceChunks {
    context: QueryContext,
}

impl PerfettoTraceChunks {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for PerfettoTraceChunks {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [process, which, begin, end] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "perfetto_trace_chunks takes a process id, types, a begin and an end".to_owned(),
            ));
        };
        let parts = match Argument::text(which, "types")?.as_str() {
            "all" => Parts::ALL,
            which => {
                let (threads, tasks) = types(which).map_err(DataFusionError::Plan)?;
                Parts { threads, tasks, ..Parts::NONE }
            }
        };
        let range = TimeRange {
            begin: Some(Argument::time(begin, "begin")?),
            end: Some(Argument::time(end, "end")?),
        };
        let chunks = Chunks {
            process_id: Argument::uuid(process, "process id")?,
            parts,
            context: self.context.with_range(range),
            schema: Arc::new(Schema::new(vec![
                Field::new("chunk_id", DataType::Int32, false),
                Field::new("chunk_data", DataType::Binary, false),
            ])),
        };
        Ok(Arc::new(StreamingTable::try_new(chunks.schema.clone(), vec![Arc::new(chunks)])?))
    }
}

#[derive(Debug)]
struct Chunks {
    process_id: Uuid,
    parts: Parts,
    context: QueryContext,
    schema: SchemaRef,
}

impl PartitionStream for Chunks {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let (rows, schema) = (builder.tx(), self.schema.clone());
        let (out, mut chunks) = channel::<Vec<u8>>(2);
        let (context, process_id, parts) = (self.context.clone(), self.process_id, self.parts);
        builder.spawn(async move {
            let written = write_trace(&context, process_id, parts, &out).await;
            written.map(drop).map_err(Into::into)
        });
        builder.spawn(async move {
            let mut id = 0;
            while let Some(chunk) = chunks.recv().await {
                let (ids, data) = (Int32Array::from(vec![id]), BinaryArray::from(vec![chunk.as_slice()]));
                let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(ids), Arc::new(data)])?;
                if rows.send(Ok(batch)).await.is_err() {
                    break;
                }
                id += 1;
            }
            Ok(())
        });
        builder.build()
    }
}
