//! Fetches and decodes blocks, many at a time, and hands on their rows in small batches.

use super::block_queue::{BlockList, BlockQueue};
use super::faults::{note_fault, report_fault};
use super::leaf_exec::LeafScan;
use super::{Instance, ScanContext, fetch_payload};
use crate::error::Error;
use crate::metrics::metrics;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_lake::BlockSummary;
use belvedere_model::BlockRecord;
use belvedere_view::BlockSource;
use belvedere_view::decoder::{DecodeError, decode_block};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Blocks that one partition fetches and decodes at once: while one is decoded, the next is fetched.
const IN_FLIGHT: usize = 2;
/// KiB of payloads that one partition has at once, if one alone has not more. Rows may take several times that.
const IN_FLIGHT_KIB: usize = 16 << 10;

/// What blocks are decoded into.
#[derive(Debug, Clone)]
pub(super) struct ScanTarget {
    pub(super) instance: Instance,
    pub(super) sources: Arc<[BlockSource]>,
    /// Positions in the view set's schema.
    pub(super) projection: Vec<usize>,
    /// The columns of the projection.
    pub(super) schema: SchemaRef,
}

/// Reads the blocks of a list, each by whichever partition is free.
#[derive(Debug)]
pub(super) struct BlockScan {
    target: Arc<ScanTarget>,
    list: BlockList,
    /// What the list's blocks are together.
    live: BlockSummary,
    context: ScanContext,
    partitions: usize,
    /// One list for each time that the plan is run, and the partitions that have not begun with it yet.
    runs: Mutex<Vec<Run>>,
}

#[derive(Debug)]
struct Run {
    queue: BlockQueue,
    waiting: Vec<bool>,
}

impl BlockScan {
    pub(super) fn new(
        target: ScanTarget,
        list: BlockList,
        live: BlockSummary,
        context: ScanContext,
        partitions: usize,
    ) -> Self {
        Self { target: Arc::new(target), list, live, context, partitions, runs: Mutex::new(Vec::new()) }
    }

    /// The queue that a partition takes from. Each partition is run once with each queue, so a plan that is
    /// run again reads everything again.
    fn queue(&self, partition: usize) -> BlockQueue {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let open = runs.iter().position(|run| run.waiting[partition]).unwrap_or_else(|| {
            // who decodes as much would have liked to find partitions
            self.context.lake.jit_requests.note(&self.target.instance, &self.live);
            runs.push(Run { queue: self.list.start(), waiting: vec![true; self.partitions] });
            runs.len() - 1
        });
        runs[open].waiting[partition] = false;
        let queue = runs[open].queue.clone();
        runs.retain(|run| run.waiting.contains(&true));
        queue
    }
}

impl LeafScan for BlockScan {
    const NAME: &'static str = "BlockScanExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.target.schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(
            f,
            "view={}, blocks={}, bytes={}, columns=[{}]",
            self.target.instance.name(),
            self.live.blocks,
            self.live.payload_bytes,
            columns.join(", ")
        )
    }

    fn run(
        &self,
        partition: usize,
        task: &TaskContext,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<SendableRecordBatchStream> {
        let blocks = MetricBuilder::new(metrics).counter("blocks", partition);
        let metrics = BaselineMetrics::new(metrics, partition);
        let memory = MemoryConsumer::new(format!("BlockScan[{partition}] {}", self.target.instance.name()))
            .register(task.memory_pool());
        let reader = Arc::new(Reader {
            target: self.target.clone(),
            context: self.context.clone(),
            memory,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_KIB)),
        });
        let batch_size = task.session_config().batch_size();
        let queue = self.queue(partition);
        let decoded = queue
            .blocks
            .clone()
            .map(move |block| {
                let (reader, blocks) = (reader.clone(), blocks.clone());
                // the queue lives as long as its blocks are wanted
                let queue = queue.clone();
                async move {
                    let block = block.map_err(Error::from)?;
                    blocks.add(1);
                    let rows = reader.read(block).await;
                    drop(queue);
                    rows
                }
            })
            .buffer_unordered(if self.context.is_careful { 1 } else { IN_FLIGHT })
            .flat_map(move |decoded| pieces(decoded, batch_size))
            .map(move |batch| {
                if let Ok(batch) = &batch {
                    metrics.record_output(batch.num_rows());
                }
                batch
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.target.schema.clone(), decoded)))
    }
}

/// The rows of one block, and the memory that is accounted for them until they have been handed on.
struct Decoded {
    rows: RecordBatch,
    _memory: MemoryReservation,
    _in_flight: OwnedSemaphorePermit,
}

/// Hands a block's rows on in batches of the usual size.
fn pieces(decoded: Result<Option<Decoded>>, size: usize) -> BoxStream<'static, Result<RecordBatch>> {
    match decoded {
        Ok(Some(decoded)) => {
            let offsets = (0..decoded.rows.num_rows()).step_by(size.max(1));
            stream::iter(offsets.map(move |offset| {
                let length = size.min(decoded.rows.num_rows() - offset);
                Ok(decoded.rows.slice(offset, length))
            }))
            .boxed()
        }
        Ok(None) => stream::empty().boxed(),
        Err(e) => stream::iter([Err(e)]).boxed(),
    }
}

fn closing() -> DataFusionError {
    DataFusionError::Execution("the lake is closing".to_owned())
}

struct Reader {
    target: Arc<ScanTarget>,
    context: ScanContext,
    memory: MemoryReservation,
    in_flight: Arc<Semaphore>,
}

impl Reader {
    /// The rows of a block; `None` if it has none or can't be read.
    async fn read(&self, block: BlockRecord) -> Result<Option<Decoded>> {
        let name = self.target.instance.view_set.name;
        let Some(decoder) = BlockSource::for_block(&self.target.sources, &block) else {
            return Ok(None);
        };
        let kibibytes =
            usize::try_from(block.info.payload_size >> 10).unwrap_or(0).clamp(1, IN_FLIGHT_KIB) as u32;
        let in_flight = self.in_flight.clone().acquire_many_owned(kibibytes).await.map_err(|_| closing())?;
        let payload = match fetch_payload(self.context.connection(), &block).await.map_err(Error::from)? {
            Ok(payload) => payload,
            Err(e) => {
                self.fault(&block, e).await;
                return Ok(None);
            }
        };
        self.context.report.add_block(payload.len() as u64);
        let metrics = metrics(self.context.connection());
        metrics.blocks_decoded(name, 1);

        let (target, options, decoders) =
            (self.target.clone(), self.context.lake.decode.clone(), self.context.lake.decoders.clone());
        let block = Arc::new(block);
        let decoded = block.clone();
        // a task of its own: who waits for a permit must be polled even when nobody takes rows, or the
        // permits of all queries end up with somebody who sleeps
        let permits = self.context.lake.permits(payload.len());
        let task = SpawnedTask::spawn(async move {
            let Ok(permit) = decoders.acquire_many_owned(permits).await else {
                return Err(closing());
            };
            let decode = move || {
                let _permit = permit;
                let (projection, schema) = (&target.projection, target.schema.clone());
                decode_block(
                    target.instance.view_set,
                    decoder,
                    &decoded,
                    payload,
                    projection,
                    schema,
                    &options,
                )
            };
            match tokio::task::spawn_blocking(decode).await {
                Ok(rows) => Ok(rows),
                Err(e) if e.is_panic() => Ok(Err(DecodeError::mistake("it panicked"))),
                Err(_) => Err(closing()),
            }
        });
        let rows = task.await.map_err(|e| {
            DataFusionError::External(Box::new(e)).context(format!("decoding for {name} ended early"))
        })??;
        let rows = rows.map(|decoded| {
            let (rows, ignored) = decoded.into_parts();
            metrics.events_ignored(name, &ignored);
            self.context.report.add_ignored(ignored.iter().map(|(_, events)| events).sum());
            rows
        });
        match rows {
            Ok(rows) if rows.num_rows() == 0 => Ok(None),
            Ok(rows) => {
                let memory = self.memory.new_empty();
                memory.try_grow(get_record_batch_memory_size(&rows))?;
                Ok(Some(Decoded { rows, _memory: memory, _in_flight: in_flight }))
            }
            Err(e) => {
                self.fault(&block, e).await;
                Ok(None)
            }
        }
    }

    async fn fault(&self, block: &BlockRecord, error: DecodeError) {
        let name = self.target.instance.view_set.name;
        let noted = note_fault(self.context.connection(), name, block, &error).await;
        report_fault(&self.context, name, block, noted);
    }
}
