//! OTLP in JSON becomes OTLP in protobuf.
//!
//! The rules are those of protobuf's JSON mapping with OTLP's exceptions (ids are hexadecimal), read generously:
//! names as in the definition or in lower camel case, numbers as numbers or texts, enumerations as numbers or names,
//! `null` as if it was not there.
//!
//! Members that OTLP does not have are passed over, so that newer clients are understood. But a body of another shape is
//! refused: nothing in it would be found, and its sender would be told that all is well. [`shape`] knows these.

mod shape;

use crate::ids;
use crate::proto::{
    ANY_VALUE, Field, Kind, MAX_NESTING, Message, WireType, is_nesting, put_bytes, put_tag, put_varint,
};
use crate::signal::Signal;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use shape::Members;
use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;
use thiserror::Error as ThisError;

/// Why a resource in JSON can't be read, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message} (at {path})")]
pub(crate) struct JsonError {
    message: String,
    path: String,
}

impl JsonError {
    /// The same, with the place of the resource in its request before it.
    pub(crate) fn within(self, signal: Signal, index: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}[{index}]{dot}{}", signal.request().fields[0].name, self.path);
        Self { path, ..self }
    }
}

/// The resources of a request, as they were sent: the elements of its one field.
pub(crate) fn resources(signal: Signal, body: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    struct Resources(Signal);

    impl<'de> Visitor<'de> for Resources {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object with {}", self.0.request().fields[0].name)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut found, mut members) = (Vec::new(), Members::default());
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                match members.find(self.0.request(), key).map_err(A::Error::custom)? {
                    Some(_) => {
                        found.extend(map.next_value::<Option<Vec<&'de RawValue>>>()?.unwrap_or_default())
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            members.check_request(self.0).map_err(A::Error::custom)?;
            Ok(found)
        }
    }

    let mut json = serde_json::Deserializer::from_str(body);
    let found = serde::Deserializer::deserialize_map(&mut json, Resources(signal))?;
    json.end()?;
    Ok(found)
}

/// The message that a JSON object is.
pub(crate) fn to_message(message: &'static Message, json: &str) -> Result<Vec<u8>, JsonError> {
    let mut bytes = Vec::with_capacity(json.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let mut place = Place::default();
    let seed = MessageSeed { message, place: &mut place, out: &mut bytes };
    let read = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match read {
        Ok(()) => Ok(bytes),
        Err(e) => Err(JsonError { message: without_line(&e), path: place.to_string() }),
    }
}

/// What went wrong, without the line: that is counted from where a resource begins.
fn without_line(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let end = format!(" at line {} column {}", error.line(), error.column());
    if text.ends_with(&end) {
        text.truncate(text.len() - end.len());
    }
    text
}

/// Arrays and lists in one another that one deserializer reads: it has a limit of its own, on objects and arrays.
const LEVELS_AT_ONCE: usize = 16;

/// Where in a resource we are: what is left of it after an error is where that was.
#[derive(Debug, Default)]
struct Place {
    path: Vec<(&'static Field, Option<usize>)>,
    /// How many arrays and lists we are in.
    levels: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (field, index)) in self.path.iter().enumerate() {
            if i > 0 {
                f.write_char('.')?;
            }
            f.write_str(field.name)?;
            if let Some(index) = index {
                write!(f, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// Reads an object, and appends the fields of the message that it is.
struct MessageSeed<'o> {
    message: &'static Message,
    place: &'o mut Place,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.message.fields.iter().map(|field| field.name).collect();
        write!(f, "an object with some of {}", names.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { message, place, out } = self;
        let mut members = Members::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let Some(field) = members.find(message, key).map_err(A::Error::custom)? else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            place.path.push((field, None));
            let is_deep = place.levels % LEVELS_AT_ONCE == LEVELS_AT_ONCE - 1;
            if is_deep && std::ptr::eq(message, &raw const ANY_VALUE) {
                let value = map.next_value::<&'de RawValue>()?;
                let mut fresh = serde_json::Deserializer::from_str(value.get());
                let seed = FieldSeed { field, is_element: false, place: &mut *place, out: &mut *out };
                seed.deserialize(&mut fresh).map_err(|e| A::Error::custom(without_line(&e)))?;
            } else {
                let seed = FieldSeed { field, is_element: false, place: &mut *place, out: &mut *out };
                map.next_value_seed(seed)?;
            }
            place.path.pop();
        }
        members.check(message).map_err(A::Error::custom)
    }
}

/// Reads the value of a field, one or several, and appends it.
struct FieldSeed<'o> {
    field: &'static Field,
    /// Whether it is one of several already.
    is_element: bool,
    place: &'o mut Place,
    out: &'o mut Vec<u8>,
}

impl FieldSeed<'_> {
    fn varint(self, value: u64) {
        put_tag(self.out, self.field.number, WireType::Varint);
        put_varint(self.out, value);
    }

    fn fixed64(self, value: u64) {
        put_tag(self.out, self.field.number, WireType::Fixed64);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A number without a fraction; `i128` holds them all.
    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        let out_of_range = || E::custom(format!("{value} is out of range for {}", self.field.name));
        match self.field.kind {
            Kind::Unsigned => self.varint(u64::try_from(value).map_err(|_| out_of_range())?),
            Kind::Signed => self.varint(i64::try_from(value).map_err(|_| out_of_range())? as u64),
            Kind::ZigZag => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                self.varint(u64::from(((value << 1) ^ (value >> 31)) as u32));
            }
            Kind::Enum(_) => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                self.varint(i64::from(value) as u64);
            }
            Kind::Fixed64 => self.fixed64(u64::try_from(value).map_err(|_| out_of_range())?),
            Kind::SignedFixed64 => self.fixed64(i64::try_from(value).map_err(|_| out_of_range())? as u64),
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| out_of_range())?;
                put_tag(self.out, self.field.number, WireType::Fixed32);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Double => self.fixed64((value as f64).to_bits()),
            Kind::Bool | Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_) => {
                return Err(E::custom(self.cannot_be("a number", "intValue", &value)));
            }
        }
        Ok(())
    }

    /// What to say of a value of another kind, and how it would be written if the field is an attribute's value.
    fn cannot_be(&self, what: &str, member: &str, value: &dyn fmt::Display) -> String {
        let mut text = format!("{} can't be {what}", self.field.name);
        if matches!(self.field.kind, Kind::Message(message) if std::ptr::eq(message, &raw const ANY_VALUE)) {
            let quote = if member == "boolValue" { "" } else { "\"" };
            // writing to a string does not fail
            let _ = write!(text, ": write {{\"{member}\": {quote}{value}{quote}}}");
        }
        text
    }
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = if self.field.is_repeated { "an array for " } else { "a value for " };
        write!(f, "{several}{}", self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.varint(value.into()),
            _ => return Err(E::custom(self.cannot_be("true or false", "boolValue", &value))),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.fixed64(value.to_bits()),
            // some clients write large numbers with an exponent
            _ if value.fract() == 0.0 && value.abs() < 1e20 => return self.integer(value as i128),
            _ => return Err(E::custom(format!("{value} is no whole number for {}", self.field.name))),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let name = self.field.name;
        match self.field.kind {
            Kind::Text => put_bytes(self.out, self.field.number, text.as_bytes()),
            Kind::Id => put_bytes(self.out, self.field.number, &ids::from_json(name, text)),
            Kind::Bytes => {
                let bytes = from_base64(text).ok_or_else(|| E::custom(format!("{name} is not base64")))?;
                put_bytes(self.out, self.field.number, &bytes);
            }
            Kind::Enum(names) => {
                let known = names.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
                match known.or_else(|| text.parse().ok()) {
                    Some(value) => return self.integer(value.into()),
                    None => return Err(E::custom(format!("{name} '{text}' is not known"))),
                }
            }
            Kind::Double => match text {
                "NaN" => self.fixed64(f64::NAN.to_bits()),
                "Infinity" => self.fixed64(f64::INFINITY.to_bits()),
                "-Infinity" => self.fixed64(f64::NEG_INFINITY.to_bits()),
                text => {
                    let value: f64 =
                        text.parse().map_err(|_| E::custom(format!("{name} '{text}' is no number")))?;
                    self.fixed64(value.to_bits());
                }
            },
            Kind::Unsigned
            | Kind::Signed
            | Kind::ZigZag
            | Kind::Fixed64
            | Kind::SignedFixed64
            | Kind::Fixed32 => {
                let value: i128 =
                    text.parse().map_err(|_| E::custom(format!("{name} '{text}' is no whole number")))?;
                return self.integer(value);
            }
            Kind::Bool | Kind::Message(_) => {
                let short = &text[..text.floor_char_boundary(40)];
                return Err(E::custom(self.cannot_be("a string", "stringValue", &short)));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let field = self.field;
        if !field.is_repeated || self.is_element {
            return Err(A::Error::custom(format!("{} can't be an array", field.name)));
        }
        for index in 0.. {
            if let Some((_, known)) = self.place.path.last_mut() {
                *known = Some(index);
            }
            let (place, out) = (&mut *self.place, &mut *self.out);
            if values.next_element_seed(FieldSeed { field, is_element: true, place, out })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::custom(format!("{} can't be an object", self.field.name)));
        };
        if self.field.is_repeated && !self.is_element {
            return Err(A::Error::custom(shape::not_an_array(self.field, message)));
        }
        let mut bytes = Vec::new();
        let level = usize::from(is_nesting(message));
        if self.place.levels + level > MAX_NESTING {
            // an empty one stands for it, which is as deep and is counted as such
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        } else {
            self.place.levels += level;
            MessageSeed { message, place: &mut *self.place, out: &mut bytes }.visit_map(map)?;
            self.place.levels -= level;
        }
        put_bytes(self.out, self.field.number, &bytes);
        Ok(())
    }
}

/// Base64 in either alphabet, with or without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const DECODER: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
    let text: Cow<'_, str> = match text.contains(['-', '_']) {
        true => Cow::Owned(text.replace('-', "+").replace('_', "/")),
        false => Cow::Borrowed(text),
    };
    DECODER.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Fields, RESOURCE_LOGS, RESOURCE_SPANS, Value, check};

    #[test]
    fn a_log_in_json_is_the_message_in_protobuf() {
        let json = r#"{"scope_logs":[{"unknown":[{"x":1}],"scope":null,"logRecords":[
            {"timeUnixNano":"5","severity_number":"SEVERITY_NUMBER_WARN","body":{"kvlistValue":{"values":[
                {"key":"n","value":{"intValue":"-1"}},{"key":"d","value":{"doubleValue":"NaN"}},
                {"key":"b","value":{"bytesValue":"_w"}},{"key":"e","value":{}}]}},
             "traceId":"0Aff","flags":1}]}]}"#;
        let bytes = to_message(&RESOURCE_LOGS, json).unwrap();
        check(&RESOURCE_LOGS, &bytes).unwrap();
        let inner = |bytes: &'_ [u8], number: u32| -> Vec<u8> {
            let field = Fields::new(bytes).map(Result::unwrap).find(|(n, _)| *n == number);
            field.unwrap_or_else(|| panic!("no field {number}")).1.bytes().to_vec()
        };
        let record = inner(&inner(&bytes, 2), 2);
        let fields: Vec<_> = Fields::new(&record).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1, Value::Fixed64(5)));
        assert_eq!(fields[1], (2, Value::Varint(13)));
        assert_eq!(fields[3], (9, Value::Bytes(&[0x0a, 0xff])));
        assert_eq!(fields[4], (8, Value::Fixed32(1)));
        let mut body = String::new();
        let value = inner(&record, 5);
        crate::values::AnyValue::read(&value).to_text(&mut body);
        assert_eq!(body, r#"{"b":"/w==","d":null,"e":null,"n":-1}"#);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_name() {
        let error = |json: &str| to_message(&RESOURCE_LOGS, json).unwrap_err().to_string();
        let record = |fields: &str| format!(r#"{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}"#);
        assert_eq!(
            error(&record(r#""timeUnixNano":-1"#)),
            "-1 is out of range for timeUnixNano (at scopeLogs[0].logRecords[0].timeUnixNano)"
        );
        assert!(error(&record(r#""flags":1.5"#)).contains("1.5 is no whole number for flags"));
        assert!(error(&record(r#""severityNumber":"LOUD""#)).contains("severityNumber 'LOUD' is not known"));
        assert!(error(r#"{"scopeLogs":[[]]}"#).contains("scopeLogs can't be an array"));
    }

    #[test]
    fn values_nested_deeper_than_the_limit_are_cut_there_and_counted_in_both_encodings_alike() {
        let levels = |open: &str, close: &str, depth: usize| {
            let record = format!(r#""body":{}{{"intValue":1}}{}"#, open.repeat(depth), close.repeat(depth));
            let json = format!(r#"{{"scopeLogs":[{{"logRecords":[{{{record}}}]}}]}}"#);
            check(&RESOURCE_LOGS, &to_message(&RESOURCE_LOGS, &json).unwrap()).unwrap().too_deep
        };
        for (open, close) in [
            (r#"{"arrayValue":{"values":["#, "]}}"),
            (r#"{"kvlistValue":{"values":[{"key":"a","value":"#, "}]}}"),
        ] {
            for (depth, too_deep) in [(1, 0), (20, 0), (MAX_NESTING, 0), (MAX_NESTING + 1, 1), (5000, 1)] {
                assert_eq!(levels(open, close, depth), too_deep, "{depth}");
            }
        }
        // in protobuf, where the bytes are those of the sender
        let mut value = Vec::new();
        for depth in 1..=MAX_NESTING + 1 {
            let mut array = Vec::new();
            put_bytes(&mut array, 1, &value);
            value.clear();
            put_bytes(&mut value, 5, &array);
            let too_deep = check(&ANY_VALUE, &value).unwrap().too_deep;
            assert_eq!(too_deep, u64::from(depth > MAX_NESTING), "{depth}");
        }
    }

    #[test]
    fn bodies_of_another_shape_are_refused_with_what_is_wrong_and_where() {
        let spans = |json: &str| {
            let found = resources(Signal::Traces, json).map_err(|e| e.to_string())?;
            let messages = found.iter().map(|resource| to_message(&RESOURCE_SPANS, resource.get()));
            messages.map(|message| message.map_err(|e| e.to_string())).collect::<Result<Vec<_>, _>>()
        };
        let span = |members: &str| {
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"x",{members}}}]}}]}}]}}"#)
        };
        let key = |attribute: &str| span(&format!(r#""attributes":[{{"key":"ok"}},{attribute}]"#));
        for (json, expected) in [
            (r#"{"resourceLogs":[{}]}"#.to_owned(), "send it to /v1/logs"),
            (r#"{"message":"hello","level":"info"}"#.to_owned(), "'message' is no member of OTLP here"),
            (r#"{"ResourceSpans":[]}"#.to_owned(), "'ResourceSpans' is spelled resourceSpans in OTLP"),
            (
                r#"{"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[]}]}]}"#.to_owned(),
                "'instrumentationLibrarySpans' is no member of OTLP here, and scopeSpans is missing",
            ),
            (
                r#"{"resourceSpans":[{"scopeSpans":[{"instrumentationLibrary":{},"spans":[]}]}]}"#.to_owned(),
                "OTLP calls 'instrumentationLibrary' scope since 2022 (at scopeSpans[0])",
            ),
            (span(r#""traceID":"5b""#), "'traceID' is spelled traceId in OTLP (at scopeSpans[0].spans[0])"),
            (
                span(r#""attributes":{"user":"ada"}"#),
                "attributes is an object; OTLP has an array of {\"key\": \"…\", \"value\": {\"stringValue\": \"…\"}} \
                 there (at scopeSpans[0].spans[0].attributes)",
            ),
            (
                key(r#"{"key":"a","value":"x"}"#),
                "value can't be a string: write {\"stringValue\": \"x\"} (at scopeSpans[0].spans[0].attributes[1].value)",
            ),
            (key(r#"{"key":"a","value":7}"#), "write {\"intValue\": \"7\"}"),
            (key(r#"{"key":"a","value":true}"#), "write {\"boolValue\": true}"),
            (key(r#"{"key":"a","value":{"string":"x"}}"#), "'string' is no member of OTLP here"),
            (key(r#"{"key":"a","val":{}}"#), "'val' is no member of OTLP here, and value is missing"),
            (span(r#""status":"OK""#), "status can't be a string"),
        ] {
            let error = spans(&json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
        for json in [
            "{}",
            r#"{"resourceSpans":[]}"#,
            r#"{"resourceSpans":[{}], "new":1}"#,
            r#"{"resourceSpans":[{"resource":{"attributes":[]}}]}"#,
            r#"{"resourceSpans":[{"scopeSpans":[],"instrumentationLibrarySpans":[]}]}"#,
            &span(r#""new":{"a":[1]},"status":{}"#),
        ] {
            assert!(spans(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn resources_are_the_very_bytes_that_were_sent() {
        let body = r#" { "other": [1, {}], "resourceSpans": [ {"a": 1.50} , {} ], "resource_spans": null } "#;
        let found = resources(Signal::Traces, body).unwrap();
        assert_eq!(found.iter().map(|r| r.get()).collect::<Vec<_>>(), [r#"{"a": 1.50}"#, "{}"]);
        assert!(resources(Signal::Traces, "{}").unwrap().is_empty());
        for wrong in ["", "[]", r#"{"resourceSpans":{}}"#, "{} {}"] {
            assert!(resources(Signal::Traces, wrong).is_err(), "{wrong}");
        }
    }
}
