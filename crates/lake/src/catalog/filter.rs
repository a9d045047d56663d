//! Filters: which rows of the catalog a query reads.

use super::statement::{Arg, Statement};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use uuid::Uuid;

/// Events of a block may lie a little outside of the block's bounds, see `Clock`. Blocks that an earlier version received
/// were stored with bounds that don't contain this.
const EVENT_TIME_SLACK: i64 = belvedere_model::time::SECOND;

/// Matches blocks that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockFilter {
    /// Streams with at least one of these tags.
    pub tags: Option<Vec<String>>,
    /// Streams in one of these formats.
    pub formats: Option<Vec<String>>,
    /// Blocks of this process.
    pub process_id: Option<Uuid>,
    /// Blocks of this stream.
    pub stream_id: Option<Uuid>,
    /// These blocks.
    pub block_ids: Option<Vec<Uuid>>,
    /// Blocks that may have events in this range.
    pub events: TimeRange,
    /// Blocks whose wall clock bounds touch this range.
    pub bounds: TimeRange,
    /// Blocks received in this range.
    pub inserted: TimeRange,
    /// Blocks with a `seq` in this range.
    pub seqs: SeqRange,
    /// Blocks whose first event has a number in this range, its end excluded.
    pub offsets: Option<(i64, i64)>,
}

/// Matches processes that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessFilter {
    /// This process.
    pub process_id: Option<Uuid>,
    /// Processes that ran in this range, as far as their blocks tell.
    pub active: TimeRange,
}

/// Matches streams that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFilter {
    /// This stream.
    pub stream_id: Option<Uuid>,
    /// Streams of this process.
    pub process_id: Option<Uuid>,
    /// Streams with a block whose wall clock bounds touch this range.
    pub active: TimeRange,
}

/// Conditions under construction: `WHERE a AND b`.
pub(super) struct Conditions<'a> {
    statement: &'a mut Statement,
    is_first: bool,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(statement: &'a mut Statement) -> Self {
        Self { statement, is_first: true }
    }

    pub(super) fn and(&mut self, sql: &str) -> &mut Statement {
        self.statement.push(if self.is_first { " WHERE " } else { " AND " }).push(sql);
        self.is_first = false;
        self.statement
    }

    pub(super) fn equals(&mut self, column: &str, id: Option<Uuid>) {
        if let Some(id) = id {
            self.and(column).push(" = ").bind(Arg::Uuid(id));
        }
    }

    /// The conditions of a filter on `blocks b` joined with their stream `s`.
    pub(super) fn blocks(&mut self, filter: &BlockFilter) {
        if filter.seqs.begin > 1 {
            self.and("b.seq >= ").bind(Arg::Int(filter.seqs.begin));
        }
        if filter.seqs.end < i64::MAX {
            self.and("b.seq <= ").bind(Arg::Int(filter.seqs.end));
        }
        self.equals("b.process_id", filter.process_id);
        self.equals("b.stream_id", filter.stream_id);
        if let Some(ids) = &filter.block_ids {
            self.and("b.block_id IN ").tuple(ids.iter().copied().map(Arg::Uuid));
        }
        if let Some(formats) = &filter.formats {
            self.and("s.format IN ").tuple(formats.iter().cloned().map(Arg::Text));
        }
        if let Some(tags) = &filter.tags {
            self.and("EXISTS (SELECT 1 FROM stream_tags t WHERE t.stream_id = b.stream_id AND t.tag IN ")
                .tuple(tags.iter().cloned().map(Arg::Text))
                .push(")");
        }
        if let Some((begin, end)) = filter.offsets {
            self.and("b.object_offset >= ").bind(Arg::Int(begin));
            // the range has no end
            if end < i64::MAX {
                self.and("b.object_offset < ").bind(Arg::Int(end));
            }
        }
        self.touches("b.event_begin", "b.event_end", filter.events.widen(EVENT_TIME_SLACK));
        self.touches("b.begin_time", "b.end_time", filter.bounds);
        self.touches("b.insert_time", "b.insert_time", filter.inserted);
    }

    /// The range between the expressions `begin` and `end` overlaps `range`. NULL is unbounded: a block of unknown times
    /// may have events at any time.
    pub(super) fn touches(&mut self, begin: &str, end: &str, range: TimeRange) {
        if let Some(t) = range.end {
            self.and(&format!("({begin} IS NULL OR {begin} <= ")).bind(Arg::Int(t)).push(")");
        }
        if let Some(t) = range.begin {
            self.and(&format!("({end} IS NULL OR {end} >= ")).bind(Arg::Int(t)).push(")");
        }
    }
}
