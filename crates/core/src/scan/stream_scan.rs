//! Fetches the blocks of streams, decodes those of each stream one after the other, and hands on their rows in small
//! batches.

use super::faults::{note_fault, report_fault};
use super::leaf_exec::LeafScan;
use super::{Instance, ScanContext, StreamPiece, fetch_payload};
use crate::error::Error;
use crate::metrics::metrics;
use arrow::array::RecordBatch;
use belvedere_lake::{BlockFilter, BlockSummary, LakeConnection, LakeError};
use belvedere_model::BlockRecord;
use belvedere_model::{ProcessInfo, StreamInfo};
use belvedere_view::decoder::{DecodeError, Decoded, StreamDecoder, StreamTarget};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use futures::{Stream, StreamExt, stream};
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

/// Blocks of one page of the list.
const PAGE: u32 = 200;
/// Payloads that are fetched before their turn.
const AHEAD: usize = 2;

/// A piece of a stream that a scan decodes.
#[derive(Debug, Clone)]
pub(super) struct LivePiece {
    pub(super) process: Arc<ProcessInfo>,
    pub(super) stream: Arc<StreamInfo>,
    pub(super) piece: StreamPiece,
}

/// Decodes pieces of streams, several streams at once.
#[derive(Debug)]
pub(super) struct StreamScan {
    instance: Instance,
    target: StreamTarget,
    /// For each partition of the plan.
    pieces: Vec<Arc<[LivePiece]>>,
    live: BlockSummary,
    context: ScanContext,
}

impl StreamScan {
    pub(super) fn new(
        instance: Instance,
        target: StreamTarget,
        pieces: Vec<LivePiece>,
        live: BlockSummary,
        context: ScanContext,
        partitions: usize,
    ) -> Self {
        let partitions = partitions.min(pieces.len()).max(1);
        let mut hands = vec![Vec::new(); partitions];
        for (i, piece) in pieces.into_iter().enumerate() {
            hands[i % partitions].push(piece);
        }
        Self { instance, target, pieces: hands.into_iter().map(Into::into).collect(), live, context }
    }

    /// Partitions of the plan.
    pub(super) fn partitions(&self) -> usize {
        self.pieces.len()
    }
}

impl LeafScan for StreamScan {
    const NAME: &'static str = "StreamScanExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.target.schema().fields().iter().map(|c| c.name().as_str()).collect();
        write!(
            f,
            "view={}, pieces={}, blocks={}, bytes={}, columns=[{}]",
            self.instance.name(),
            self.pieces.iter().map(|p| p.len()).sum::<usize>(),
            self.live.blocks,
            self.live.payload_bytes,
            columns.join(", ")
        )
    }

    fn run(
        &self,
        partition: usize,
        task: &TaskContext,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<SendableRecordBatchStream> {
        if partition == 0 {
            // who decodes as much would have liked to find partitions
            self.context.lake.jit_requests.note(&self.instance, &self.live);
        }
        let memory = MemoryConsumer::new(format!("StreamScan[{partition}] {}", self.instance.name()))
            .register(task.memory_pool());
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.target.schema().clone(), 2);
        let reader = Reader {
            target: self.target.clone(),
            context: self.context.clone(),
            memory,
            batch_size: task.session_config().batch_size().max(1),
            rows: builder.tx(),
        };
        let pieces = self.pieces[partition].clone();
        // a task of its own: it waits for a permit to decode although nobody takes rows
        builder.spawn(async move {
            for piece in pieces.iter() {
                if !reader.read(piece).await? {
                    break;
                }
            }
            Ok(())
        });
        Ok(builder.build())
    }
}

struct Reader {
    target: StreamTarget,
    context: ScanContext,
    memory: MemoryReservation,
    batch_size: usize,
    rows: Sender<Result<RecordBatch>>,
}

impl Reader {
    /// Reads one piece. `false`: nobody wants more rows.
    async fn read(&self, live: &LivePiece) -> Result<bool> {
        let (process, stream) = (live.process.clone(), live.stream.clone());
        let state = live.piece.state.as_deref();
        let Some(mut walk) =
            StreamDecoder::new(self.target.clone(), process, stream, state).map_err(Error::from)?
        else {
            return Ok(true);
        };
        let connection = self.context.connection().clone();
        let mut blocks = Box::pin(stream_blocks(connection, live.piece.blocks.clone()));
        while let Some(next) = blocks.next().await {
            let (block, payload) = next.map_err(Error::from)?;
            if let Ok(payload) = &payload {
                self.context.report.add_block(payload.len() as u64);
            }
            let name = self.target.view_set().name;
            metrics(self.context.connection()).blocks_decoded(name, 1);
            let (after, decoded, error) = self.step(walk, block, payload).await?;
            walk = after;
            if let Some((block, error)) = error {
                let noted = note_fault(self.context.connection(), name, &block, &error).await;
                report_fault(&self.context, name, &block, noted);
            }
            for decoded in decoded {
                if !self.hand_on(decoded).await? {
                    return Ok(false);
                }
            }
        }
        let open = if live.piece.is_last {
            Decoded::from(walk.open().map_err(Error::from)?)
        } else {
            walk.interrupt().map_err(Error::from)?
        };
        self.hand_on(open).await
    }

    /// Reads one block on a thread for CPU work.
    #[allow(clippy::type_complexity, reason = "only said here")]
    async fn step(
        &self,
        walk: StreamDecoder,
        block: BlockRecord,
        payload: Result<Bytes, DecodeError>,
    ) -> Result<(StreamDecoder, Vec<Decoded>, Option<(BlockRecord, DecodeError)>)> {
        let closing = || DataFusionError::Execution("the lake is closing".to_owned());
        let permits = self.context.lake.permits(payload.as_ref().map_or(0, Bytes::len));
        let permit =
            self.context.lake.decoders.clone().acquire_many_owned(permits).await.map_err(|_| closing())?;
        let before = walk.clone();
        let record = block.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut walk = walk;
            let (decoded, error) = walk.step(&record, payload);
            (walk, decoded, error)
        });
        match task.await {
            Ok((walk, decoded, error)) => Ok((walk, decoded, error.map(|e| (block, e)))),
            Err(e) if e.is_panic() => {
                // a mistake in the decoder costs the block
                let mut walk = before;
                let open = walk.interrupt().map_err(Error::from)?;
                let error = DecodeError::mistake("it panicked");
                Ok((walk, vec![open], Some((block, error))))
            }
            Err(_) => Err(closing()),
        }
    }

    async fn hand_on(&self, decoded: Decoded) -> Result<bool> {
        let (rows, ignored) = decoded.into_parts();
        metrics(self.context.connection()).events_ignored(self.target.view_set().name, &ignored);
        self.context.report.add_ignored(ignored.iter().map(|(_, events)| events).sum());
        let memory = self.memory.new_empty();
        memory.try_grow(get_record_batch_memory_size(&rows))?;
        for offset in (0..rows.num_rows()).step_by(self.batch_size) {
            let batch = rows.slice(offset, self.batch_size.min(rows.num_rows() - offset));
            if self.rows.send(Ok(batch)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The blocks of one stream in the order of their events, with their payloads.
pub(crate) fn stream_blocks(
    connection: Arc<LakeConnection>,
    filter: BlockFilter,
) -> impl Stream<Item = Result<(BlockRecord, Result<Bytes, DecodeError>), LakeError>> + Send {
    struct Listing {
        connection: Arc<LakeConnection>,
        filter: BlockFilter,
        after: Option<(i64, i64, Uuid)>,
        is_done: bool,
    }
    let listing = Listing { connection: connection.clone(), filter, after: None, is_done: false };
    let pages = stream::unfold(listing, |mut listing| async move {
        if listing.is_done {
            return None;
        }
        let catalog = listing.connection.catalog();
        let page = match catalog.chain_blocks(&listing.filter, listing.after, PAGE).await {
            Ok(page) => page,
            Err(e) => {
                listing.is_done = true;
                return Some((vec![Err(e)], listing));
            }
        };
        listing.is_done = page.len() < PAGE as usize;
        listing.after = page.last().map(BlockRecord::chain_key);
        Some((page.into_iter().map(Ok).collect::<Vec<_>>(), listing))
    });
    pages
        .flat_map(stream::iter)
        .map(move |block: Result<BlockRecord, LakeError>| {
            let connection = connection.clone();
            async move {
                let block = block?;
                let payload = fetch_payload(&connection, &block).await?;
                Ok::<_, LakeError>((block, payload))
            }
        })
        .buffered(AHEAD)
}
