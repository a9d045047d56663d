//! `ResourceSpans` to rows.

use crate::attributes::{
    AttributeList, AttributeSets, BinaryColumn, Labels, corrupt, resource_object, scopes,
};
use crate::ids::{span_id, trace_id};
use crate::otel_spans;
use crate::proto::{Fields, ProtoError, Value};
use crate::request::message_of;
use crate::signal::Signal;
use crate::values::{AnyValue, hex, key_value, sound, text_of, utf8};
use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, StringViewBuilder,
};
use arrow::buffer::{Buffer, NullBuffer};
use belvedere_model::jsonb::{Entry, Object};
use belvedere_view::arrow;
use belvedere_view::prelude::*;
use std::sync::Arc;

/// Decodes blocks of spans.
#[derive(Debug)]
pub(crate) struct SpanDecoder;

const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];

/// A span's fields, most of them still where they lie.
#[derive(Debug, Default)]
struct Span<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a str,
    name: &'a str,
    kind: u64,
    start: u64,
    end: u64,
    dropped: [u32; 3],
    status: u64,
    status_message: &'a str,
    flags: u32,
}

/// What is read again for each span, with the memory of the one before.
#[derive(Debug, Default)]
struct Lists<'a> {
    attributes: AttributeList<'a>,
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
}

fn read<'a>(record: &'a [u8], lists: &mut Lists<'a>) -> Result<Span<'a>, ProtoError> {
    lists.attributes.clear();
    lists.events.clear();
    lists.links.clear();
    let mut span = Span::default();
    let mut fields = Fields::new(record);
    let mut begin = 0;
    while let Some(field) = fields.next() {
        let end = record.len() - fields.rest().len();
        match field? {
            (1, v) => span.trace_id = v.bytes(),
            (2, v) => span.span_id = v.bytes(),
            (3, v) => span.trace_state = utf8(3, v.bytes())?,
            (4, v) => span.parent_span_id = v.bytes(),
            (5, v) => span.name = utf8(5, v.bytes())?,
            (6, v) => span.kind = v.number(),
            (7, v) => span.start = v.number(),
            (8, v) => span.end = v.number(),
            (9, v) => lists.attributes.add(record, begin, end, v.bytes()),
            (10, v) => span.dropped[0] = v.number() as u32,
            (11, v) => lists.events.push(v.bytes()),
            (12, v) => span.dropped[1] = v.number() as u32,
            (13, v) => lists.links.push(v.bytes()),
            (14, v) => span.dropped[2] = v.number() as u32,
            (15, Value::Bytes(status)) => {
                for field in Fields::new(status) {
                    match field? {
                        (2, v) => span.status_message = utf8(2, v.bytes())?,
                        (3, v) => span.status = v.number(),
                        _ => {}
                    }
                }
            }
            (16, v) => span.flags = v.number() as u32,
            _ => {}
        }
        begin = end;
    }
    Ok(span)
}

impl BlockDecoder for SpanDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let objects = block.objects()?;
        let message = message_of(Signal::Traces, &objects).map_err(DecodeError::corrupt)?;
        let limit = rows.text_limit();
        let scopes = scopes(&message, 0, limit)?;
        let count: usize = scopes.iter().map(|scope| scope.records.len()).sum();
        let wants = Wants::of(rows);

        let (mut lists, mut members) = (Lists::default(), Objects::default());
        let (mut trace_ids, mut span_ids) = (Vec::with_capacity(16 * count), Vec::with_capacity(8 * count));
        let (mut parents, mut has_parent) = (Vec::with_capacity(8 * count), Vec::with_capacity(count));
        let (mut starts, mut ends) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut durations = Vec::with_capacity(count);
        let (mut names, mut name_keys) = (Labels::default(), Vec::with_capacity(count));
        let (mut kinds, mut statuses) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut messages, mut states) = (StringViewBuilder::new(), StringViewBuilder::new());
        let (mut sets, mut set_keys) = (
            AttributeSets::new(if wants.properties { message.len() } else { 0 }, limit),
            Vec::with_capacity(count),
        );
        let (mut events, mut links) = (BinaryColumn::default(), BinaryColumn::default());
        let (mut scope_names, mut scope_keys) = (Labels::default(), Vec::with_capacity(count));
        let mut flags = Vec::with_capacity(count);
        let mut dropped: [Vec<u32>; 3] = Default::default();
        let mut ignored = 0;

        for (number, scope) in scopes.iter().enumerate() {
            let scope_key = scope_names.key(scope.name);
            for record in &scope.records {
                let span = read(record, &mut lists).map_err(corrupt)?;
                let ids = (trace_id(span.trace_id), span_id(span.span_id));
                let ((Some(trace), Some(id)), 1.., 1..) = (ids, span.start, span.end) else {
                    ignored += 1;
                    continue;
                };
                trace_ids.extend_from_slice(&trace);
                span_ids.extend_from_slice(&id);
                let parent = span_id(span.parent_span_id);
                has_parent.push(parent.is_some());
                parents.extend_from_slice(&parent.unwrap_or_default());
                let (start, end) = (span.start as i64, span.end as i64);
                starts.push(start);
                ends.push(end);
                durations.push(end.wrapping_sub(start));
                name_keys.push(names.key(span.name));
                kinds.push(if span.kind < KINDS.len() as u64 { span.kind as i32 } else { 0 });
                statuses.push(if span.status < STATUSES.len() as u64 { span.status as i32 } else { 0 });
                if wants.texts {
                    append(&mut messages, span.status_message);
                    append(&mut states, span.trace_state);
                }
                if wants.properties {
                    set_keys.push(sets.key(number, scope, &lists.attributes)?);
                }
                if wants.events {
                    push_events(&mut events.bytes, &lists.events, &mut members);
                    events.end(limit)?;
                }
                if wants.links {
                    push_links(&mut links.bytes, &lists.links, &mut members);
                    links.end(limit)?;
                }
                scope_keys.push(scope_key);
                flags.push(span.flags);
                for (counts, dropped) in dropped.iter_mut().zip(span.dropped) {
                    counts.push(dropped);
                }
            }
        }
        rows.ignore("a span without ids or times", ignored);

        let count = starts.len();
        rows.put(&otel_spans::TRACE_ID, fixed(16, trace_ids, None)?)?;
        rows.put(&otel_spans::SPAN_ID, fixed(8, span_ids, None)?)?;
        rows.put(&otel_spans::PARENT_SPAN_ID, fixed(8, parents, Some(NullBuffer::from(has_parent)))?)?;
        rows.put(&otel_spans::START_TIME, starts)?;
        rows.put(&otel_spans::END_TIME, ends)?;
        rows.put(&otel_spans::DURATION, durations)?;
        rows.put_labels(&otel_spans::NAME, name_keys, names.texts())?;
        rows.put_labels(&otel_spans::KIND, kinds, KINDS)?;
        rows.put_labels(&otel_spans::STATUS, statuses, STATUSES)?;
        if wants.texts {
            rows.put(&otel_spans::STATUS_MESSAGE, Arc::new(messages.finish()) as ArrayRef)?;
            rows.put(&otel_spans::TRACE_STATE, Arc::new(states.finish()) as ArrayRef)?;
        }
        if wants.properties {
            rows.put(&otel_spans::PROPERTIES, sets.finish(set_keys)?)?;
        }
        if wants.events {
            rows.put(&otel_spans::EVENTS, events.finish()?)?;
        }
        if wants.links {
            rows.put(&otel_spans::LINKS, links.finish()?)?;
        }
        rows.put_labels(&otel_spans::SCOPE_NAME, scope_keys, scope_names.texts())?;
        rows.put_with(&otel_spans::RESOURCE, || resource_column(&message, count))?;
        rows.put(&otel_spans::FLAGS, flags)?;
        let [attributes, events, links] = dropped;
        rows.put(&otel_spans::DROPPED_ATTRIBUTES_COUNT, attributes)?;
        rows.put(&otel_spans::DROPPED_EVENTS_COUNT, events)?;
        rows.put(&otel_spans::DROPPED_LINKS_COUNT, links)?;
        Ok(count)
    }
}

/// What a query wants of that which takes time to build.
struct Wants {
    texts: bool,
    properties: bool,
    events: bool,
    links: bool,
}

impl Wants {
    fn of(rows: &Rows<'_>) -> Self {
        Self {
            texts: rows.wants(&otel_spans::STATUS_MESSAGE) || rows.wants(&otel_spans::TRACE_STATE),
            properties: rows.wants(&otel_spans::PROPERTIES),
            events: rows.wants(&otel_spans::EVENTS),
            links: rows.wants(&otel_spans::LINKS),
        }
    }
}

/// A text, or NULL if it is empty.
fn append(column: &mut StringViewBuilder, text: &str) {
    match text {
        "" => column.append_null(),
        text => column.append_value(text),
    }
}

fn fixed(size: i32, bytes: Vec<u8>, nulls: Option<NullBuffer>) -> Result<ArrayRef, DecodeError> {
    FixedSizeBinaryArray::try_new(size, Buffer::from_vec(bytes), nulls)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(DecodeError::mistake)
}

/// The same resource in each row.
pub(crate) fn resource_column(message: &[u8], count: usize) -> Result<ArrayRef, DecodeError> {
    let resource = BinaryArray::from(vec![resource_object(message)?.as_slice()]);
    DictionaryArray::try_new(Int32Array::from(vec![0; count]), Arc::new(resource) as ArrayRef)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(DecodeError::mistake)
}

/// Objects under construction, used again and again.
#[derive(Default)]
pub(crate) struct Objects<'a> {
    pub(crate) outer: Object<'a>,
    attributes: Object<'a>,
}

impl<'a> Objects<'a> {
    /// Adds an attribute of an event, a link or an exemplar, if it has a value.
    pub(crate) fn attribute(&mut self, message: &'a [u8]) {
        let (key, value) = key_value(message);
        if value != AnyValue::Absent {
            self.attributes.put(key, |out| value.to_jsonb(out));
        }
    }

    /// Appends the object, its attributes as a member.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Entry {
        self.outer.put("attributes", |out| self.attributes.finish(out));
        self.outer.finish(out)
    }
}

fn push_events<'a>(out: &mut Vec<u8>, messages: &[&'a [u8]], objects: &mut Objects<'a>) {
    Entry::array(out, messages.len(), messages, |out, message| {
        let (mut time, mut name, mut dropped) = (0, "", 0);
        for field in sound(message) {
            match field {
                (1, v) => time = v.number(),
                (2, v) => name = text_of(v),
                (3, v) => objects.attribute(v.bytes()),
                (4, v) => dropped = v.number(),
                _ => {}
            }
        }
        objects.outer.put("name", |out| Entry::text(out, name));
        objects.outer.put("time", |out| Entry::integer(out, time as i64));
        if dropped > 0 {
            objects.outer.put("dropped_attributes_count", |out| Entry::integer(out, dropped as i64));
        }
        objects.finish(out)
    });
}

fn push_links<'a>(out: &mut Vec<u8>, messages: &[&'a [u8]], objects: &mut Objects<'a>) {
    Entry::array(out, messages.len(), messages, |out, message| {
        let (mut trace, mut span, mut state, mut dropped) = (&[][..], &[][..], "", 0);
        for field in sound(message) {
            match field {
                (1, v) => trace = v.bytes(),
                (2, v) => span = v.bytes(),
                (3, v) => state = text_of(v),
                (4, v) => objects.attribute(v.bytes()),
                (5, v) => dropped = v.number(),
                _ => {}
            }
        }
        put_ids(objects, trace, span);
        if !state.is_empty() {
            objects.outer.put("trace_state", |out| Entry::text(out, state));
        }
        if dropped > 0 {
            objects.outer.put("dropped_attributes_count", |out| Entry::integer(out, dropped as i64));
        }
        objects.finish(out)
    });
}

/// Puts the ids of a link or an exemplar, if they are ids.
pub(crate) fn put_ids(objects: &mut Objects<'_>, trace: &[u8], span: &[u8]) {
    if let Some(id) = span_id(span) {
        objects.outer.put("span_id", |out| Entry::text(out, &hex(&id)));
    }
    if let Some(id) = trace_id(trace) {
        objects.outer.put("trace_id", |out| Entry::text(out, &hex(&id)));
    }
}
