//! Thread spans of native clients: trees of calls out of begins and ends, along the blocks of a stream.
//!
//! A row is complete with the block that has the span's end; until then the span is in the state. What does not fit
//! costs itself and nothing else: an end without a begin gives no row; where an end belongs to an outer span, the inner
//! ones have lost theirs, and are marked. Both are counted.
//!
//! The thread itself is a row too, for each run of blocks that follow each other: so a missing block shows as a time
//! that no such row covers.

use crate::async_decoder::{SiteColumns, put_sites};
use crate::call_site::{Site, Sites, StoredSite, hash};
use crate::thread_spans;
use belvedere_model::StreamInfo;
use belvedere_view::prelude::*;
use foldhash::{HashMap, HashMapExt};
use serde::{Deserialize, Serialize};

/// Decodes the thread spans of thread blocks.
#[derive(Debug)]
pub(crate) struct ThreadDecoder;

/// The id of the thread itself, and its parent's.
const THREAD: i64 = -1;
const NOTHING: i64 = 0;
/// Spans that are open at once. What a program opens without end must not grow without bound.
const DEEPEST: usize = 16 << 10;
/// Bytes of text of the spans that are open at once.
const MOST_TEXT: usize = 16 << 20;
/// No reference is like that: it would have to lie at the end of all memory.
const NO_REFERENCE: u64 = u64::MAX;

const ENDS_WITHOUT_BEGIN: &str = "end of a span that did not begin";
const BEGINS_WITHOUT_END: &str = "begin of a span that did not end";
const UNKNOWN_TYPES: &str = "unknown type";
const TOO_DEEP: &str = "too many spans open at once";

const SITE: SiteColumns = SiteColumns {
    name: thread_spans::NAME,
    target: thread_spans::TARGET,
    filename: thread_spans::FILENAME,
    line: thread_spans::LINE,
    hash: thread_spans::HASH,
};

/// What is open between blocks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ThreadState {
    /// The thread itself, once it has had a span.
    thread: Option<Thread>,
    /// When the first of the blocks began, and when the last one ended.
    begin: Option<i64>,
    end: i64,
    /// Ticks at the end of the last block, and what its clock said then.
    clock: Option<(i64, i64)>,
    /// Places of the open spans.
    sites: Vec<StoredSite>,
    /// Open spans, the outermost first.
    open: Vec<OpenSpan>,
    /// Spans that are open beyond those, not counted one by one.
    beyond: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Thread {
    label: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenSpan {
    id: i64,
    begin: i64,
    /// Index among the state's sites.
    site: u32,
}

/// How the events of one type are read.
enum Shape {
    Begin {
        place: Place,
        time: I64Field,
    },
    End {
        place: Place,
        time: I64Field,
        properties: Option<ReferenceField>,
    },
    /// Of another view set.
    Foreign,
    Unknown,
}

#[derive(Clone, Copy)]
enum Place {
    Record(ReferenceField),
    Named(ReferenceField, ReferenceField),
}

fn shape(event: &EventType) -> Result<Shape, DecodeError> {
    let record = || Ok::<_, DecodeError>(Place::Record(event.reference("thread_span_desc")?));
    let named = || {
        let (place, name) = (event.reference("thread_span_location")?, event.reference("name")?);
        Ok::<_, DecodeError>(Place::Named(place, name))
    };
    let begin =
        |place| -> Result<Shape, DecodeError> { Ok(Shape::Begin { place, time: event.i64("time")? }) };
    let end = |place, is_tagged| -> Result<Shape, DecodeError> {
        let properties = if is_tagged { Some(event.reference("properties")?) } else { None };
        Ok(Shape::End { place, time: event.i64("time")?, properties })
    };
    match event.name() {
        "BeginThreadSpanEvent" => begin(record()?),
        "EndThreadSpanEvent" => end(record()?, false),
        "TaggedEndThreadSpanEvent" => end(record()?, true),
        "BeginThreadNamedSpanEvent" | "BeginThreadDynNamedSpanEvent" => begin(named()?),
        "EndThreadNamedSpanEvent" | "EndThreadDynNamedSpanEvent" => end(named()?, false),
        "TaggedEndThreadNamedSpanEvent" => end(named()?, true),
        "BeginAsyncSpanEvent"
        | "EndAsyncSpanEvent"
        | "TaggedEndAsyncSpanEvent"
        | "BeginAsyncNamedSpanEvent"
        | "EndAsyncNamedSpanEvent"
        | "BeginAsyncDynNamedSpanEvent"
        | "EndAsyncDynNamedSpanEvent"
        | "TaggedEndAsyncNamedSpanEvent" => Ok(Shape::Foreign),
        _ => Ok(Shape::Unknown),
    }
}

/// Rows of one block, a place for each span that is open at its beginning or begins in it: so they are in the order of
/// their begin.
#[derive(Default)]
struct Spans {
    ids: Vec<i64>,
    parents: Vec<i64>,
    depths: Vec<u32>,
    begins: Vec<i64>,
    ends: Vec<i64>,
    sites: Vec<u32>,
    properties: Vec<i32>,
    /// Rows whose span has lost its end.
    cut: Vec<u32>,
}

impl Spans {
    fn with_capacity(rows: usize) -> Self {
        Self {
            ids: Vec::with_capacity(rows),
            parents: Vec::with_capacity(rows),
            depths: Vec::with_capacity(rows),
            begins: Vec::with_capacity(rows),
            ends: Vec::with_capacity(rows),
            sites: Vec::with_capacity(rows),
            properties: Vec::with_capacity(rows),
            cut: Vec::new(),
        }
    }

    #[inline]
    fn push(&mut self, id: i64, parent: i64, depth: usize, begin: i64, site: u32) -> u32 {
        let row = self.ids.len() as u32;
        self.ids.push(id);
        self.parents.push(parent);
        self.depths.push(depth as u32);
        self.begins.push(begin);
        self.ends.push(begin);
        self.sites.push(site);
        self.properties.push(PropertyDictionary::EMPTY);
        row
    }

    /// Ends a span: not before it began, although the wall clock may have been set back meanwhile.
    #[inline]
    fn end(&mut self, row: u32, time: i64) {
        let row = row as usize;
        self.ends[row] = time.max(self.begins[row]);
    }

    /// Takes rows away, given in ascending order: those of spans that are still open.
    fn remove(&mut self, rows: &[u32]) {
        remove(&mut self.ids, rows);
        remove(&mut self.parents, rows);
        remove(&mut self.depths, rows);
        remove(&mut self.begins, rows);
        remove(&mut self.ends, rows);
        remove(&mut self.sites, rows);
        remove(&mut self.properties, rows);
        for row in &mut self.cut {
            *row -= rows.partition_point(|r| *r < *row) as u32;
        }
    }

    fn put(
        self,
        rows: &mut Rows<'_>,
        sites: &Sites<'_>,
        block: &TransitBlock,
        sets: PropertyDictionary<'_>,
    ) -> Result<usize, DecodeError> {
        let count = self.ids.len();
        if rows.wants(&thread_spans::DURATION) {
            let durations = self.ends.iter().zip(&self.begins).map(|(end, begin)| end.wrapping_sub(*begin));
            rows.put(&thread_spans::DURATION, durations.collect::<Vec<_>>())?;
        }
        rows.put(&thread_spans::ID, self.ids)?;
        rows.put(&thread_spans::PARENT, self.parents)?;
        rows.put(&thread_spans::DEPTH, self.depths)?;
        rows.put(&thread_spans::BEGIN, self.begins)?;
        rows.put(&thread_spans::END, self.ends)?;
        if rows.wants(&thread_spans::IS_COMPLETE) {
            let mut is_complete = vec![true; count];
            self.cut.iter().for_each(|row| is_complete[*row as usize] = false);
            rows.put(&thread_spans::IS_COMPLETE, is_complete)?;
        }
        put_sites(rows, &SITE, sites, block.dependencies(), &self.sites)?;
        rows.put_with(&thread_spans::PROPERTIES, || sets.finish(self.properties))?;
        Ok(count)
    }
}

fn remove<T: Copy>(values: &mut Vec<T>, rows: &[u32]) {
    let Some(first) = rows.first() else { return };
    let mut to = *first as usize;
    for (i, row) in rows.iter().enumerate() {
        let from = *row as usize + 1;
        let until = rows.get(i + 1).map_or(values.len(), |next| *next as usize);
        values.copy_within(from..until, to);
        to += until - from;
    }
    values.truncate(to);
}

/// A span that is open while a block is read.
#[derive(Clone, Copy)]
struct Open {
    row: u32,
    hash: u32,
    id: i64,
    /// What the begin referred to, if that alone says which place it was.
    reference: u64,
}

/// The spans that are open while a block is read, the outermost first.
#[derive(Default)]
struct Stack {
    open: Vec<Open>,
    beyond: u64,
    /// How many are open of each hash: known once it has been needed.
    counts: Option<HashMap<u32, u32>>,
}

impl Stack {
    fn push(&mut self, span: Open) {
        if let Some(counts) = &mut self.counts {
            *counts.entry(span.hash).or_default() += 1;
        }
        self.open.push(span);
    }

    fn pop(&mut self) -> Option<Open> {
        let span = self.open.pop()?;
        if let Some(count) = self.counts.as_mut().and_then(|counts| counts.get_mut(&span.hash)) {
            *count -= 1;
        }
        Some(span)
    }

    /// Whether a span of that hash is open, however many others are.
    fn has(&mut self, hash: u32) -> bool {
        let open = &self.open;
        let counts = self.counts.get_or_insert_with(|| {
            let mut counts = HashMap::new();
            open.iter().for_each(|span| *counts.entry(span.hash).or_default() += 1);
            counts
        });
        counts.get(&hash).is_some_and(|count| *count > 0)
    }
}

impl StatefulDecoder for ThreadDecoder {
    type State = ThreadState;

    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut ThreadState,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let (info, transit) = (block.info(), block.transit()?);
        let clock = block.clock_behind(state.clock)?;
        let dependencies = transit.dependencies();
        let shapes: Vec<Result<Shape, DecodeError>> = transit.layout().events().iter().map(shape).collect();
        let stored = std::mem::take(&mut state.sites);
        let mut sites = Sites::new(dependencies, &stored);
        let mut sets = PropertyDictionary::new(dependencies, rows.text_limit());
        // half of the events begin a span; the announced number is only a hint
        let hint = (info.nb_objects.max(0) as usize).min(transit.objects().len() / 8) / 2;
        let mut spans = Spans::with_capacity(hint + state.open.len() + 1);
        let mut stack = Stack { beyond: state.beyond, ..Stack::default() };
        let mut parent = THREAD;
        for (i, span) in state.open.iter().enumerate() {
            let row = spans.push(span.id, parent, i + 1, span.begin, span.site);
            let hash = sites.get(span.site).hash;
            stack.push(Open { row, hash, id: span.id, reference: NO_REFERENCE });
            parent = span.id;
        }
        let mut bounds: Option<(i64, i64)> = None;
        let (mut ends_without_begin, mut begins_without_end, mut unknown, mut too_deep) = (0, 0, 0, 0);
        for (i, event) in transit.events().enumerate() {
            let event = event?;
            match &shapes[usize::from(event.type_index)] {
                Ok(Shape::Begin { place, time }) => {
                    let time = clock.time_of(time.get(&event)?);
                    let (reference, site) = match place {
                        Place::Record(field) => {
                            let reference = field.get(&event)?;
                            (reference, sites.of_record(reference)?)
                        }
                        Place::Named(place, name) => {
                            (NO_REFERENCE, sites.of_name(place.get(&event)?, name.get(&event)?)?)
                        }
                    };
                    bounds = Some(bounds.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
                    if stack.open.len() >= DEEPEST {
                        stack.beyond += 1;
                        too_deep += 1;
                        continue;
                    }
                    let id = info.object_offset.wrapping_add(i as i64);
                    let parent = stack.open.last().map_or(THREAD, |span| span.id);
                    let row = spans.push(id, parent, stack.open.len() + 1, time, site);
                    stack.push(Open { row, hash: sites.get(site).hash, id, reference });
                }
                Ok(Shape::End { place, time, properties }) => {
                    let time = clock.time_of(time.get(&event)?);
                    let reference = match place {
                        Place::Record(field) => field.get(&event)?,
                        Place::Named(..) => NO_REFERENCE,
                    };
                    let set = match properties {
                        Some(field) => sets.key(dependencies.find(field.get(&event)?)?)?,
                        None => PropertyDictionary::EMPTY,
                    };
                    bounds = Some(bounds.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
                    if stack.beyond > 0 {
                        stack.beyond -= 1;
                        continue;
                    }
                    let top = stack.open.last().copied();
                    // the place that the span began with, in nearly all cases
                    let is_same = |top: &Open| reference != NO_REFERENCE && top.reference == reference;
                    if !top.as_ref().is_some_and(is_same) {
                        let site = match place {
                            Place::Record(_) => sites.of_record(reference)?,
                            Place::Named(place, name) => {
                                sites.of_name(place.get(&event)?, name.get(&event)?)?
                            }
                        };
                        let hash = sites.get(site).hash;
                        if top.is_none_or(|top| top.hash != hash) {
                            if !stack.has(hash) {
                                ends_without_begin += 1;
                                continue;
                            }
                            while let Some(inner) = stack.open.last().copied().filter(|s| s.hash != hash) {
                                stack.pop();
                                spans.end(inner.row, time);
                                spans.cut.push(inner.row);
                                begins_without_end += 1;
                            }
                        }
                    }
                    if let Some(span) = stack.pop() {
                        spans.end(span.row, time);
                        spans.properties[span.row as usize] = set;
                    }
                }
                Ok(Shape::Foreign) => {}
                Ok(Shape::Unknown) => unknown += 1,
                Err(e) => return Err(e.clone()),
            }
        }
        rows.ignore(ENDS_WITHOUT_BEGIN, ends_without_begin);
        rows.ignore(BEGINS_WITHOUT_END, begins_without_end);
        rows.ignore(UNKNOWN_TYPES, unknown);
        rows.ignore(TOO_DEEP, too_deep);

        state.keep(&stack, &spans, &sites)?;
        if let Some((from, to)) = bounds {
            let thread = || Thread { label: label(block.stream()) };
            state.thread.get_or_insert_with(thread);
            state.begin = Some(state.begin.map_or(from, |begin| begin.min(from)));
            state.end = state.end.max(to);
        }
        let (begin, end) = (clock.time_of_relative(info.begin_ticks), clock.time_of_relative(info.end_ticks));
        state.end = if state.begin.is_some() { state.end.max(end) } else { end };
        state.begin = Some(state.begin.map_or(begin, |first| first.min(begin)));
        state.clock = Some(block.end(&clock));
        let still_open: Vec<u32> = stack.open.iter().map(|span| span.row).collect();
        spans.remove(&still_open);
        spans.put(rows, &sites, transit, sets)
    }

    fn open(&self, state: &ThreadState, is_final: bool, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        if is_final {
            rows.ignore(BEGINS_WITHOUT_END, state.open.len() as u64 + state.beyond);
        }
        let Some(thread) = &state.thread else { return Ok(0) };
        let begin = state.begin.unwrap_or(state.end);
        let itself = Site {
            name: &thread.label,
            target: "",
            filename: "",
            line: 0,
            hash: hash(&thread.label, "", "", 0),
        };
        let mut sites = vec![StoredSite::from(itself)];
        sites.extend(state.sites.iter().cloned());
        let mut spans = Spans::default();
        spans.push(THREAD, NOTHING, 0, begin, 0);
        let mut parent = THREAD;
        for (i, span) in state.open.iter().enumerate() {
            let row = spans.push(span.id, parent, i + 1, span.begin, span.site + 1);
            spans.cut.push(row);
            parent = span.id;
        }
        for (end, begin) in spans.ends.iter_mut().zip(&spans.begins) {
            *end = state.end.max(*begin);
        }
        let nothing = TransitBlock::empty();
        let sites = Sites::new(nothing.dependencies(), &sites);
        let sets = PropertyDictionary::new(nothing.dependencies(), rows.text_limit());
        spans.put(rows, &sites, &nothing, sets)
    }
}

impl ThreadState {
    /// Keeps the spans that are open behind a block.
    fn keep(&mut self, stack: &Stack, spans: &Spans, sites: &Sites<'_>) -> Result<(), DecodeError> {
        self.open.clear();
        self.beyond = stack.beyond;
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut bytes = 0;
        for span in &stack.open {
            let site = spans.sites[span.row as usize];
            let next = self.sites.len() as u32;
            let number = *numbers.entry(site).or_insert(next);
            if number == next {
                let stored = StoredSite::from(*sites.get(site));
                bytes += stored.text_bytes();
                if bytes > MOST_TEXT {
                    return Err(DecodeError::TooLarge { limit: MOST_TEXT });
                }
                self.sites.push(stored);
            }
            let begin = spans.begins[span.row as usize];
            self.open.push(OpenSpan { id: span.id, begin, site: number });
        }
        Ok(())
    }
}

/// What a thread is called: its name and its id, as far as the stream says.
pub(crate) fn label(stream: &StreamInfo) -> String {
    let property =
        |name: &str| stream.properties.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    // a number that its sender took for a signed one
    let id = property("thread-id").map(|id| match id.parse::<i64>() {
        Ok(negative @ i64::MIN..0) if negative >= i64::from(i32::MIN) => (negative as u32).to_string(),
        Ok(negative @ i64::MIN..0) => (negative as u64).to_string(),
        _ => id.to_owned(),
    });
    match (property("thread-name"), id) {
        (Some(name), Some(id)) => format!("{name}-{id}"),
        (None, Some(id)) => id,
        (Some(name), None) => format!("{name}-{}", stream.stream_id),
        (None, None) => stream.stream_id.to_string(),
    }
}
