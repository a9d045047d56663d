//! OTLP logs as rows of `log_entries`.

use crate::attributes::{AttributeList, AttributeSets, Extra, Labels, changed_attributes, corrupt, scopes};
use crate::ids::{span_id, trace_id};
use crate::proto::{Fields, ProtoError};
use crate::request::message_of;
use crate::signal::{LOGS_FORMAT, LOGS_TAG, Signal};
use crate::values::{AnyValue, utf8};
use arrow::array::{ArrayRef, StringViewBuilder};
use belvedere_view::arrow;
use belvedere_view::prelude::*;
use std::sync::Arc;

columns! {
    COLUMNS:
    TIME = Column::of_another_crate("time", ColumnType::Time),
    TARGET = Column::of_another_crate("target", ColumnType::Label),
    LEVEL = Column::of_another_crate("level", ColumnType::Int32),
    MSG = Column::of_another_crate("msg", ColumnType::Utf8),
    PROPERTIES = Column::of_another_crate("properties", ColumnType::Jsonb),
}

register_block_source! {
    BlockSourceRegistration::new("log_entries", COLUMNS, BlockSource::new(LOGS_FORMAT, LOGS_TAG, &LogDecoder)).optional()
}

/// Decodes blocks of log records.
#[derive(Debug)]
struct LogDecoder;

/// A log record's fields, the attributes apart.
#[derive(Debug, Default)]
struct Record<'a> {
    time: u64,
    observed: u64,
    severity: u64,
    severity_text: &'a str,
    body: Option<&'a [u8]>,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a str,
}

fn read<'a>(record: &'a [u8], attributes: &mut AttributeList<'a>) -> Result<Record<'a>, ProtoError> {
    attributes.clear();
    let mut log = Record::default();
    let mut fields = Fields::new(record);
    let mut begin = 0;
    while let Some(field) = fields.next() {
        let end = record.len() - fields.rest().len();
        match field? {
            (1, v) => log.time = v.number(),
            (2, v) => log.severity = v.number(),
            (3, v) => log.severity_text = utf8(3, v.bytes())?,
            (5, v) => log.body = Some(v.bytes()),
            (6, v) => attributes.add(record, begin, end, v.bytes()),
            (9, v) => log.trace_id = v.bytes(),
            (10, v) => log.span_id = v.bytes(),
            (11, v) => log.observed = v.number(),
            (12, v) => log.event_name = utf8(12, v.bytes())?,
            _ => {}
        }
        begin = end;
    }
    Ok(log)
}

impl<'a> Record<'a> {
    fn has_extras(&self) -> bool {
        self.extras().next().is_some()
    }

    /// What the record says beside its attributes, among the properties.
    fn extras(&self) -> impl Iterator<Item = (&'a str, Extra<'a>)> + use<'a> {
        let text = |text: &'a str| (!text.is_empty()).then(|| Extra::text(text));
        [
            ("otel.trace_id", trace_id(self.trace_id).map(Extra::TraceId)),
            ("otel.span_id", span_id(self.span_id).map(Extra::SpanId)),
            ("otel.severity_text", text(self.severity_text)),
            ("otel.event_name", text(self.event_name)),
        ]
        .into_iter()
        .filter_map(|(name, extra)| Some((name, extra?)))
    }
}

/// 1 fatal … 6 trace; 4 for what says nothing.
fn level(severity: u64) -> i32 {
    match severity {
        1..=4 => 6,
        5..=8 => 5,
        13..=16 => 3,
        17..=20 => 2,
        21..=24 => 1,
        _ => 4,
    }
}

impl BlockDecoder for LogDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let objects = block.objects()?;
        let message = message_of(Signal::Logs, &objects).map_err(DecodeError::corrupt)?;
        let changed = changed_attributes(&message, block.process())?;
        let changed_bytes = changed.iter().map(|(name, value)| name.len() + value.len()).sum();
        let limit = rows.text_limit();
        let scopes = scopes(&message, changed_bytes, limit)?;
        let records: usize = scopes.iter().map(|scope| scope.records.len()).sum();
        let (wants_messages, wants_properties) = (rows.wants(&MSG), rows.wants(&PROPERTIES));

        let mut attributes = AttributeList::default();
        let (mut times, mut levels) = (Vec::with_capacity(records), Vec::with_capacity(records));
        let (mut targets, mut target_keys) = (Labels::default(), Vec::with_capacity(records));
        let (mut messages, mut text, mut length) = (StringViewBuilder::new(), String::new(), 0);
        let (mut sets, mut set_keys) = (
            AttributeSets::new(if wants_properties { message.len() } else { 0 }, limit),
            Vec::with_capacity(records),
        );
        for (number, scope) in scopes.iter().enumerate() {
            let target = targets.key(scope.name);
            for record in &scope.records {
                let log = read(record, &mut attributes).map_err(corrupt)?;
                times.push(match (log.time, log.observed) {
                    (0, 0) => block.info().begin_time,
                    (0, observed) => observed as i64,
                    (time, _) => time as i64,
                });
                levels.push(level(log.severity));
                target_keys.push(target);
                if wants_messages {
                    match AnyValue::read(log.body.unwrap_or_default()) {
                        AnyValue::Text(body) => {
                            length += body.len();
                            messages.append_value(body);
                        }
                        body => {
                            text.clear();
                            body.to_text(&mut text);
                            length += text.len();
                            messages.append_value(&text);
                        }
                    }
                    if length > limit {
                        return Err(DecodeError::TooLarge { limit });
                    }
                }
                if wants_properties {
                    set_keys.push(if changed.is_empty() && !log.has_extras() {
                        sets.key(number, scope, &attributes)?
                    } else {
                        let changed = changed.iter().map(|(key, value)| (key.as_str(), Extra::text(value)));
                        sets.own_key(scope, &attributes, changed.chain(log.extras()))?
                    });
                }
            }
        }

        let count = times.len();
        rows.put(&TIME, times)?;
        rows.put_labels(&TARGET, target_keys, targets.texts())?;
        rows.put(&LEVEL, levels)?;
        if wants_messages {
            rows.put(&MSG, Arc::new(messages.finish()) as ArrayRef)?;
        }
        if wants_properties {
            rows.put(&PROPERTIES, sets.finish(set_keys)?)?;
        }
        Ok(count)
    }
}
