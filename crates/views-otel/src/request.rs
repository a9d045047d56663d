//! A request taken apart, no further than is needed to store it: one block for each resource.

use crate::dropped::{Dropped, Why};
use crate::ids::{is_strange, span_id, trace_id};
use crate::json;
use crate::proto::{Fields, ProtoError, Value, check};
use crate::signal::Signal;
use crate::values::text_of;
use bytes::Bytes;
use std::borrow::Cow;
use thiserror::Error;

/// How a request is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Protobuf,
    Json,
}

/// Why a request can't be read.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("the {signal} are not OTLP in protobuf: {error}")]
    Protobuf { signal: &'static str, error: ProtoError },
    #[error("the {signal} are not OTLP in JSON: {error}")]
    Json { signal: &'static str, error: String },
    #[error("the {signal} have more than {limit} {what}: send less in one request")]
    TooMany { signal: &'static str, what: &'static str, limit: usize },
}

/// Resources of one request: each becomes a block.
const MAX_RESOURCES: usize = 10_000;
/// Messages within a resource, however small: what becomes of each takes some memory.
pub(crate) const MAX_MESSAGES: u64 = 2_000_000;

/// What a request says of one resource.
#[derive(Debug)]
pub(crate) struct Part {
    /// The message, in protobuf.
    pub(crate) message: Bytes,
    /// As it was sent, if not in protobuf.
    pub(crate) as_sent: Option<Bytes>,
    pub(crate) summary: Summary,
}

/// What is told of records without reading them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Spans, log records or data points; a point of a summary counts four times, for the rows that it gives.
    pub(crate) records: u64,
    /// What of them will not be in a row.
    pub(crate) dropped: Dropped,
    /// Scopes, records, points, events, links and exemplars.
    pub(crate) messages: u64,
    /// Bounds of their times, nanoseconds since the Unix epoch; `None` if none has a time.
    pub(crate) times: Option<(i64, i64)>,
}

impl Summary {
    fn at(&mut self, begin: u64, end: u64) {
        // beyond the year 2262 times are before the epoch, in rows as well
        let (begin, end) = (begin as i64, end as i64);
        let (a, b) = self.times.unwrap_or((begin, end));
        self.times = Some((a.min(begin), b.max(end)));
    }
}

/// A request taken apart.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Those that have records.
    pub(crate) parts: Vec<Part>,
    /// What of all of them will not be in a row.
    pub(crate) dropped: Dropped,
}

/// Takes a request apart and checks all of it.
pub(crate) fn parts(signal: Signal, form: Form, body: &Bytes) -> Result<Parts, RequestError> {
    let (mut parts, mut dropped) = (Vec::new(), Dropped::default());
    let mut add = |part: Part| {
        let name = signal.name();
        if part.summary.messages > MAX_MESSAGES {
            let limit = MAX_MESSAGES as usize;
            return Err(RequestError::TooMany { signal: name, what: "messages of one resource", limit });
        }
        dropped.merge(&part.summary.dropped);
        if part.summary.records > 0 {
            parts.push(part);
        }
        match parts.len() > MAX_RESOURCES {
            true => Err(RequestError::TooMany { signal: name, what: "resources", limit: MAX_RESOURCES }),
            false => Ok(()),
        }
    };
    match form {
        Form::Protobuf => {
            let wrong = |error| RequestError::Protobuf { signal: signal.name(), error };
            for field in Fields::new(body) {
                let (1, value) = field.map_err(wrong)? else { continue };
                let Value::Bytes(bytes) = value else { return Err(wrong(ProtoError::WrongKind(1))) };
                let summary = summary(signal, bytes).map_err(wrong)?;
                add(Part { message: body.slice_ref(bytes), as_sent: None, summary })?;
            }
        }
        Form::Json => {
            let wrong = |error: String| RequestError::Json { signal: signal.name(), error };
            let text = std::str::from_utf8(body).map_err(|e| wrong(e.to_string()))?;
            let resources = json::resources(signal, text).map_err(|e| wrong(e.to_string()))?;
            for (i, resource) in resources.into_iter().enumerate() {
                let message = json::to_message(signal.of_resource(), resource.get());
                let message = message.map_err(|e| wrong(e.within(signal, i).to_string()))?;
                let summary = summary(signal, &message).map_err(|e| wrong(e.to_string()))?;
                let as_sent = Some(body.slice_ref(resource.get().as_bytes()));
                add(Part { message: message.into(), as_sent, summary })?;
            }
        }
    }
    Ok(Parts { parts, dropped })
}

/// The message that a stored part is, whichever way it was sent: no message starts like a JSON object.
pub(crate) fn message_of(signal: Signal, stored: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if stored.first() != Some(&b'{') {
        return Ok(Cow::Borrowed(stored));
    }
    let text = std::str::from_utf8(stored).map_err(|e| e.to_string())?;
    json::to_message(signal.of_resource(), text).map(Cow::Owned).map_err(|e| e.to_string())
}

/// The messages in field 2 of those in field 2: the records of all scopes.
fn records(message: &[u8]) -> impl Iterator<Item = Result<&[u8], ProtoError>> {
    let in_field_2 = |message| {
        Fields::new(message).filter_map(|field| match field {
            Ok((2, value)) => Some(Ok(value.bytes())),
            Ok(_) => None,
            Err(e) => Some(Err(e)),
        })
    };
    in_field_2(message).flat_map(move |scope| {
        let (scope, error) = match scope {
            Ok(scope) => (scope, None),
            Err(e) => (&[][..], Some(Err(e))),
        };
        in_field_2(scope).chain(error)
    })
}

fn summary(signal: Signal, message: &[u8]) -> Result<Summary, ProtoError> {
    let mut summary = Summary::default();
    let checked = check(signal.of_resource(), message)?;
    if checked.too_deep > 0 {
        let first = if checked.first.is_empty() { "the body of a log record" } else { &checked.first };
        summary.dropped.add_many(Why::TooDeep, checked.too_deep, first);
    }
    for field in Fields::new(message) {
        summary.messages += u64::from(field?.0 == 2);
    }
    for record in records(message) {
        let record = record?;
        summary.messages += 1;
        match signal {
            Signal::Traces => add_span(&mut summary, record)?,
            Signal::Logs => add_log(&mut summary, record)?,
            Signal::Metrics => add_metric(&mut summary, record)?,
        }
    }
    Ok(summary)
}

fn add_span(summary: &mut Summary, span: &[u8]) -> Result<(), ProtoError> {
    let (mut start, mut end, mut has_ids) = (0, 0, (false, false));
    let (mut parent, mut name) = (&[][..], "");
    for field in Fields::new(span) {
        match field? {
            (1, id) => has_ids.0 = trace_id(id.bytes()).is_some(),
            (2, id) => has_ids.1 = span_id(id.bytes()).is_some(),
            (4, id) => parent = id.bytes(),
            (5, text) => name = text_of(text),
            (7, time) => start = time.number(),
            (8, time) => end = time.number(),
            (11, _) => summary.messages += 1,
            (13, link) => {
                summary.messages += 1;
                add_ids(summary, name, link.bytes(), [1, 2])?;
            }
            _ => {}
        }
    }
    summary.records += 1;
    if has_ids != (true, true) {
        summary.dropped.add(Why::Ids, name);
    } else if start == 0 || end == 0 {
        summary.dropped.add(Why::Times, name);
    } else {
        // a span may end before it starts
        summary.at(start, end);
        summary.at(end, start);
        if is_strange(parent, span_id(parent).is_some()) {
            summary.dropped.add(Why::OtherId, name);
        }
    }
    Ok(())
}

/// Counts what is neither an id nor none, in the fields of the trace's and the span's id of a message.
fn add_ids(summary: &mut Summary, name: &str, message: &[u8], numbers: [u32; 2]) -> Result<(), ProtoError> {
    for field in Fields::new(message) {
        let (number, id) = field?;
        let id = id.bytes();
        if number == numbers[0] && is_strange(id, trace_id(id).is_some())
            || number == numbers[1] && is_strange(id, span_id(id).is_some())
        {
            summary.dropped.add(Why::OtherId, name);
        }
    }
    Ok(())
}

fn add_log(summary: &mut Summary, record: &[u8]) -> Result<(), ProtoError> {
    let (mut time, mut observed, mut event) = (0, 0, "");
    for field in Fields::new(record) {
        match field? {
            (1, value) => time = value.number(),
            (11, value) => observed = value.number(),
            (12, text) => event = text_of(text),
            _ => {}
        }
    }
    summary.records += 1;
    match if time == 0 { observed } else { time } {
        0 => {}
        time => summary.at(time, time),
    }
    let name = if event.is_empty() { "of a log record" } else { event };
    add_ids(summary, name, record, [9, 10])
}

fn add_metric(summary: &mut Summary, metric: &[u8]) -> Result<(), ProtoError> {
    let (mut name, mut has_data, mut without_time) = ("", false, 0);
    for field in Fields::new(metric) {
        let (number, data) = field?;
        match number {
            1 => name = text_of(data),
            5 | 7 | 9 | 10 | 11 => has_data = true,
            _ => {}
        }
        let (5 | 7 | 9 | 10 | 11) = number else { continue };
        let rows = if number == 11 { 4 } else { 1 };
        for point in Fields::new(data.bytes()) {
            let (1, point) = point? else { continue };
            summary.records += rows;
            summary.messages += 1;
            let mut time = 0;
            for field in Fields::new(point.bytes()) {
                match field? {
                    // of points of all kinds
                    (3, value) => time = value.number(),
                    // exemplars or quantiles, where they are not something smaller
                    (5 | 6 | 8 | 11, Value::Bytes(_)) => summary.messages += 1,
                    _ => {}
                }
            }
            match time {
                0 => without_time += 1,
                time => summary.at(time, time),
            }
        }
    }
    if without_time > 0 {
        summary.dropped.add_many(Why::PointTime, without_time, name);
    }
    if !has_data {
        summary.dropped.add(Why::Data, name);
    }
    Ok(())
}
