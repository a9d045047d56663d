//! Small partitions become larger ones.
//!
//! Partitions of the same minute, hour or day become one when that is over, as long as it does not get too large.
//! Rows are merged as they are read, in their order, so that memory depends on how many files are read side by side
//! and on nothing else.

use super::builder::{NOTED_PROCESSES, PartitionBuilder};
use super::file::new_key;
use super::limits::BuildStats;
use crate::error::{Context, Error, Result};
use crate::scan::{Coverage, Instance, PartitionScan, RowSource, SIDE_BY_SIDE, runs};
use belvedere_lake::{ChainSection, NewPartition, PartitionRecord};
use belvedere_model::SeqRange;
use belvedere_model::time::SECOND;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// Lengths of time that become one partition when they are over, longest first: a day, an hour, a minute.
const TIERS: [i64; 3] = [86_400 * SECOND, 3_600 * SECOND, 60 * SECOND];
/// What is merged does not get larger than this.
const LARGEST: i64 = 512 << 20;
/// Partitions that become one at most.
const MOST: usize = 256;

/// Which partitions are to become one by `now`. `partitions` are those of one instance, in the order of what they
/// cover.
pub(crate) fn due(partitions: &[PartitionRecord], can_follow: bool, now: i64) -> Vec<Vec<PartitionRecord>> {
    let mut groups: Vec<Vec<PartitionRecord>> = Vec::new();
    let mut last: Option<((i64, i64), &NewPartition)> = None;
    for partition in partitions {
        let p = &partition.content;
        let cell = TIERS.iter().find_map(|width| {
            let cell = p.insert_begin.div_euclid(*width);
            let is_over = (cell + 1).checked_mul(*width).is_some_and(|end| end <= now);
            (is_over && cell == p.insert_end.div_euclid(*width)).then_some((*width, cell))
        });
        let follows = match (cell, last) {
            (Some(cell), Some((before, last))) => cell == before && follows(last, p),
            _ => false,
        };
        match groups.last_mut().filter(|group| follows && fits(group, partition, can_follow)) {
            Some(group) => group.push(partition.clone()),
            None => groups.push(vec![partition.clone()]),
        }
        last = cell.map(|cell| (cell, p));
    }
    // one file and nothing else is not worth writing it again
    groups.retain(|group| {
        let files = group.iter().filter(|p| p.content.row_count > 0).count();
        group.len() > 1 && files != 1
    });
    groups
}

/// Whether what `next` covers begins where what `last` covers ends.
fn follows(last: &NewPartition, next: &NewPartition) -> bool {
    match (&last.chain, &next.chain) {
        (Some(last), Some(next)) => last.is_followed_by(next),
        (None, None) => last.seqs.end.checked_add(1) == Some(next.seqs.begin),
        _ => false,
    }
}

fn fits(group: &[PartitionRecord], next: &PartitionRecord, can_follow: bool) -> bool {
    let size = |p: &PartitionRecord| p.content.file_size;
    let mut files: Vec<PartitionRecord> = group.iter().filter(|p| p.content.row_count > 0).cloned().collect();
    if next.content.row_count > 0 {
        files.push(next.clone());
    }
    group.len() < MOST
        && group.iter().map(size).sum::<i64>() + size(next) <= LARGEST
        && group[0].content.sort_order == next.content.sort_order
        && (files.len() <= SIDE_BY_SIDE || runs(&files, can_follow).is_some())
}

impl PartitionBuilder {
    /// Merges what is due of an instance.
    pub(crate) async fn merge_due(
        &self,
        instance: &Instance,
        now: i64,
        made: &mut (dyn FnMut(BuildStats) + Send),
    ) -> Result<()> {
        // partitions that don't hold are not worth it; those that do, hold for the blocks up to the last one
        let (partitions, last) = match &instance.source {
            RowSource::Streams(sources) => self.chain_partitions(instance, sources).await?,
            _ => (self.partitions(instance).await?, 0),
        };
        let groups = due(&partitions, instance.is_of_blocks(), now);
        if groups.is_empty() {
            return Ok(());
        }
        let Some(lease) = self.lease(&instance.name()).await? else { return Ok(()) };
        let mut outcome = Ok(());
        for group in groups {
            if !lease.prolong().await? {
                break;
            }
            match self.merge(instance, &group, last).await {
                Ok(Some(merged)) => made(merged),
                Ok(None) => {}
                Err(e) => {
                    outcome = Err(e);
                    break;
                }
            }
        }
        lease.release().await;
        outcome
    }

    /// Makes one partition of several that follow each other. `None` if somebody else was first. Those that are made
    /// along a stream hold for its blocks up to `last_seq`.
    pub(crate) async fn merge(
        &self,
        instance: &Instance,
        group: &[PartitionRecord],
        last_seq: i64,
    ) -> Result<Option<BuildStats>> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
        let chain = match (&first.content.chain, &last.content.chain) {
            (Some(first), Some(last)) => {
                Some(ChainSection { begin: first.begin, entry: first.entry.clone(), ..last.clone() })
            }
            _ => None,
        };
        let seqs = match &chain {
            None => SeqRange::new(first.content.seqs.begin, last.content.seqs.end),
            Some(_) => SeqRange::new(
                group.iter().map(|p| p.content.seqs.begin).min().unwrap_or_default(),
                group.iter().map(|p| p.content.seqs.end).max().unwrap_or_default().max(last_seq),
            ),
        };
        let sum = |f: fn(&NewPartition) -> i64| group.iter().map(|p| f(&p.content)).sum::<i64>();
        let files: Vec<PartitionRecord> = group.iter().filter(|p| p.content.row_count > 0).cloned().collect();
        let mut new = NewPartition {
            insert_begin: group.iter().map(|p| p.content.insert_begin).min().unwrap_or_default(),
            insert_end: group.iter().map(|p| p.content.insert_end).max().unwrap_or_default(),
            block_count: sum(|p| p.block_count),
            object_count: sum(|p| p.object_count),
            fault_count: sum(|p| p.fault_count),
            process_ids: processes(group),
            is_last_copy: group.iter().any(|p| p.content.is_last_copy),
            ignored_count: sum(|p| p.ignored_count),
            chain,
            ..instance.empty_partition(seqs)
        };
        if !files.is_empty() {
            let _thread = self.threads.acquire().await?;
            let key = new_key(instance, new.insert_begin, seqs);
            let written = self.write_merged(instance, &files, &key).await;
            let written =
                written.with_context(|| format!("merging {} for the blocks {seqs}", instance.name()))?;
            let rows = sum(|p| p.row_count);
            if instance.is_of_blocks() && written.facts.rows != rows {
                self.scan.connection().delete(&[key]).await?;
                return Err(Error::other(format!(
                    "merging {} gave {} rows of {rows}: nothing was replaced",
                    instance.name(),
                    written.facts.rows
                )));
            }
            new.row_count = written.facts.rows;
            new.events = written.facts.events;
            new.file_size = written.size;
            new.sums = written.facts.sums;
            new.file_key = (written.facts.rows > 0).then_some(key);
        }
        let made = BuildStats { blocks: 0, ..BuildStats::of(&new) };
        let replaced: Vec<i64> = group.iter().map(|p| p.partition_id).collect();
        Ok(self.publish(&new, &replaced).await?.then_some(made))
    }

    async fn write_merged(
        &self,
        instance: &Instance,
        files: &[PartitionRecord],
        key: &str,
    ) -> Result<super::file::Written<()>> {
        // one thread, whatever the machine has
        let scan = self.scan.single_threaded();
        let rows = match &instance.source {
            RowSource::Blocks(_) | RowSource::Streams(_) => {
                let columns: Vec<usize> = (0..instance.view_set.columns.len()).collect();
                let read = PartitionScan { instance, context: &scan, predicate: None };
                let plan = read.plan(files, &columns, 1)?;
                let order = plan.output_ordering().cloned();
                let plan: Arc<dyn ExecutionPlan> = match order {
                    Some(order) => Arc::new(SortPreservingMergeExec::new(order, plan)),
                    None if instance.sort_order().is_empty() => plan,
                    None => {
                        return Err(Error::other(format!(
                            "the order of the rows of {} is unknown",
                            instance.name()
                        )));
                    }
                };
                datafusion::physical_plan::execute_stream(plan, self.views.task(&scan)?)?
            }
            RowSource::Sql(sql) => {
                let coverage = Coverage {
                    partitions: files.to_vec(),
                    known: files.len(),
                    gaps: Vec::new(),
                    faults: 0,
                    ignored: 0,
                };
                self.views.merge(&scan, instance, sql, coverage).await?
            }
        };
        self.write_stream(instance, key, rows).await
    }
}

/// The processes of all, if they are known and few.
fn processes(group: &[PartitionRecord]) -> Option<Vec<uuid::Uuid>> {
    let mut all = Vec::new();
    for partition in group {
        all.extend(partition.content.process_ids.as_ref()?);
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= NOTED_PROCESSES).then_some(all)
}
