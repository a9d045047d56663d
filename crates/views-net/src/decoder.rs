//! Network spans of native clients, on the axis of bits, along the blocks of a stream.
//!
//! A span's size comes with its end, and where it begins is what its older sisters took. So a row is complete with the
//! end of its span, children come before parents, and a span whose end never comes gives no row: its size is not known.
//! An end that belongs to an outer span closes that one, and connections are never part of one another: what is within
//! has lost its end.

use crate::net_spans;
use belvedere_view::prelude::*;
use serde::{Deserialize, Serialize};

/// Decodes net blocks.
#[derive(Debug)]
pub(crate) struct NetDecoder;

/// Spans that are open at once. Real ones are ten or so.
const DEEPEST: usize = 256;
/// A longer text is not a name.
const LONGEST: usize = 4 << 10;

const ENDS_WITHOUT_BEGIN: &str = "end of a span that did not begin";
const BEGINS_WITHOUT_END: &str = "begin of a span that did not end";
const UNKNOWN_TYPES: &str = "unknown type";
const TOO_DEEP: &str = "too many spans open at once";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Connection,
    Object,
    Property,
    Rpc,
}

/// In the order of [`Kind`].
const KINDS: [&str; 4] = ["connection", "object", "property", "rpc"];

/// What is open between blocks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct NetState {
    /// The outermost first.
    open: Vec<OpenSpan>,
    /// Ticks at the end of the last block, and what its clock said then.
    clock: Option<(i64, i64)>,
    /// Spans that are open beyond those, not counted one by one.
    beyond: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenSpan {
    kind: Kind,
    id: i64,
    parent: i64,
    depth: u32,
    name: String,
    is_outgoing: bool,
    begin: i64,
    /// Bits that its parts took so far.
    taken: i64,
}

/// How the events of one type are read.
enum Shape {
    Begin { kind: Kind, name: ReferenceField, is_outgoing: Option<U32Field>, time: I64Field },
    End { kind: Kind, bits: U32Field, time: I64Field },
    Property { name: ReferenceField, bits: U32Field, time: I64Field },
    Unknown,
}

fn shape(event: &EventType) -> Result<Shape, DecodeError> {
    let begin = |kind, name| -> Result<Shape, DecodeError> {
        let is_outgoing = if kind == Kind::Connection { Some(event.u32("is_outgoing")?) } else { None };
        Ok(Shape::Begin { kind, name: event.reference(name)?, is_outgoing, time: event.i64("time")? })
    };
    let end = |kind| -> Result<Shape, DecodeError> {
        Ok(Shape::End { kind, bits: event.u32("bit_size")?, time: event.i64("time")? })
    };
    match event.name() {
        "NetConnectionBeginEvent" => begin(Kind::Connection, "connection_name"),
        "NetConnectionEndEvent" => end(Kind::Connection),
        "NetObjectBeginEvent" => begin(Kind::Object, "object_name"),
        "NetObjectEndEvent" => end(Kind::Object),
        "NetRPCBeginEvent" => begin(Kind::Rpc, "function_name"),
        "NetRPCEndEvent" => end(Kind::Rpc),
        "NetPropertyEvent" => Ok(Shape::Property {
            name: event.reference("property_name")?,
            bits: event.u32("bit_size")?,
            time: event.i64("time")?,
        }),
        _ => Ok(Shape::Unknown),
    }
}

/// Rows of one block.
#[derive(Default)]
struct Spans {
    ids: Vec<i64>,
    parents: Vec<i64>,
    depths: Vec<u32>,
    kinds: Vec<i32>,
    names: Labels,
    connections: Labels,
    are_outgoing: Vec<bool>,
    begin_bits: Vec<i64>,
    end_bits: Vec<i64>,
    sizes: Vec<i64>,
    begins: Vec<i64>,
    ends: Vec<i64>,
}

/// A column of few distinct texts.
#[derive(Default)]
struct Labels {
    numbers: std::collections::HashMap<String, i32>,
    texts: Vec<String>,
    keys: Vec<i32>,
}

impl Labels {
    fn push(&mut self, text: &str) {
        let key = match self.numbers.get(text) {
            Some(key) => *key,
            None => {
                let key = self.texts.len() as i32;
                self.texts.push(text.to_owned());
                self.numbers.insert(text.to_owned(), key);
                key
            }
        };
        self.keys.push(key);
    }
}

impl Spans {
    /// Adds a span that is part of the innermost of `open`.
    fn push(&mut self, span: &OpenSpan, open: &mut [OpenSpan], bits: i64, end: i64) {
        let begin_bits = open.last().map_or(0, |parent| parent.taken);
        let end_bits = begin_bits.saturating_add(bits);
        if let Some(parent) = open.last_mut() {
            parent.taken = end_bits;
        }
        // of the outermost, which is the connection: itself if there is none
        let outermost = match (open.first(), span.kind) {
            (Some(outermost), _) => Some(outermost),
            (None, Kind::Property) => None,
            (None, _) => Some(span),
        };
        self.ids.push(span.id);
        self.parents.push(span.parent);
        self.depths.push(span.depth);
        self.kinds.push(span.kind as i32);
        self.names.push(&span.name);
        self.connections.push(outermost.map_or("", |o| &o.name));
        self.are_outgoing.push(outermost.is_some_and(|o| o.is_outgoing));
        self.begin_bits.push(begin_bits);
        self.end_bits.push(end_bits);
        self.sizes.push(bits);
        self.begins.push(span.begin);
        self.ends.push(end);
    }

    fn put(self, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let count = self.ids.len();
        rows.put(&net_spans::SPAN_ID, self.ids)?;
        rows.put(&net_spans::PARENT_SPAN_ID, self.parents)?;
        rows.put(&net_spans::DEPTH, self.depths)?;
        rows.put(&net_spans::IS_OUTGOING, self.are_outgoing)?;
        rows.put(&net_spans::BEGIN_BITS, self.begin_bits)?;
        rows.put(&net_spans::END_BITS, self.end_bits)?;
        rows.put(&net_spans::BIT_SIZE, self.sizes)?;
        rows.put(&net_spans::BEGIN_TIME, self.begins)?;
        rows.put(&net_spans::END_TIME, self.ends)?;
        rows.put_labels(&net_spans::KIND, self.kinds, KINDS)?;
        rows.put_labels(&net_spans::NAME, self.names.keys, &self.names.texts)?;
        rows.put_labels(&net_spans::CONNECTION_NAME, self.connections.keys, &self.connections.texts)?;
        Ok(count)
    }
}

impl StatefulDecoder for NetDecoder {
    type State = NetState;

    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut NetState,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let (info, transit) = (block.info(), block.transit()?);
        let clock = block.clock_behind(state.clock)?;
        let dependencies = transit.dependencies();
        let shapes: Vec<Result<Shape, DecodeError>> = transit.layout().events().iter().map(shape).collect();
        let text = |id: u64| -> Result<String, DecodeError> {
            match dependencies.text(dependencies.find(id)?) {
                Some(text) if text.len() > LONGEST => Err(DecodeError::TooLarge { limit: LONGEST }),
                Some(text) => Ok(text.to_owned()),
                None => {
                    Err(DecodeError::corrupt("a net event refers to something else where a text should be"))
                }
            }
        };
        let NetState { open, beyond, .. } = state;
        let mut spans = Spans::default();
        for (i, event) in transit.events().enumerate() {
            let event = event?;
            let id = info.object_offset.wrapping_add(i as i64);
            let part_of =
                |open: &[OpenSpan]| open.last().map_or((-1, 0), |o| (o.id, o.depth.saturating_add(1)));
            match &shapes[usize::from(event.type_index)] {
                Ok(Shape::Begin { kind, name, is_outgoing, time }) => {
                    if *kind == Kind::Connection {
                        // connections are never part of one another: what is open has lost its end
                        rows.ignore(BEGINS_WITHOUT_END, open.len() as u64 + *beyond);
                        open.clear();
                        *beyond = 0;
                    }
                    let (parent, depth) = part_of(open);
                    let span = OpenSpan {
                        kind: *kind,
                        id,
                        parent,
                        depth,
                        name: text(name.get(&event)?)?,
                        is_outgoing: match is_outgoing {
                            Some(field) => field.get(&event)? != 0,
                            None => false,
                        },
                        begin: clock.time_of(time.get(&event)?),
                        taken: 0,
                    };
                    if open.len() >= DEEPEST || *beyond > 0 {
                        rows.ignore(TOO_DEEP, 1);
                        *beyond += 1;
                    } else {
                        open.push(span);
                    }
                }
                Ok(Shape::End { kind, bits, time }) => {
                    let (bits, end) = (bits.get(&event)?, clock.time_of(time.get(&event)?));
                    if *beyond > 0 {
                        *beyond -= 1;
                        continue;
                    }
                    // few are open, and each is passed over once: what is above has lost its end
                    let Some(at) = open.iter().rposition(|span| span.kind == *kind) else {
                        rows.ignore(ENDS_WITHOUT_BEGIN, 1);
                        continue;
                    };
                    rows.ignore(BEGINS_WITHOUT_END, (open.len() - at - 1) as u64);
                    open.truncate(at + 1);
                    if let Some(span) = open.pop() {
                        // the wall clock may have been set back meanwhile
                        spans.push(&span, open, bits.into(), end.max(span.begin));
                    }
                }
                Ok(Shape::Property { name, bits, time }) => {
                    let (parent, depth) = part_of(open);
                    let property = OpenSpan {
                        kind: Kind::Property,
                        id,
                        parent,
                        depth,
                        name: text(name.get(&event)?)?,
                        is_outgoing: false,
                        begin: clock.time_of(time.get(&event)?),
                        taken: 0,
                    };
                    let (bits, end) = (bits.get(&event)?, property.begin);
                    spans.push(&property, open, bits.into(), end);
                }
                Ok(Shape::Unknown) => rows.ignore(UNKNOWN_TYPES, 1),
                Err(e) => return Err(e.clone()),
            }
        }
        state.clock = Some(block.end(&clock));
        spans.put(rows)
    }

    fn open(&self, state: &NetState, is_final: bool, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        if is_final {
            rows.ignore(BEGINS_WITHOUT_END, state.open.len() as u64 + state.beyond);
        }
        Spans::default().put(rows)
    }
}
