//! Every field of OTLP's messages, there or not: a field that is missing means what its default means, unless the
//! protocol tells the two apart, and a field that says something is in some row.
//!
//! The messages are made of the definitions, so a field that is added there is tested here.

use crate::accept::block_of;
use crate::proto::{Field, Kind, Message};
use crate::request::{Form, parts};
use crate::signal::Signal;
use crate::tests::rows;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The kind of data of the metric that is made.
const DATA: [&str; 5] = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

/// Where a field lies in a message: names of members, elements are the first ones.
type Path = Vec<&'static str>;

/// Of what can't be there together, one: other members have no values here.
fn is_chosen(data: &str, path: &[&str], field: &Field) -> bool {
    match field.name {
        "boolValue" | "intValue" | "doubleValue" | "arrayValue" | "kvlistValue" | "bytesValue" => false,
        "asInt" => data == "sum",
        "asDouble" => data != "sum",
        name if path.last() == Some(&"metrics") && DATA.contains(&name) => name == data,
        _ => true,
    }
}

/// A value that says something.
fn value(
    data: &str,
    path: &mut Path,
    field: &'static Field,
    fields: &mut Vec<(Path, &'static Field)>,
) -> Value {
    let one = match field.kind {
        Kind::Bool => json!(true),
        // the first bit of flags says that there is no value
        Kind::Unsigned | Kind::ZigZag | Kind::Enum(_) => json!(2),
        Kind::Fixed32 => json!(2),
        Kind::Fixed64 if field.name.ends_with("UnixNano") => {
            json!(1_790_000_000_000_000_000_u64 + field.name.len() as u64)
        }
        Kind::Signed | Kind::SignedFixed64 | Kind::Fixed64 => json!("7"),
        Kind::Double => json!(2.5),
        Kind::Text => json!(format!("text of {}", field.name)),
        Kind::Bytes => json!("AAE="),
        Kind::Id => json!(if field.name == "traceId" { "5b".repeat(16) } else { "0a".repeat(8) }),
        Kind::Message(inner) => object(data, path, inner, fields),
    };
    if field.is_repeated { json!([one]) } else { one }
}

/// An object with all fields; adds their places.
fn object(
    data: &str,
    path: &mut Path,
    message: &'static Message,
    fields: &mut Vec<(Path, &'static Field)>,
) -> Value {
    let mut object = Map::new();
    for field in message.fields {
        if !is_chosen(data, path, field) {
            continue;
        }
        path.push(field.name);
        fields.push((path.clone(), field));
        let value = value(data, path, field, fields);
        path.pop();
        object.insert(field.name.to_owned(), value);
    }
    object.into()
}

/// What a field means that is not there.
fn default_of(field: &Field) -> Value {
    match field.kind {
        _ if field.is_repeated => json!([]),
        Kind::Bool => json!(false),
        Kind::Text | Kind::Bytes | Kind::Id => json!(""),
        Kind::Message(_) => json!({}),
        _ => json!(0),
    }
}

/// The member at a place.
fn at<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Map<String, Value> {
    let mut value = value;
    for name in path {
        value = &mut value[*name];
        if value.is_array() {
            value = &mut value[0];
        }
    }
    value.as_object_mut().unwrap()
}

/// All that a resource gives: properties of its process, and rows of all view sets.
fn given(signal: Signal, resource: &Value) -> String {
    let body = json!({signal.request().fields[0].name: [resource]}).to_string();
    let parts = parts(signal, Form::Json, &Bytes::from(body)).unwrap_or_else(|e| panic!("{e}: {resource}"));
    let mut text = String::new();
    for part in &parts.parts {
        text += &format!("{:?}", block_of(signal, part).process.properties);
        for batch in rows(signal, part, true) {
            for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
                // which follow from the bytes of the request
                if !["process_id", "stream_id", "block_id"].contains(&field.name().as_str()) {
                    text += &format!("{} {column:?}\n", field.name());
                }
            }
        }
    }
    text
}

/// Whether the protocol tells a field's default from a field that is not there. `None` if it does and rows need not:
/// a text column has neither for a value that is missing.
fn has_presence(path: &[&str], field: &Field) -> Option<bool> {
    let of_histogram = path.iter().any(|name| *name == "histogram" || *name == "exponentialHistogram");
    match field.name {
        "sum" | "min" | "max" => Some(of_histogram),
        // one of several kinds of values
        "asInt" | "asDouble" => Some(true),
        "stringValue" => None,
        _ => Some(false),
    }
}

/// Fields that are in no row; `docs/otel.md` lists them. `…` stands for whatever is before.
const WITHOUT_COLUMN: &[&str] = &[
    "resource.droppedAttributesCount",
    "resource.entityRefs",
    "scope.droppedAttributesCount",
    "logRecords.flags",
    "logRecords.droppedAttributesCount",
    // the time comes first
    "logRecords.observedTimeUnixNano",
    "links.flags",
    "metrics.metadata",
];

fn is_without_column(path: &[&str]) -> bool {
    let path = path.join(".");
    // of the resource alone; that of a scope is a property
    matches!(path.as_str(), "schemaUrl")
        || WITHOUT_COLUMN.iter().any(|known| path.ends_with(known) || path.contains(&format!("{known}.")))
}

#[test]
fn every_field_there_or_not_means_what_the_protocol_says() {
    let (mut tested, mut wrong) = (0, Vec::new());
    for (signal, data) in
        [(Signal::Traces, ""), (Signal::Logs, "")].into_iter().chain(DATA.map(|data| (Signal::Metrics, data)))
    {
        let mut fields = Vec::new();
        let full = object(data, &mut Vec::new(), signal.of_resource(), &mut fields);
        let all = given(signal, &full);
        for (path, field) in fields {
            let (name, parents) = path.split_last().unwrap();
            let with = |value: Option<Value>| {
                let mut resource = full.clone();
                let parent = at(&mut resource, parents);
                match value {
                    Some(value) => drop(parent.insert((*name).to_owned(), value)),
                    None => drop(parent.remove(*name)),
                }
                given(signal, &resource)
            };
            let what = format!("{} {data}: {}", signal.name(), path.join("."));
            let absent = with(None);
            let default = with(Some(default_of(field)));
            let is_right = [
                ("null", with(Some(Value::Null)) == absent),
                (
                    "its default",
                    has_presence(&path, field).is_none_or(|presence| (default != absent) == presence),
                ),
                ("whether it is in a row", (absent == all) == is_without_column(&path)),
            ];
            wrong.extend(is_right.iter().filter(|(_, is)| !is).map(|(of, _)| format!("{what}: {of}")));
            tested += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(tested > 250, "{tested}");
}
