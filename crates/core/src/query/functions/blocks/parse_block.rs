//! `parse_block(block_id)`: a block's objects as they were sent.

use super::{closing, damaged, failure, payload};
use crate::error::Error;
use crate::query::Argument;
use crate::query::QueryContext;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_model::BlockRecord;
use belvedere_model::time::to_rfc3339;
use belvedere_view::ParseBlock;
use belvedere_view::decoder::{parse_block, parsed_schema};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct ParseBlockFunction {
    context: QueryContext,
}

impl ParseBlockFunction {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ParseBlockFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [block_id] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "parse_block takes one argument: the block_id, a string in quotes".to_owned(),
            ));
        };
        let block_id = Argument::text(block_id, "block_id")?;
        let block_id = Uuid::try_parse(&block_id).map_err(|_| {
            DataFusionError::Plan(format!("parse_block: '{block_id}' is not a valid block id"))
        })?;
        Ok(Arc::new(BlockObjects { context: self.context.clone(), block_id, schema: parsed_schema() }))
    }
}

/// The objects of one block, which is looked up when the query is planned.
#[derive(Debug)]
struct BlockObjects {
    context: QueryContext,
    block_id: Uuid,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for BlockObjects {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let block = self.block().await?;
        let format = block.stream.format.as_str();
        let Some(parse) = self.context.assembly().parser(format) else {
            return Err(DataFusionError::Plan(format!(
                "parse_block: block '{}' has the format '{format}', which this program can't parse",
                self.block_id
            )));
        };
        let objects = Objects {
            context: self.context.clone(),
            block: Arc::new(block),
            parse,
            schema: self.schema.clone(),
        };
        let table = StreamingTable::try_new(self.schema.clone(), vec![Arc::new(objects)])?;
        table.scan(state, projection, filters, limit).await
    }
}

impl BlockObjects {
    async fn block(&self) -> Result<BlockRecord> {
        let filter = BlockFilter {
            block_ids: Some(vec![self.block_id]),
            bounds: self.context.range(),
            seqs: self.context.visible().await.map_err(Error::from)?,
            ..BlockFilter::default()
        };
        let blocks = self.context.connection().catalog().blocks(&filter, 0, 1).await.map_err(Error::from)?;
        blocks.into_iter().next().ok_or_else(|| DataFusionError::Plan(self.not_found()))
    }

    fn not_found(&self) -> String {
        let (id, range) = (self.block_id, self.context.range());
        if range.is_all() {
            return format!("parse_block: block '{id}' not found in `blocks`");
        }
        let bound = |bound: Option<i64>| bound.map(to_rfc3339).unwrap_or_default();
        format!(
            "parse_block: block '{id}' not found in `blocks` for the queried range [{}, {}]. The block may be outside \
             the query's time range — widen the range to include it.",
            bound(range.begin),
            bound(range.end)
        )
    }
}

#[derive(Debug, Clone)]
struct Objects {
    context: QueryContext,
    block: Arc<BlockRecord>,
    parse: ParseBlock,
    schema: SchemaRef,
}

impl PartitionStream for Objects {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let (objects, to) = (self.clone(), builder.tx());
        builder.spawn(async move { objects.read(to).await });
        builder.build()
    }
}

impl Objects {
    async fn read(self, to: Sender<Result<RecordBatch>>) -> Result<()> {
        let payload = payload(&self.context, "parse_block", &self.block).await?;
        let decoders = self.context.scan().lake.decoders.clone();
        let permit = decoders.clone().acquire_owned().await.map_err(|_| closing())?;
        let (block, parse, options) = (self.block.clone(), self.parse, self.context.decode_options().clone());
        let mut hand_over = HandOver { to, decoders, permit: Some(permit), threads: Handle::current() };
        let read = tokio::task::spawn_blocking(move || {
            parse_block(parse, &block, payload, &options, &mut |batch| hand_over.batch(batch))
        });
        let block_id = self.block.info.block_id;
        match read.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(damaged("parse_block", block_id, e)),
            Err(e) if e.is_panic() => Err(failure(format!(
                "parse_block: block '{block_id}' can't be parsed: the parser panicked, which is a bug"
            ))),
            Err(_) => Err(closing()),
        }
    }
}

/// Takes batches to whoever wants them. Who waits for a slow client lets others decode meanwhile.
struct HandOver {
    to: Sender<Result<RecordBatch>>,
    decoders: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    threads: Handle,
}

impl HandOver {
    /// `false` if nobody wants more.
    fn batch(&mut self, batch: RecordBatch) -> bool {
        match self.to.try_send(Ok(batch)) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(batch)) => {
                drop(self.permit.take());
                if self.to.blocking_send(batch).is_err() {
                    return false;
                }
                self.permit = self.threads.block_on(self.decoders.clone().acquire_owned()).ok();
                self.permit.is_some()
            }
        }
    }
}
