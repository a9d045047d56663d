//! Blocks that were not where they should be when partitions were to be made of them.
//!
//! A volume may not be mounted, or a store may be moving: that is no reason to publish a partition without their rows. They
//! stay in no partition, so that queries look for them, and are tried again later, each time after a longer while. What is
//! behind them is not kept waiting.

use belvedere_model::SeqRange;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Blocks that were not there, by instance.
#[derive(Debug, Default)]
pub(crate) struct Postponed(Mutex<HashMap<String, Vec<Entry>>>);

#[derive(Debug)]
struct Entry {
    blocks: SeqRange,
    why: String,
    pause: Duration,
    again: Instant,
}

impl Postponed {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Vec<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes blocks that are not there.
    pub(super) fn add(&self, instance: &str, blocks: SeqRange, why: String) {
        let mut all = self.entries();
        let entries = all.entry(instance.to_owned()).or_default();
        let touches = |entry: &Entry| !entry.blocks.intersect(blocks).is_empty();
        let before = entries.iter().filter(|entry| touches(entry)).map(|entry| entry.pause).max();
        let pause = before.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        entries.retain(|entry| !touches(entry));
        entries.push(Entry { blocks, why, pause, again: Instant::now() + pause });
    }

    /// Blocks that it is too early to try again.
    pub(super) fn waiting(&self, instance: &str) -> Vec<SeqRange> {
        let now = Instant::now();
        let all = self.entries();
        let entries = all.get(instance).map_or(&[][..], Vec::as_slice);
        entries.iter().filter(|entry| now < entry.again).map(|entry| entry.blocks).collect()
    }

    /// Why blocks of these ranges were not tried or not found; `None` if there are no such blocks. Others are forgotten:
    /// they are in partitions by now.
    pub(super) fn why(&self, instance: &str, gaps: &[SeqRange]) -> Option<String> {
        let mut all = self.entries();
        let entries = all.get_mut(instance)?;
        entries.retain(|entry| gaps.iter().any(|gap| !gap.intersect(entry.blocks).is_empty()));
        let first = entries.first().map(|entry| entry.why.clone());
        if first.is_none() {
            all.remove(instance);
        }
        first
    }

    /// Everything may be tried again.
    pub(super) fn forget(&self, instance: &str) {
        self.entries().remove(instance);
    }
}
