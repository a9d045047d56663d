//! From blocks to the rows of a file.

use super::file::RowSink;
use super::order::in_time_order;
use crate::error::Result;
use crate::scan::Instance;
use arrow::array::RecordBatch;
use belvedere_model::BlockRecord;
use belvedere_view::BlockSource;
use belvedere_view::decoder::{DecodeError, Ignored, decode_block};
use bytes::Bytes;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What was read for one partition.
#[derive(Default)]
pub(super) struct RowsMade {
    pub(super) blocks: i64,
    pub(super) objects: i64,
    pub(super) faults: Vec<(BlockRecord, DecodeError)>,
    pub(super) ignored: Ignored,
    pub(super) inserted: Option<(i64, i64)>,
    pub(super) processes: BTreeSet<Uuid>,
    pub(super) last_seq: i64,
    /// There may be more blocks.
    pub(super) is_full: bool,
}

impl RowsMade {
    /// Counts a block, and why it could not be read.
    pub(super) fn add(&mut self, block: BlockRecord, fault: Option<DecodeError>) {
        self.blocks += 1;
        self.objects += i64::from(block.info.nb_objects);
        self.last_seq = block.seq;
        let inserted = block.info.insert_time;
        let (a, b) = self.inserted.unwrap_or((inserted, inserted));
        self.inserted = Some((a.min(inserted), b.max(inserted)));
        self.processes.insert(block.info.process_id);
        if let Some(error) = fault {
            self.faults.push((block, error));
        }
    }
}

/// Plain code: from blocks to the rows of a file, on one thread.
pub(super) struct BlocksToRows {
    pub(super) instance: Instance,
    pub(super) sources: Arc<[BlockSource]>,
    pub(super) options: belvedere_view::decoder::DecodeOptions,
    pub(super) budget: usize,
    pub(super) memory: MemoryReservation,
}

impl BlocksToRows {
    pub(super) fn run(
        self,
        mut blocks: mpsc::Receiver<(BlockRecord, Result<Bytes, DecodeError>)>,
        sink: &mut RowSink,
    ) -> Result<RowsMade> {
        let view_set = self.instance.view_set;
        let schema = view_set.engine_schema();
        let projection: Vec<usize> = (0..view_set.columns.len()).collect();
        let mut made = RowsMade::default();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut bytes = 0;
        while let Some((block, payload)) = blocks.blocking_recv() {
            let rows = payload.and_then(|payload| {
                let Some(decoder) = BlockSource::for_block(&self.sources, &block) else { return Ok(None) };
                // a decoder's mistake costs the block, here as in queries
                catch_unwind(AssertUnwindSafe(|| {
                    decode_block(
                        view_set,
                        decoder,
                        &block,
                        payload,
                        &projection,
                        schema.clone(),
                        &self.options,
                    )
                }))
                .unwrap_or_else(|_| Err(DecodeError::mistake("it panicked")))
                .map(Some)
            });
            let fault = match rows {
                Ok(Some(decoded)) => {
                    let (rows, ignored) = decoded.into_parts();
                    bytes += get_record_batch_memory_size(&rows);
                    batches.push(rows);
                    made.ignored.extend(ignored);
                    None
                }
                Ok(None) => None,
                Err(error) => Some(error),
            };
            made.add(block, fault);
            // if queries need the memory, the partition gets smaller
            if bytes >= self.budget || self.memory.try_resize(bytes).is_err() {
                made.is_full = true;
                break;
            }
        }
        drop(blocks);
        match view_set.event_time_columns() {
            Some((begin, _)) => {
                let key = schema.index_of(begin)?;
                in_time_order(batches, key, |batch| sink.write(&batch))?;
            }
            None => batches.iter().try_for_each(|batch| sink.write(batch))?,
        }
        tracing::trace!(bytes = bytes + sink.memory(), "memory of a partition");
        Ok(made)
    }
}
