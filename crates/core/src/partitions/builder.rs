//! Makes partitions: of blocks by decoding them, of other views' rows by SQL.
//!
//! One partition after the other, each bounded in memory: as soon as the decoded rows reach a limit, the partition
//! is closed at the block that was read last and the next one begins behind it.
//!
//! Nothing here is locked. Several builders may work on the same blocks, in one process or in many; what keeps their rows
//! from being doubled is [`PartitionBuilder::publish`] alone. A [`Lease`] only saves them the work: it expires, clocks
//! differ, and no answer may depend on it.

use super::block_rows::{BlocksToRows, RowsMade};
use super::file::{RowSink, Written, new_key, write_file};
use super::lease::Lease;
use super::limits::{BuildStats, MaintenanceLimits};
use super::postponed::Postponed;
use super::view_rows::ViewRows;
use crate::error::{Context, Error, Result};
use crate::metrics::metrics;
use crate::scan::{Instance, RowSource, ScanContext, fetch_payload, note_fault};
use arrow::array::RecordBatch;
use belvedere_lake::{NewPartition, PartitionRecord};
use belvedere_model::BlockRecord;
use belvedere_model::SeqRange;
use belvedere_model::time::to_rfc3339;
use belvedere_view::decoder::DecodeError;
use belvedere_view::{BlockSource, SqlSource};
use bytes::Bytes;
use datafusion::execution::memory_pool::MemoryConsumer;
use futures::StreamExt;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Bytes of decoded rows from which on a partition is closed.
const PARTITION_BYTES: usize = 128 << 20;
/// Announced events from which on a partition that is made by SQL is closed.
const PARTITION_OBJECTS: i64 = 50_000_000;
/// If more blocks one after the other are not there, the store may be away: it is not asked for each of the others.
const MOST_IN_A_ROW: usize = 50;
/// Blocks of one page of the list.
const PAGE: u32 = 500;
/// More processes than these are not noted in the catalog.
pub(crate) const NOTED_PROCESSES: usize = 64;

/// Makes partitions of one lake. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PartitionBuilder {
    pub(crate) scan: ScanContext,
    pub(crate) views: Arc<dyn ViewRows>,
    /// Threads that make partitions at once.
    pub(crate) threads: Arc<Semaphore>,
    /// Nanoseconds for which replaced files are kept, for those who still read them.
    pub(crate) grace: i64,
    /// Bytes of decoded rows of one partition.
    pub(crate) partition_bytes: usize,
    /// Blocks that could not be found.
    pub(super) postponed: Arc<Postponed>,
}

/// A partition, or why none can be made yet.
enum Built {
    Partition(Box<NewPartition>),
    /// The first block is not there.
    Unreadable(Unreadable),
}

/// A block that is not there. That may pass, so no partition may cover it.
struct Unreadable {
    seq: i64,
    why: String,
}

/// What came of making a partition.
enum Step {
    /// Blocks up to that one are covered now.
    Made(i64, BuildStats),
    Unreadable(Unreadable),
    /// Somebody else was first.
    Overtaken,
}

/// What a lease on an instance is for.
fn job(instance: &str) -> String {
    format!("partitions of {instance}")
}

impl PartitionBuilder {
    pub(crate) fn new(scan: ScanContext, views: Arc<dyn ViewRows>, limits: &MaintenanceLimits) -> Self {
        let partition_bytes = PARTITION_BYTES.min(limits.memory_bytes / 8).max(1);
        Self {
            scan,
            views,
            threads: limits.threads.clone(),
            grace: limits.grace,
            partition_bytes,
            postponed: limits.postponed.clone(),
        }
    }

    pub(crate) fn catalog(&self) -> &belvedere_lake::Catalog {
        self.scan.connection().catalog()
    }

    /// When files that are replaced now may be deleted.
    pub(crate) fn expiry(&self) -> i64 {
        belvedere_model::time::now().saturating_add(self.grace)
    }

    /// Takes an instance for work. `None` if somebody else has it.
    pub(crate) async fn lease(&self, instance: &str) -> Result<Option<Lease>> {
        Lease::take(self.scan.connection().clone(), job(instance)).await
    }

    /// Who is at work on an instance, and until when at least; `None` if nobody is.
    pub(crate) async fn at_work(&self, instance: &str) -> Result<Option<String>> {
        let lease = self.catalog().lease_of(&job(instance)).await?;
        Ok(lease.map(|(holder, expires)| {
            let holder = if holder.is_empty() { "another worker" } else { &holder };
            format!("{holder} is working on it, and has it until {}", to_rfc3339(expires))
        }))
    }

    /// Covers all blocks of `range` that no partition covers yet. Stops, and leaves the rest for later, when
    /// somebody else turns out to do the same. `made` is told of each partition.
    pub(crate) async fn fill(
        &self,
        instance: &Instance,
        range: SeqRange,
        made: &mut (dyn FnMut(BuildStats) + Send),
    ) -> Result<()> {
        let Some(lease) = self.lease(&instance.name()).await? else { return Ok(()) };
        let outcome = match &instance.source {
            RowSource::Streams(sources) => self.fill_chains(instance, sources, &lease, made).await,
            _ => self.fill_gaps(instance, range, &lease, made).await,
        };
        lease.release().await;
        outcome
    }

    async fn fill_gaps(
        &self,
        instance: &Instance,
        range: SeqRange,
        lease: &Lease,
        made: &mut (dyn FnMut(BuildStats) + Send),
    ) -> Result<()> {
        let existing = self.partitions(instance).await?;
        let mut in_a_row = 0;
        for gap in self.open_gaps(instance, range, &existing) {
            let mut rest = gap;
            while !rest.is_empty() {
                if !lease.prolong().await? {
                    return Ok(());
                }
                let done = match self.make(instance, rest).await? {
                    Step::Overtaken => return Ok(()),
                    Step::Made(done, new) => {
                        in_a_row = 0;
                        made(new);
                        done
                    }
                    Step::Unreadable(Unreadable { seq, why }) => {
                        in_a_row += 1;
                        let end = if in_a_row > MOST_IN_A_ROW { rest.end } else { seq };
                        self.postponed.add(&instance.name(), SeqRange::new(rest.begin, end), why);
                        end
                    }
                };
                rest.begin = done.saturating_add(1);
            }
        }
        Ok(())
    }

    /// What no partition covers, apart from blocks that were not there a while ago.
    pub(crate) fn open_gaps(
        &self,
        instance: &Instance,
        range: SeqRange,
        existing: &[PartitionRecord],
    ) -> Vec<SeqRange> {
        let gaps = range.without(existing.iter().map(|p| p.content.seqs));
        let waiting = self.postponed.waiting(&instance.name());
        gaps.into_iter().flat_map(|gap| gap.without(waiting.iter().copied())).collect()
    }

    /// Why blocks of a range are in no partition although they were tried; `None` if there are none.
    pub(crate) async fn not_found(&self, instance: &Instance, range: SeqRange) -> Result<Option<String>> {
        let existing = self.partitions(instance).await?;
        let gaps = range.without(existing.iter().map(|p| p.content.seqs));
        Ok(self.postponed.why(&instance.name(), &gaps))
    }

    /// Tries blocks again that were not there.
    pub(crate) fn forget_postponed(&self, instance: &Instance) {
        self.postponed.forget(&instance.name());
    }

    pub(crate) async fn partitions(&self, instance: &Instance) -> Result<Vec<PartitionRecord>> {
        let catalog = self.catalog();
        Ok(catalog.partitions_of(instance.view_set.name, &instance.id, &instance.schema_hash).await?)
    }

    /// Makes one partition from the beginning of a range.
    async fn make(&self, instance: &Instance, range: SeqRange) -> Result<Step> {
        let failed = || format!("partitions of {} for the blocks {range}", instance.name());
        let summary = self.catalog().summary(&instance.blocks_in(range)).await?;
        let (Some(first), Some(insert_begin)) = (summary.seq_begin, summary.insert_begin) else {
            let is_done = self.cover_nothing(instance, range).await?;
            return Ok(if is_done { Step::Made(range.end, BuildStats::default()) } else { Step::Overtaken });
        };
        let key = new_key(instance, insert_begin, SeqRange::new(range.begin.max(first), range.end));
        let new = match &instance.source {
            RowSource::Blocks(sources) => self.build_from_blocks(instance, sources, range, &key).await,
            RowSource::Sql(sql) => self.build_from_sql(instance, sql, range, &key).await,
            RowSource::Streams(_) => {
                return Err(Error::other(format!("{} is made along streams", instance.name())));
            }
        };
        let new = match new.with_context(failed)? {
            Built::Partition(new) => new,
            Built::Unreadable(block) => return Ok(Step::Unreadable(block)),
        };
        let made = BuildStats::of(&new);
        let is_first = self.publish(&new, &[]).await?;
        Ok(if is_first { Step::Made(new.seqs.end, made) } else { Step::Overtaken })
    }

    /// Makes a partition visible in the place of others, or throws its file away if somebody else was first.
    ///
    /// The file is complete and synced before, so the catalog never names one that is not there. The catalog's one
    /// transaction inserts the record if no other partition covers any of its blocks, except those that are replaced and are
    /// all still there. It reads nothing first: what was read could be outdated by the time of the write. A crash before it
    /// leaves a file that nothing refers to, which the sweep finds; after it, nothing is left to do. Files of partitions
    /// that were replaced stay for a grace period, for queries that have already listed them.
    pub(crate) async fn publish(&self, new: &NewPartition, replaced: &[i64]) -> Result<bool> {
        let connection = self.scan.connection();
        if self.catalog().publish(new, replaced, self.expiry()).await? {
            metrics(connection).partition_made(&new.view_set, new.row_count as u64);
            tracing::debug!(
                view_set = new.view_set,
                instance = new.instance,
                blocks = %new.seqs,
                rows = new.row_count,
                bytes = new.file_size,
                replaced = replaced.len(),
                "partition"
            );
            return Ok(true);
        }
        if let Some(key) = &new.file_key {
            connection.delete(std::slice::from_ref(key)).await?;
        }
        Ok(false)
    }

    /// Notes that the instance has no block in a range. Without a note the range would be a gap, and each query and each round
    /// of maintenance would look for blocks in it again. The partition before it is extended if there is one, so that an
    /// instance with few blocks does not collect a record for each round.
    async fn cover_nothing(&self, instance: &Instance, range: SeqRange) -> Result<bool> {
        let before = range.begin.saturating_sub(1);
        if let Some(last) = self.partitions(instance).await?.iter().find(|p| p.content.seqs.end == before) {
            return Ok(self.catalog().extend(last, range.end).await?);
        }
        self.publish(&instance.empty_partition(range), &[]).await
    }

    /// Decodes blocks until there are enough rows for a partition, or no more blocks.
    async fn build_from_blocks(
        &self,
        instance: &Instance,
        sources: &Arc<[BlockSource]>,
        range: SeqRange,
        key: &str,
    ) -> Result<Built> {
        let _thread = self.threads.acquire().await?;
        let (sender, blocks) = mpsc::channel(2);
        let decoder = BlocksToRows {
            instance: instance.clone(),
            sources: sources.clone(),
            options: self.scan.lake.decode.clone(),
            budget: self.partition_bytes,
            memory: MemoryConsumer::new(format!("partition of {}", instance.name()))
                .register(&self.scan.runtime.memory_pool),
        };
        let connection = self.scan.connection();
        let write = write_file(connection, instance, key, move |sink| decoder.run(blocks, sink));
        let (fetched, written) = tokio::join!(self.fetch(instance, range, sender), write);
        let unreadable = match fetched {
            Ok(unreadable) => unreadable,
            Err(e) => {
                // the file lacks blocks
                connection.delete(&[key.to_owned()]).await?;
                return Err(e);
            }
        };
        let written = written?;
        // All blocks of the range were read, or those up to the last one, or those before one that is not there. It covers
        // the numbers before the first block and behind the last one too: these belong to other instances, and would be
        // gaps for ever.
        let end = match unreadable {
            _ if written.outcome.is_full => written.outcome.last_seq,
            Some(block) if written.outcome.blocks == 0 => return Ok(Built::Unreadable(block)),
            Some(block) => block.seq.saturating_sub(1),
            None => range.end,
        };
        let seqs = SeqRange::new(range.begin, end);
        let new = self.decoded_partition(instance, seqs, key.to_owned(), written).await?;
        Ok(Built::Partition(Box::new(new)))
    }

    /// The partition that a file of decoded rows is. What was decoded is counted, and what could not be is reported.
    pub(super) async fn decoded_partition(
        &self,
        instance: &Instance,
        seqs: SeqRange,
        key: String,
        written: Written<RowsMade>,
    ) -> Result<NewPartition> {
        let Written { outcome: rows, facts, size } = written;
        let (connection, view_set) = (self.scan.connection(), instance.view_set.name);
        for (block, error) in &rows.faults {
            // retention goes by it
            if !note_fault(connection, view_set, block, error).await.is_recorded {
                return Err(Error::other(format!(
                    "block {} can't be read, and that could not be noted in the catalog",
                    block.info.block_id
                )));
            }
        }
        let metrics = metrics(connection);
        metrics.blocks_decoded(view_set, rows.blocks as u64);
        metrics.events_ignored(view_set, &rows.ignored);
        Ok(NewPartition {
            insert_begin: rows.inserted.map_or(0, |i| i.0),
            insert_end: rows.inserted.map_or(0, |i| i.1),
            events: facts.events,
            block_count: rows.blocks,
            object_count: rows.objects,
            fault_count: rows.faults.len() as i64,
            ignored_count: rows.ignored.iter().map(|(_, events)| *events as i64).sum(),
            row_count: facts.rows,
            file_key: (facts.rows > 0).then_some(key),
            file_size: size,
            sums: facts.sums,
            process_ids: (rows.processes.len() <= NOTED_PROCESSES)
                .then(|| rows.processes.into_iter().collect()),
            ..instance.empty_partition(seqs)
        })
    }

    /// Hands blocks and payloads over until they are all there or nobody takes more, or until a block is not there, which
    /// it returns.
    async fn fetch(
        &self,
        instance: &Instance,
        range: SeqRange,
        blocks: mpsc::Sender<(BlockRecord, Result<Bytes, DecodeError>)>,
    ) -> Result<Option<Unreadable>> {
        let connection = self.scan.connection();
        let filter = instance.blocks_in(range);
        let mut after = 0;
        loop {
            let page = connection.catalog().blocks(&filter, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            for block in page {
                after = block.seq;
                let payload = fetch_payload(connection, &block).await?;
                if let Err(e) = &payload
                    && e.may_pass()
                {
                    let noted = note_fault(connection, instance.view_set.name, &block, e).await;
                    return Ok(Some(Unreadable { seq: block.seq, why: noted.reason }));
                }
                if blocks.send((block, payload)).await.is_err() {
                    return Ok(None);
                }
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    /// Runs the view's SQL over the rows that the views it reads have for the range.
    async fn build_from_sql(
        &self,
        instance: &Instance,
        sql: &SqlSource,
        range: SeqRange,
        key: &str,
    ) -> Result<Built> {
        let _thread = self.threads.acquire().await?;
        let mut range = SeqRange::new(range.begin, self.end_of_sql(instance, range).await?);
        let (scan, summary, written) = loop {
            let summary = self.catalog().summary(&instance.blocks_in(range)).await?;
            let scan = self.scan.within(range).with_fresh_report();
            let rows = self.views.extract(&scan, instance, sql).await?;
            let written = self.write_stream(instance, key, rows).await?;
            let Some(fault) = scan.report.first_passing_fault() else { break (scan, summary, written) };
            // the rows of a block that is not there are missing: only those before it are made
            self.scan.connection().delete(&[key.to_owned()]).await?;
            let before = SeqRange::new(range.begin, fault.seq.saturating_sub(1).min(range.end));
            if before.is_empty() || self.catalog().summary(&instance.blocks_in(before)).await?.blocks == 0 {
                return Ok(Built::Unreadable(Unreadable { seq: fault.seq, why: fault.reason }));
            }
            range = before;
        };
        let insert = summary.insert_begin.zip(summary.insert_end).unwrap_or_default();
        Ok(Built::Partition(Box::new(NewPartition {
            insert_begin: insert.0,
            insert_end: insert.1,
            events: written.facts.events,
            block_count: summary.blocks,
            object_count: summary.objects,
            fault_count: scan.report.fault_count() as i64,
            ignored_count: scan.report.ignored_events() as i64,
            row_count: written.facts.rows,
            file_key: (written.facts.rows > 0).then(|| key.to_owned()),
            file_size: written.size,
            sums: written.facts.sums,
            process_ids: None,
            ..instance.empty_partition(range)
        })))
    }

    /// Where a partition that begins with a range is to end: where one of what it reads does, so that these need
    /// not be decoded again, and before it gets too large.
    async fn end_of_sql(&self, instance: &Instance, range: SeqRange) -> Result<i64> {
        let mut end = range.end;
        for name in instance.view_set.depends_on {
            let Some(source) = self.views.instance(name, "global") else { continue };
            let mut objects = 0;
            for partition in self.partitions(&source).await? {
                let seqs = partition.content.seqs;
                if range.begin <= seqs.begin && seqs.end < end {
                    objects += partition.content.object_count;
                    if objects > PARTITION_OBJECTS {
                        end = seqs.end;
                    }
                }
            }
        }
        Ok(end)
    }

    /// The rows of blocks, made anew whatever partitions there are.
    pub(crate) async fn live_rows(
        &self,
        instance: &Instance,
        seqs: SeqRange,
    ) -> Result<datafusion::execution::SendableRecordBatchStream> {
        self.views.rows(&self.scan.within(seqs).without_partitions(), instance).await
    }

    /// Writes rows that come in the instance's order.
    pub(crate) async fn write_stream(
        &self,
        instance: &Instance,
        key: &str,
        mut rows: datafusion::execution::SendableRecordBatchStream,
    ) -> Result<Written<()>> {
        let (sender, mut batches) = mpsc::channel::<RecordBatch>(2);
        let mut produce = move |sink: &mut RowSink| -> Result<bool> {
            while let Some(batch) = batches.blocking_recv() {
                if batch.num_columns() == 0 {
                    return Ok(true);
                }
                sink.write(&batch)?;
            }
            Ok(false)
        };
        let write = write_file(self.scan.connection(), instance, key, move |sink| {
            // a file is only whole if its rows came to their end
            if !produce(sink)? {
                return Err(Error::other("the rows broke off"));
            }
            Ok(())
        });
        let feed = async move {
            while let Some(batch) = rows.next().await {
                if sender.send(batch?).await.is_err() {
                    return Ok(());
                }
            }
            let end = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
            let _ = sender.send(end).await;
            Ok::<_, Error>(())
        };
        let (fed, written) = tokio::join!(feed, write);
        // what broke off says why
        fed?;
        written
    }
}
