//! What queries would have liked to find: made just in time, by whoever works in the background.
//!
//! A query never waits for this. It notes what it decodes; notes about one instance are one, however many queries
//! make them; and who takes a note takes it away, so that what is noted meanwhile is not lost.

use super::{Instance, Scope};
use belvedere_lake::BlockSummary;
use belvedere_model::SeqRange;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Less than these bytes of payload are decoded again as quickly as a file is opened.
const WORTH_BYTES: i64 = 1 << 20;

/// Notes, by instance.
#[derive(Debug, Default)]
pub(crate) struct JitRequests {
    notes: Mutex<BTreeMap<String, (Instance, SeqRange)>>,
    added: Notify,
}

impl JitRequests {
    /// Notes that the rows of an instance's blocks were made for a query, if that was much work. Global instances
    /// are kept by background work anyway.
    pub(crate) fn note(&self, instance: &Instance, blocks: &BlockSummary) {
        let (Some(begin), Some(end)) = (blocks.seq_begin, blocks.seq_end) else { return };
        if instance.scope == Scope::Global || blocks.payload_bytes < WORTH_BYTES {
            return;
        }
        self.add(instance, SeqRange::new(begin, end));
    }

    /// Notes that partitions of these blocks would be of use.
    pub(crate) fn add(&self, instance: &Instance, blocks: SeqRange) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes
            .entry(instance.name())
            .and_modify(|(_, range)| {
                *range = SeqRange::new(range.begin.min(blocks.begin), range.end.max(blocks.end));
            })
            .or_insert_with(|| (instance.clone(), blocks));
        drop(notes);
        self.added.notify_one();
    }

    /// Takes one note.
    pub(crate) fn take(&self) -> Option<(Instance, SeqRange)> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.pop_first().map(|(_, note)| note)
    }

    /// Waits until there may be a note.
    pub(crate) async fn wait(&self) {
        self.added.notified().await;
    }
}
