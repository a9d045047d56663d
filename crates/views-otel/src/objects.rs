//! Spans, log records and data points in OTLP's JSON, each by itself: what `parse_block` shows.
//!
//! Beside its own fields each has what it shares with others (`__resource`, `__scope`, `__metric`) and its attributes
//! as a flat object (`__attributes`).

use crate::accept::resource_message;
use crate::attributes::corrupt;
use crate::points::{EXPONENTIAL, GAUGE, HISTOGRAM, KINDS, SUM, SUMMARY, metric, zigzag};
use crate::proto::{Field, Fields, Kind, MAX_NESTING, Message, Value, check};
use crate::request::message_of;
use crate::signal::Signal;
use crate::values::{hex, key_value, sound, text_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_model::jsonb::{Entry, Object};
use belvedere_view::prelude::*;

/// Blocks of spans.
pub mod traces {
    use crate::signal::{Signal, TRACES_FORMAT};
    use belvedere_view::prelude::*;

    register_block_parser! {
        BlockParserRegistration::new(TRACES_FORMAT, |block, objects| super::parse(Signal::Traces, block, objects))
    }
}

/// Blocks of log records.
pub mod logs {
    use crate::signal::{LOGS_FORMAT, Signal};
    use belvedere_view::prelude::*;

    register_block_parser! {
        BlockParserRegistration::new(LOGS_FORMAT, |block, objects| super::parse(Signal::Logs, block, objects))
    }
}

/// Blocks of metrics.
pub mod metrics {
    use crate::signal::{METRICS_FORMAT, Signal};
    use belvedere_view::prelude::*;

    register_block_parser! {
        BlockParserRegistration::new(METRICS_FORMAT, |block, objects| super::parse(Signal::Metrics, block, objects))
    }
}

/// Types of points, the fields of a metric that they lie in, by their kinds.
const POINTS: [(usize, u32, &str); 5] = [
    (GAUGE, 5, "otlp.NumberDataPoint"),
    (SUM, 7, "otlp.NumberDataPoint"),
    (HISTOGRAM, 9, "otlp.HistogramDataPoint"),
    (EXPONENTIAL, 10, "otlp.ExponentialHistogramDataPoint"),
    (SUMMARY, 11, "otlp.SummaryDataPoint"),
];

/// What all objects of a scope share.
struct Shared<'a> {
    resource: &'a [u8],
    scope: &'a [u8],
}

fn parse(
    signal: Signal,
    block: &BlockReader<'_>,
    objects: &mut ParsedObjects<'_>,
) -> Result<(), DecodeError> {
    let stored = block.objects()?;
    let message = message_of(signal, &stored).map_err(DecodeError::corrupt)?;
    check(signal.of_resource(), &message).map_err(corrupt)?;
    let resource = resource_message(&message).map_err(corrupt)?;
    let definition = inner(inner(signal.of_resource(), 2)?, 2)?;
    let (mut ordinal, mut value) = (0, Vec::new());
    for (_, scope_records) in sound(&message).filter(|(number, _)| *number == 2) {
        let records = || sound(scope_records.bytes());
        let scope = records().filter(|(number, _)| *number == 1).last().map_or(&[][..], |(_, v)| v.bytes());
        let shared = Shared { resource: &resource, scope };
        for (_, record) in records().filter(|(number, _)| *number == 2) {
            let record = record.bytes();
            match signal {
                Signal::Metrics => points(definition, record, &shared, &mut ordinal, objects)?,
                Signal::Traces | Signal::Logs => {
                    let name = if signal == Signal::Logs { "otlp.LogRecord" } else { "otlp.Span" };
                    value.clear();
                    leaf(name, definition, record, &shared).finish(&mut value);
                    objects.push(ordinal, name, &value)?;
                    ordinal += 1;
                }
            }
        }
    }
    Ok(())
}

/// The definition of what is in a field.
fn inner(definition: &'static Message, number: u32) -> Result<&'static Message, DecodeError> {
    match definition.field(number).map(|field| field.kind) {
        Some(Kind::Message(inner)) => Ok(inner),
        _ => Err(DecodeError::mistake(format!("field {number} is no message"))),
    }
}

/// The points of a metric.
fn points(
    definition: &'static Message,
    message: &[u8],
    shared: &Shared<'_>,
    ordinal: &mut usize,
    objects: &mut ParsedObjects<'_>,
) -> Result<(), DecodeError> {
    let Some(metric) = metric(message).map_err(corrupt)? else { return Ok(()) };
    let Some((_, field, name)) = POINTS.into_iter().find(|(kind, ..)| *kind == metric.kind) else {
        return Ok(());
    };
    let definition = inner(inner(definition, field)?, 1)?;
    let has_temporality = [SUM, HISTOGRAM, EXPONENTIAL].contains(&metric.kind);
    let has_metadata = sound(message).any(|(number, _)| number == 12);
    let mut value = Vec::new();
    for point in &metric.points {
        let mut object = leaf(name, definition, point, shared);
        object.put("__metric", |out| {
            let mut about = Object::default();
            about.put("name", |out| Entry::text(out, metric.name));
            about.put("unit", |out| Entry::text(out, metric.unit));
            about.put("description", |out| Entry::text(out, metric.description));
            about.put("otel.metric.kind", |out| Entry::text(out, KINDS[metric.kind]));
            if has_temporality {
                let temporality = match metric.temporality {
                    1 => "delta",
                    2 => "cumulative",
                    _ => "unspecified",
                };
                about.put("otel.metric.aggregation_temporality", |out| Entry::text(out, temporality));
            }
            if metric.kind == SUM {
                about.put("otel.metric.is_monotonic", |_| Entry::boolean(metric.is_monotonic));
            }
            if has_metadata {
                about.put("otel.metric.metadata", |out| flat(message, 12, out));
            }
            about.finish(out)
        });
        value.clear();
        object.finish(&mut value);
        objects.push(*ordinal, name, &value)?;
        *ordinal += 1;
    }
    Ok(())
}

/// A span, a log record or a data point, with what it shares with others.
fn leaf<'a>(
    type_name: &'static str,
    definition: &'static Message,
    message: &'a [u8],
    shared: &Shared<'_>,
) -> Object<'a> {
    let mut object = Object::default();
    put_fields(&mut object, definition, message, MAX_NESTING);
    object.put("__type", |out| Entry::text(out, type_name));
    let attributes = definition.fields.iter().find(|field| field.name == "attributes");
    object.put("__attributes", |out| flat(message, attributes.map_or(0, |field| field.number), out));
    object.put("__resource", |out| flat(shared.resource, 1, out));
    object.put("__scope", |out| {
        let mut scope = Object::default();
        let field = |wanted| sound(shared.scope).filter(|(number, _)| *number == wanted).last();
        scope.put("name", |out| Entry::text(out, field(1).map_or("", |(_, v)| text_of(v))));
        scope.put("version", |out| Entry::text(out, field(2).map_or("", |(_, v)| text_of(v))));
        scope.put("attributes", |out| flat(shared.scope, 3, out));
        scope.finish(out)
    });
    object
}

/// Attributes in the fields of that number as one object, name by name.
fn flat(message: &[u8], wanted: u32, out: &mut Vec<u8>) -> Entry {
    let mut object = Object::default();
    for (_, attribute) in sound(message).filter(|(number, _)| *number == wanted) {
        let (key, value) = key_value(attribute.bytes());
        object.put(key, |out| value.to_jsonb(out));
    }
    object.finish(out)
}

/// Puts the fields that a message has into an object, under their names in JSON.
fn put_fields<'a>(object: &mut Object<'a>, definition: &'static Message, message: &'a [u8], depth: usize) {
    for field in definition.fields {
        let values = || sound(message).filter(|(number, _)| *number == field.number).map(|(_, value)| value);
        if !field.is_repeated {
            if let Some(last) = values().last() {
                object.put(field.name, |out| put_value(field, last, depth, out));
            }
            continue;
        }
        let all: Vec<Value<'_>> = match field.kind {
            Kind::Message(_) | Kind::Text => values().collect(),
            _ => values().flat_map(|value| unpacked(field, value)).collect(),
        };
        if !all.is_empty() {
            object.put(field.name, |out| {
                // an array in the JSON that is shown, which has a limit too
                let depth = depth.saturating_sub(1);
                Entry::array(out, all.len(), all, |out, value| put_value(field, value, depth, out))
            });
        }
    }
}

/// Numbers, one or many in a row.
fn unpacked<'a>(field: &Field, value: Value<'a>) -> Vec<Value<'a>> {
    let Value::Bytes(packed) = value else { return vec![value] };
    match field.kind {
        Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double => {
            packed.as_chunks().0.iter().map(|bytes| Value::Fixed64(u64::from_le_bytes(*bytes))).collect()
        }
        _ => {
            let (mut numbers, mut all) = (Fields::new(packed), Vec::new());
            while !numbers.rest().is_empty() {
                let Ok(number) = numbers.varint() else { break };
                all.push(Value::Varint(number));
            }
            all
        }
    }
}

/// A value as OTLP's JSON has it: numbers of 64 bits are texts, ids hexadecimal digits, enumerations numbers.
fn put_value(field: &Field, value: Value<'_>, depth: usize, out: &mut Vec<u8>) -> Entry {
    let number = value.number();
    match field.kind {
        Kind::Bool => Entry::boolean(number != 0),
        // the only one of 64 bits among them
        Kind::Unsigned if field.name == "bucketCounts" => Entry::text(out, &number.to_string()),
        Kind::Unsigned => Entry::unsigned(out, number),
        Kind::Signed | Kind::SignedFixed64 => Entry::text(out, &(number as i64).to_string()),
        Kind::ZigZag => Entry::integer(out, zigzag(number).into()),
        Kind::Enum(_) => Entry::integer(out, (number as i32).into()),
        Kind::Fixed64 => Entry::text(out, &number.to_string()),
        Kind::Fixed32 => Entry::unsigned(out, number),
        Kind::Double => match f64::from_bits(number) {
            double if double.is_nan() => Entry::text(out, "NaN"),
            f64::INFINITY => Entry::text(out, "Infinity"),
            f64::NEG_INFINITY => Entry::text(out, "-Infinity"),
            double => Entry::float(out, double),
        },
        Kind::Text => Entry::text(out, text_of(value)),
        Kind::Bytes => Entry::text(out, &STANDARD.encode(value.bytes())),
        Kind::Id => Entry::text(out, &hex(value.bytes())),
        Kind::Message(definition) => match depth.checked_sub(1) {
            Some(depth) => {
                let mut object = Object::default();
                put_fields(&mut object, definition, value.bytes(), depth);
                object.finish(out)
            }
            None => Entry::null(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::to_message;

    fn shown(signal: Signal, json: &str) -> String {
        let message = to_message(signal.of_resource(), json).unwrap();
        let definition = inner(inner(signal.of_resource(), 2).unwrap(), 2).unwrap();
        let first = |message: &[u8], wanted| {
            let field = sound(message).find(|(number, _)| *number == wanted);
            field.map(|(_, value)| value.bytes().to_vec()).unwrap_or_default()
        };
        let (resource, scope_records) = (first(&message, 1), first(&message, 2));
        let (scope, record) = (first(&scope_records, 1), first(&scope_records, 2));
        let mut value = Vec::new();
        leaf("otlp.LogRecord", definition, &record, &Shared { resource: &resource, scope: &scope })
            .finish(&mut value);
        belvedere_model::jsonb::Jsonb::new(&value).unwrap().to_string()
    }

    #[test]
    fn a_record_is_shown_in_the_json_that_it_can_be_sent_in() {
        let json = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[
            {"scope":{"name":"s","version":"1"},"logRecords":[{"timeUnixNano":"5","severityNumber":13,
            "body":{"arrayValue":{"values":[{"intValue":"-1"},{"doubleValue":"NaN"}]}},
            "attributes":[{"key":"n","value":{"intValue":"7"}}],"traceId":"0aff","flags":1}]}]}"#;
        assert_eq!(
            shown(Signal::Logs, json),
            concat!(
                r#"{"__attributes":{"n":7},"__resource":{"service.name":"shop"},"#,
                r#""__scope":{"attributes":{},"name":"s","version":"1"},"__type":"otlp.LogRecord","#,
                r#""attributes":[{"key":"n","value":{"intValue":"7"}}],"#,
                r#""body":{"arrayValue":{"values":[{"intValue":"-1"},{"doubleValue":"NaN"}]}},"#,
                r#""flags":1,"severityNumber":13,"timeUnixNano":"5","traceId":"0aff"}"#
            )
        );
    }
}
