//! What was sent, what was acknowledged, what may be gone, and whether an answer agrees with that.

use super::programs::Programs;
use std::collections::{BTreeMap, BTreeSet};

/// A table that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// All ticks.
    Ticks,
    /// Statistics of them, which are SQL.
    Stats,
    /// The ticks of a process.
    OfProcess(usize),
    /// The ticks of a process, read along its streams.
    Chained(usize),
}

/// What a table has: rows of each block, and how many blocks it says are missing.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) rows: BTreeMap<usize, usize>,
    pub(super) faults: u64,
}

#[derive(Debug, Default, Clone)]
struct Known {
    is_acknowledged: bool,
    /// When it was sent first, nanoseconds since the Unix epoch.
    sent: Option<i64>,
    /// Retention may have deleted the block.
    block_may_be_gone: bool,
    /// Retention may have deleted its rows in partitions, too.
    rows_may_be_gone: bool,
}

/// The ledger of a simulation.
#[derive(Debug)]
pub(super) struct Ledger {
    processes: Vec<bool>,
    streams: Vec<bool>,
    blocks: Vec<Known>,
    /// What tables had when they were asked last.
    seen: BTreeMap<Table, BTreeSet<usize>>,
}

impl Ledger {
    pub(super) fn new(programs: &Programs) -> Self {
        Self {
            processes: vec![false; programs.processes.len()],
            streams: vec![false; programs.streams.len()],
            blocks: vec![Known::default(); programs.blocks.len()],
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn process_acknowledged(&mut self, process: usize) {
        self.processes[process] = true;
    }

    pub(super) fn stream_acknowledged(&mut self, stream: usize) {
        self.streams[stream] = true;
    }

    pub(super) fn block_sent(&mut self, block: usize, at: i64) {
        self.blocks[block].sent.get_or_insert(at);
    }

    pub(super) fn block_acknowledged(&mut self, block: usize) {
        self.blocks[block].is_acknowledged = true;
    }

    pub(super) fn knows_process(&self, process: usize) -> bool {
        self.processes[process]
    }

    pub(super) fn knows_stream(&self, stream: usize) -> bool {
        self.streams[stream]
    }

    pub(super) fn is_acknowledged(&self, block: usize) -> bool {
        self.blocks[block].is_acknowledged
    }

    /// Retention ran, and might take blocks that were received before; and their rows, too.
    pub(super) fn may_have_expired(&mut self, before: i64, with_rows: bool) {
        for block in self.blocks.iter_mut().filter(|b| b.sent.is_some_and(|sent| sent <= before)) {
            block.block_may_be_gone = true;
            block.rows_may_be_gone |= with_rows;
        }
    }

    /// Whether retention may have taken any block.
    pub(super) fn has_lost_blocks(&self) -> bool {
        self.blocks.iter().any(|block| block.block_may_be_gone)
    }

    /// What was there may be missing from now on, if that is said.
    pub(super) fn forget_seen(&mut self) {
        self.seen.clear();
    }

    /// Whether rows of a block have to be in a table, or said to be missing.
    fn is_due(&self, programs: &Programs, table: Table, block: usize) -> bool {
        let (known, sent) = (&self.blocks[block], &programs.blocks[block]);
        let is_announced = self.processes[sent.process] && self.streams[sent.stream];
        known.is_acknowledged && is_announced && !self.may_be_gone(table, block)
    }

    fn may_be_gone(&self, table: Table, block: usize) -> bool {
        match table {
            Table::Ticks | Table::Stats => self.blocks[block].rows_may_be_gone,
            // nobody keeps their partitions when the blocks go
            Table::OfProcess(_) | Table::Chained(_) => self.blocks[block].block_may_be_gone,
        }
    }

    /// Compares an answer with what is known. `may_lack` says that what was there before may be missing, if that is said.
    pub(super) fn check(
        &mut self,
        programs: &Programs,
        table: Table,
        answer: &Answer,
        may_lack: bool,
    ) -> Result<(), String> {
        let is_in = |block: usize| match table {
            Table::Ticks | Table::Stats => true,
            Table::OfProcess(process) | Table::Chained(process) => programs.blocks[block].process == process,
        };
        for (block, rows) in &answer.rows {
            let Some(sent) = programs.blocks.get(*block).filter(|_| is_in(*block)) else {
                return Err(format!("{table:?} has {rows} rows of block {block}, which it can't have"));
            };
            if self.blocks[*block].sent.is_none() {
                return Err(format!("{table:?} has rows of block {block}, which was never sent"));
            }
            if *rows != sent.rows {
                return Err(format!("{table:?} has {rows} rows of block {block} instead of {}", sent.rows));
            }
        }
        let all = 0..programs.blocks.len();
        let missing: Vec<usize> = all
            .filter(|block| is_in(*block) && !answer.rows.contains_key(block))
            .filter(|block| self.is_due(programs, table, *block))
            .collect();
        if missing.len() as u64 > answer.faults {
            return Err(format!(
                "{table:?} lacks the acknowledged blocks {missing:?}, and says that {} are missing",
                answer.faults
            ));
        }
        let now: BTreeSet<usize> = answer.rows.keys().copied().collect();
        if !may_lack && let Some(before) = self.seen.get(&table) {
            let lost: Vec<usize> =
                before.difference(&now).copied().filter(|block| !self.may_be_gone(table, *block)).collect();
            if !lost.is_empty() {
                return Err(format!("{table:?} had the blocks {lost:?}, and has them no more"));
            }
        }
        match may_lack {
            true => self.seen.entry(table).or_default().extend(now),
            false => drop(self.seen.insert(table, now)),
        }
        Ok(())
    }
}
