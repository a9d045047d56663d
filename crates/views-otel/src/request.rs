//! A request taken apart, no further than is needed to store it: one block for each resource.

use crate::json;
use crate::proto::{Fields, ProtoError, Value, check};
use crate::signal::Signal;
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
    /// Those that will not give a row.
    pub(crate) rejected: u64,
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

/// Takes a request apart and checks all of it. Parts without records are left out.
pub(crate) fn parts(signal: Signal, form: Form, body: &Bytes) -> Result<Vec<Part>, RequestError> {
    let mut parts = Vec::new();
    let mut add = |part: Part| {
        let name = signal.name();
        if part.summary.messages > MAX_MESSAGES {
            let limit = MAX_MESSAGES as usize;
            return Err(RequestError::TooMany { signal: name, what: "messages of one resource", limit });
        }
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
                check(signal.of_resource(), bytes).map_err(wrong)?;
                let summary = summary(signal, bytes).map_err(wrong)?;
                add(Part { message: body.slice_ref(bytes), as_sent: None, summary })?;
            }
        }
        Form::Json => {
            let wrong = |error: String| RequestError::Json { signal: signal.name(), error };
            let text = std::str::from_utf8(body).map_err(|e| wrong(e.to_string()))?;
            for resource in json::resources(signal.request(), text).map_err(|e| wrong(e.to_string()))? {
                let message = json::to_message(signal.of_resource(), resource.get());
                let message = message.map_err(|e| wrong(e.to_string()))?;
                check(signal.of_resource(), &message).map_err(|e| wrong(e.to_string()))?;
                let summary = summary(signal, &message).map_err(|e| wrong(e.to_string()))?;
                let as_sent = Some(body.slice_ref(resource.get().as_bytes()));
                add(Part { message: message.into(), as_sent, summary })?;
            }
        }
    }
    Ok(parts)
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
    for field in Fields::new(span) {
        match field? {
            (1, id) => has_ids.0 = id.bytes().len() == 16,
            (2, id) => has_ids.1 = id.bytes().len() == 8,
            (7, time) => start = time.number(),
            (8, time) => end = time.number(),
            (11 | 13, _) => summary.messages += 1,
            _ => {}
        }
    }
    summary.records += 1;
    if start == 0 || end == 0 || has_ids != (true, true) {
        summary.rejected += 1;
    } else {
        // a span may end before it starts
        summary.at(start, end);
        summary.at(end, start);
    }
    Ok(())
}

fn add_log(summary: &mut Summary, record: &[u8]) -> Result<(), ProtoError> {
    let (mut time, mut observed) = (0, 0);
    for field in Fields::new(record) {
        match field? {
            (1, value) => time = value.number(),
            (11, value) => observed = value.number(),
            _ => {}
        }
    }
    summary.records += 1;
    match if time == 0 { observed } else { time } {
        0 => {}
        time => summary.at(time, time),
    }
    Ok(())
}

fn add_metric(summary: &mut Summary, metric: &[u8]) -> Result<(), ProtoError> {
    for field in Fields::new(metric) {
        let (number @ (5 | 7 | 9 | 10 | 11), data) = field? else { continue };
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
                0 => summary.rejected += 1,
                time => summary.at(time, time),
            }
        }
    }
    Ok(())
}
