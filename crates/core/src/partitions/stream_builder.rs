//! Makes partitions of what is decoded along streams.

use super::block_rows::RowsMade;
use super::builder::PartitionBuilder;
use super::file::{RowSink, Written, new_key, write_file};
use super::last_copies::Retired;
use super::lease::Lease;
use super::limits::BuildStats;
use super::order::in_time_order;
use crate::error::{Context, Error, Result};
use crate::scan::{Instance, RowSource, StreamPiece, StreamPlan, note_fault, plan_streams, stream_blocks};
use arrow::array::RecordBatch;
use belvedere_lake::{ChainSection, NewPartition, PartitionRecord};
use belvedere_model::BlockRecord;
use belvedere_model::SeqRange;
use belvedere_view::BlockSource;
use belvedere_view::decoder::{DecodeError, Decoded, StreamDecoder, StreamTarget};
use bytes::Bytes;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use futures::StreamExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Blocks that begin with such a number, or a greater one, are never kept: no real stream gets there.
const LAST: i64 = i64::MAX - 1;
/// Blocks with the same number are kept together: so many times what a partition should hold, then not at all.
const TOO_MANY: usize = 8;
/// A budget below that is a test's: it is less than a block's rows.
const SMALLEST: usize = 1 << 20;

type Payload = (BlockRecord, Result<Bytes, DecodeError>);

impl PartitionBuilder {
    /// Makes partitions of an instance's streams, as far as they are visible, and retires those that no longer hold.
    pub(super) async fn fill_chains(
        &self,
        instance: &Instance,
        sources: &Arc<[BlockSource]>,
        lease: &Lease,
        made: &mut (dyn FnMut(BuildStats) + Send),
    ) -> Result<()> {
        let context = self.scan.with_fresh_snapshot();
        let visible = context.visible().await?;
        for chain in plan_streams(instance, sources, &context).await? {
            let mut is_kept = false;
            for partition in &chain.stale {
                is_kept |= matches!(self.retire_unless_last_copy(partition).await?, Retired::Kept(_));
            }
            if is_kept {
                // it holds from now on, and what follows it is planned anew next time
                continue;
            }
            let Some(mut piece) = chain.last_piece().cloned() else { continue };
            let begin = piece.blocks.offsets.map_or(i64::MIN, |offsets| offsets.0);
            // so that there is a number behind each section
            piece.blocks.offsets = Some((begin, LAST));
            loop {
                let summary = self.catalog().summary(&piece.blocks).await?;
                if summary.blocks == 0 || !lease.prolong().await? {
                    break;
                }
                let failed =
                    || format!("partitions of {}, stream {}", instance.name(), chain.stream.stream_id);
                let section = self.build_from_stream(instance, sources, &chain, &piece, visible.end).await;
                let Some((new, facts)) = section.with_context(failed)? else { break };
                let behind = new.chain.clone().context("a section of a stream was to be made")?;
                // somebody else was first
                if !self.publish(&new, &[]).await? {
                    break;
                }
                made(facts);
                piece.state = Some(behind.exit);
                piece.blocks.offsets = Some((behind.end, LAST));
            }
        }
        Ok(())
    }

    /// Decodes blocks until there are enough rows for a partition, or no more blocks. `None` if the next block is not there:
    /// what follows it can't be kept before it is.
    async fn build_from_stream(
        &self,
        instance: &Instance,
        sources: &Arc<[BlockSource]>,
        chain: &StreamPlan,
        piece: &StreamPiece,
        last_seq: i64,
    ) -> Result<Option<(NewPartition, BuildStats)>> {
        let _thread = self.threads.acquire().await?;
        let connection = self.scan.connection();
        let walk = self.walk(instance, sources, chain, piece.state.as_deref())?;
        let summary = self.catalog().summary(&piece.blocks).await?;
        let seqs = SeqRange::new(summary.seq_begin.unwrap_or(last_seq), last_seq);
        let key = new_key(instance, summary.insert_begin.unwrap_or_default(), seqs);
        let (sender, blocks) = mpsc::channel::<Payload>(2);
        let maker = ChainToRows {
            instance: instance.clone(),
            walk,
            // blocks of spans are large, and what is open at their ends is copied
            budget: self.partition_bytes / 2,
            memory: MemoryConsumer::new(format!("partition of {}", instance.name()))
                .register(&self.scan.runtime.memory_pool),
        };
        let write = write_file(connection, instance, &key, move |sink| maker.run(blocks, sink));
        let fetch = async {
            let mut feed = Box::pin(stream_blocks(connection.clone(), piece.blocks.clone()));
            // the last block that was handed over, and whether all of them could be
            let (mut last, mut is_whole) = (None, true);
            while let Some(next) = feed.next().await {
                let (block, payload) = next?;
                let offset = block.info.object_offset;
                if let Err(e) = &payload
                    && e.may_pass()
                {
                    note_fault(connection, instance.view_set.name, &block, e).await;
                    // blocks with the same number are never divided
                    is_whole = last.is_some_and(|last| last != offset);
                    break;
                }
                last = Some(offset);
                if sender.send((block, payload)).await.is_err() {
                    break;
                }
            }
            drop(sender);
            Ok::<_, Error>(is_whole)
        };
        let (fetched, written) = tokio::join!(fetch, write);
        match fetched {
            Ok(true) => {}
            // the file lacks blocks
            Ok(false) => {
                connection.delete(std::slice::from_ref(&key)).await?;
                return Ok(None);
            }
            Err(e) => {
                connection.delete(std::slice::from_ref(&key)).await?;
                return Err(e);
            }
        }
        let Written { outcome: ChainMade { rows, end, exit }, facts, size } = written?;
        let written = Written { outcome: rows, facts, size };
        let begin = piece.blocks.offsets.map_or(i64::MIN, |o| o.0);
        let new = NewPartition {
            process_ids: Some(vec![chain.process.process_id]),
            chain: Some(ChainSection {
                stream_id: chain.stream.stream_id,
                begin,
                end,
                entry: ChainSection::digest(piece.state.as_deref()),
                exit,
            }),
            ..self.decoded_partition(instance, seqs, key, written).await?
        };
        let made = BuildStats::of(&new);
        Ok(Some((new, made)))
    }

    fn walk(
        &self,
        instance: &Instance,
        sources: &Arc<[BlockSource]>,
        chain: &StreamPlan,
        state: Option<&[u8]>,
    ) -> Result<StreamDecoder> {
        let target = StreamTarget::new(
            instance.view_set,
            sources.clone(),
            (0..instance.view_set.columns.len()).collect(),
            instance.view_set.engine_schema(),
            self.scan.lake.decode.clone(),
        );
        StreamDecoder::new(target, chain.process.clone(), chain.stream.clone(), state)?
            .context("nothing decodes the blocks of the stream")
    }

    /// The partitions of an instance that hold and could be made anew, in the order of events, stream by stream. A later
    /// block may belong into their sections only if it comes behind the number that is returned with them.
    pub(super) async fn chain_partitions(
        &self,
        instance: &Instance,
        sources: &[BlockSource],
    ) -> Result<(Vec<PartitionRecord>, i64)> {
        let context = self.scan.with_fresh_snapshot();
        let chains = plan_streams(instance, sources, &context).await?;
        let last = context.visible().await?.end;
        let firm = chains.into_iter().flat_map(|chain| {
            let frozen = chain.frozen;
            chain.kept.into_iter().filter(move |p| !frozen.contains(&p.partition_id))
        });
        Ok((firm.collect(), last))
    }

    /// Makes the rows that a partition should have anew, and returns how many blocks can't be read and why the first can't.
    /// `None` if that can't be told: the state before it is not known any more.
    pub(super) async fn rows_of_section(
        &self,
        instance: &Instance,
        partition: &PartitionRecord,
        take: &mut (dyn FnMut(RecordBatch) -> Result<()> + Send),
    ) -> Result<Option<(u64, String)>> {
        let (RowSource::Streams(sources), Some(section)) = (&instance.source, &partition.content.chain)
        else {
            return Ok(None);
        };
        let state = if section.entry == ChainSection::digest(None) {
            None
        } else {
            let others = self.partitions(instance).await?;
            let before =
                others.into_iter().filter_map(|p| p.content.chain).find(|c| c.is_followed_by(section));
            match before {
                Some(before) => Some(before.exit),
                None => return Ok(None),
            }
        };
        let catalog = self.catalog();
        let Some(stream) = catalog.stream(section.stream_id).await? else { return Ok(None) };
        let Some(process) = catalog.process(stream.process_id).await? else { return Ok(None) };
        let chain = StreamPlan {
            process,
            stream,
            kept: vec![],
            frozen: Default::default(),
            stale: vec![],
            pieces: vec![],
        };
        let mut walk = self.walk(instance, sources, &chain, state.as_deref())?;
        let blocks = instance.blocks_of(&partition.content);
        let (mut faults, mut why) = (0, String::new());
        let mut feed = Box::pin(stream_blocks(self.scan.connection().clone(), blocks));
        while let Some(next) = feed.next().await {
            let (block, payload) = next?;
            let task = tokio::task::spawn_blocking(move || {
                let (decoded, error) = walk.step(&block, payload);
                (walk, decoded, error)
            });
            let (after, decoded, error) = task.await?;
            walk = after;
            if let Some(error) = error {
                if faults == 0 {
                    why = error.to_string();
                }
                faults += 1;
            }
            decoded.into_iter().try_for_each(|d| take(d.into_rows()))?;
        }
        Ok(Some((faults, why)))
    }
}

/// What was read for one partition, and how it goes on behind it.
struct ChainMade {
    rows: RowsMade,
    end: i64,
    exit: Vec<u8>,
}

/// Plain code: from blocks of a stream to the rows of a file, on one thread.
struct ChainToRows {
    instance: Instance,
    walk: StreamDecoder,
    budget: usize,
    memory: MemoryReservation,
}

impl ChainToRows {
    fn run(mut self, mut blocks: mpsc::Receiver<Payload>, sink: &mut RowSink) -> Result<ChainMade> {
        let mut made = RowsMade::default();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut bytes = 0;
        let mut end = i64::MAX;
        let mut is_full = false;
        while let Some((block, payload)) = blocks.blocking_recv() {
            // blocks with the same number are never divided
            if is_full && block.info.object_offset >= end {
                break;
            }
            let before = self.walk.clone();
            // a decoder's mistake costs the block, here as in queries
            let step = catch_unwind(AssertUnwindSafe(|| self.walk.step(&block, payload)));
            let (decoded, error) = match step {
                Ok(outcome) => outcome,
                Err(_) => {
                    self.walk = before;
                    let open = self.walk.interrupt()?;
                    (vec![open], Some(DecodeError::mistake("it panicked")))
                }
            };
            for (rows, ignored) in decoded.into_iter().map(Decoded::into_parts) {
                bytes += get_record_batch_memory_size(&rows);
                batches.push(rows);
                made.ignored.extend(ignored);
            }
            let block_offset = block.info.object_offset;
            end = block_offset.saturating_add(1);
            made.add(block, error);
            // if queries need the memory, the partition gets smaller
            is_full |= bytes >= self.budget || self.memory.try_resize(bytes).is_err();
            if bytes >= self.budget.saturating_mul(TOO_MANY) && self.budget >= SMALLEST {
                return Err(Error::other(format!(
                    "too many blocks of the stream say that they begin with event {}",
                    block_offset
                )));
            }
        }
        drop(blocks);
        if made.blocks == 0 {
            return Err(Error::other(format!("the blocks of {} are gone", self.instance.name())));
        }
        let view_set = self.instance.view_set;
        match view_set.event_time_columns() {
            Some((begin, _)) => {
                let key = view_set.engine_schema().index_of(begin)?;
                in_time_order(batches, key, |batch| sink.write(&batch))?;
            }
            None => batches.iter().try_for_each(|batch| sink.write(batch))?,
        }
        tracing::trace!(bytes = bytes + sink.memory(), "memory of a partition");
        Ok(ChainMade { rows: made, end, exit: self.walk.save()? })
    }
}
