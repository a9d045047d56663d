//! Which partitions a query reads, and which blocks they leave to be decoded.
//!
//! Each block's rows must come from exactly one place: from a partition, or from the block itself. That follows from numbers
//! alone (docs/partitions.md has the proof): partitions of an instance and schema don't overlap, and what they leave of the
//! visible range is a gap. No clock and no state of the builder is asked, so that a query need not care who builds, merges
//! or retires meanwhile.
//!
//! Two questions are kept apart here: what a partition *covers*, and whether its rows can be in the answer. A partition that
//! is pruned by time or process still covers its blocks. If it left a gap, a query about one minute would decode all that
//! it had just decided not to read. And one without rows covers too, and says how many blocks could not be read for it.

use super::lost_files::lost_files;
use super::{Conditions, Instance, ScanContext, ScanPlan};
use belvedere_lake::{LakeError, PartitionRecord};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::Origin;

/// The partitions of an instance that a query reads, and what they leave open.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// Those that can have rows of the answer, in the order of what they cover.
    pub(crate) partitions: Vec<PartitionRecord>,
    /// How many there are at all.
    pub(crate) known: usize,
    /// Blocks that no partition covers.
    pub(crate) gaps: Vec<SeqRange>,
    /// Blocks that could not be read when these partitions, or ones without rows, were made.
    pub(crate) faults: u64,
    /// Events of these partitions that gave no row although they should.
    pub(crate) ignored: u64,
}

impl Coverage {
    /// What there is for a query with these conditions.
    pub(crate) async fn load(
        instance: &Instance,
        context: &ScanContext,
        conditions: &Conditions,
    ) -> Result<Self, LakeError> {
        // first: what is covered by now is visible by now. The other way round, a partition that is published in between
        // could reach beyond what the query sees, and all of its blocks would have to be decoded.
        let catalog = context.connection().catalog();
        let all = if context.is_live_only {
            Vec::new()
        } else {
            let set = instance.view_set.name;
            catalog.partitions_of(set, &instance.id, &instance.schema_hash).await?
        };
        let visible = context.visible().await?;
        // One that also covers blocks that this query does not see is of no use to it: a row of a SQL view is of many blocks at
        // once, so a file is read as a whole or not at all. It leaves a gap, and its other blocks are decoded.
        let whole = all.iter().filter(|p| visible.contains(p.content.seqs));
        let mut gaps = visible.without(whole.clone().map(|p| p.content.seqs));
        let mut chosen = Self::choose(instance, context, conditions, whole.clone());
        let lost = lost_files(instance, context, &chosen.partitions).await?;
        if !lost.is_empty() {
            let there = whole.filter(|p| !lost.contains(&p.partition_id));
            gaps = visible.without(there.clone().map(|p| p.content.seqs));
            chosen = Self::choose(instance, context, conditions, there);
        }
        Ok(Self { known: all.len(), gaps, ..chosen })
    }

    /// Those of partitions that hold whose rows can be in an answer. Nothing is said of others, and of gaps.
    pub(super) fn choose<'a>(
        instance: &Instance,
        context: &ScanContext,
        conditions: &Conditions,
        whole: impl Iterator<Item = &'a PartitionRecord>,
    ) -> Self {
        let origin = |origin| instance.view_set.columns.iter().find(|c| c.origin == origin).map(|c| c.name);
        let process = origin(Origin::ProcessId).and_then(|name| conditions.uuid(name));
        let inserted = origin(Origin::InsertTime).map(|name| conditions.times(name)).unwrap_or_default();
        let events = match instance.view_set.event_time_columns() {
            Some((begin, end)) => context.range.intersect(conditions.times_of(begin, end)),
            None => TimeRange::ALL,
        };
        let (mut faults, mut ignored) = (0, 0);
        let partitions = whole
            .filter(|p| {
                let p = &p.content;
                let is_of_process = match (process, &p.process_ids) {
                    (Some(id), Some(ids)) => ids.binary_search(&id).is_ok(),
                    _ => true,
                };
                let may_matter = is_of_process
                    && inserted.touches(p.insert_begin, p.insert_end)
                    && p.events.is_none_or(|(begin, end)| events.touches(begin, end));
                if may_matter {
                    faults += p.fault_count.max(0) as u64;
                    ignored += p.ignored_count.max(0) as u64;
                }
                may_matter && p.row_count > 0
            })
            .cloned()
            .collect();
        Self { partitions, known: 0, gaps: Vec::new(), faults, ignored }
    }

    /// Notes in the report of a query what it is going to read.
    pub(crate) fn report(&self, instance: &Instance, context: &ScanContext, blocks: (i64, i64)) {
        context.report.add_known_faults(self.faults);
        context.report.add_ignored(self.ignored);
        context.report.add_scan(ScanPlan {
            table: instance.name(),
            known_partitions: self.known,
            partitions: self.partitions.len(),
            partition_rows: self.partitions.iter().map(|p| p.content.row_count).sum(),
            partition_bytes: self.partitions.iter().map(|p| p.content.file_size).sum(),
            blocks: blocks.0,
            block_bytes: blocks.1,
        });
    }
}
