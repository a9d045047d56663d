//! OTLP in JSON becomes OTLP in protobuf.
//!
//! The rules are those of protobuf's JSON mapping with OTLP's exceptions (ids are hexadecimal), read generously:
//! names as in the definition or in lower camel case, numbers as numbers or texts, enumerations as numbers or names,
//! `null` as if it was not there.

use crate::proto::{Field, Kind, Message, WireType, put_bytes, put_tag, put_varint};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The resources of a request, as they were sent: the elements of its one field.
pub(crate) fn resources<'a>(
    request: &'static Message,
    body: &'a str,
) -> Result<Vec<&'a RawValue>, serde_json::Error> {
    struct Resources(&'static Message);

    impl<'de> Visitor<'de> for Resources {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object with {}", self.0.fields[0].name)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                match find(self.0, &key) {
                    Some(_) => {
                        found.extend(map.next_value::<Option<Vec<&'de RawValue>>>()?.unwrap_or_default())
                    }
                    None => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(found)
        }
    }

    let mut json = serde_json::Deserializer::from_str(body);
    let found = serde::Deserializer::deserialize_map(&mut json, Resources(request))?;
    json.end()?;
    Ok(found)
}

/// The message that a JSON object is.
pub(crate) fn to_message(message: &'static Message, json: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(json.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // the deserializer says where too much is nested in one another
    MessageSeed { message, out: &mut bytes }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(bytes)
}

fn find(message: &'static Message, name: &str) -> Option<&'static Field> {
    message.fields.iter().find(|field| field.name == name || is_snake_case_of(field.name, name))
}

/// Whether `snake` is the definition's spelling of the lower camel case `name`.
fn is_snake_case_of(name: &str, snake: &str) -> bool {
    let mut rest = snake.bytes();
    name.bytes().all(|byte| {
        let is_word = !byte.is_ascii_uppercase() || rest.next() == Some(b'_');
        is_word && rest.next() == Some(byte.to_ascii_lowercase())
    }) && rest.next().is_none()
}

/// Reads an object, and appends the fields of the message that it is.
struct MessageSeed<'o> {
    message: &'static Message,
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
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match find(self.message, &key) {
                Some(field) => map.next_value_seed(FieldSeed { field, is_element: false, out: self.out })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the value of a field, one or several, and appends it.
struct FieldSeed<'o> {
    field: &'static Field,
    /// Whether it is one of several already.
    is_element: bool,
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
                return Err(E::custom(format!("{} is not a number", self.field.name)));
            }
        }
        Ok(())
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
            _ => return Err(E::custom(format!("{} is no flag", self.field.name))),
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
            Kind::Id => {
                let bytes = from_hex(text)
                    .ok_or_else(|| E::custom(format!("{name} '{text}' is not in hexadecimal digits")))?;
                put_bytes(self.out, self.field.number, &bytes);
            }
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
                return Err(E::custom(format!("{name} can't be a string")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let field = self.field;
        if !field.is_repeated || self.is_element {
            return Err(A::Error::custom(format!("{} can't be an array", field.name)));
        }
        while values.next_element_seed(FieldSeed { field, is_element: true, out: &mut *self.out })?.is_some()
        {
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::custom(format!("{} can't be an object", self.field.name)));
        };
        let mut bytes = Vec::new();
        MessageSeed { message, out: &mut bytes }.visit_map(map)?;
        put_bytes(self.out, self.field.number, &bytes);
        Ok(())
    }
}

/// Hexadecimal digits in either case.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks() else { return None };
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
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
    use crate::proto::{Fields, RESOURCE_LOGS, Value, check};
    use crate::signal::Signal;

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
        assert!(error(&record(r#""traceId":"abc""#)).contains("traceId 'abc' is not in hexadecimal"));
        assert!(error(&record(r#""timeUnixNano":-1"#)).contains("-1 is out of range for timeUnixNano"));
        assert!(error(&record(r#""flags":1.5"#)).contains("1.5 is no whole number for flags"));
        assert!(error(&record(r#""severityNumber":"LOUD""#)).contains("severityNumber 'LOUD' is not known"));
        assert!(error(r#"{"scopeLogs":[[]]}"#).contains("scopeLogs can't be an array"));
        let nested = |depth: usize| {
            let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
            to_message(&RESOURCE_LOGS, &record(&format!(r#""body":{open}{{"intValue":1}}{close}"#)))
        };
        assert!(nested(20).is_ok());
        assert!(nested(5000).unwrap_err().to_string().contains("recursion limit"));
    }

    #[test]
    fn resources_are_the_very_bytes_that_were_sent() {
        let body = r#" { "other": [1, {}], "resourceSpans": [ {"a": 1.50} , {} ], "resource_spans": null } "#;
        let found = resources(Signal::Traces.request(), body).unwrap();
        assert_eq!(found.iter().map(|r| r.get()).collect::<Vec<_>>(), [r#"{"a": 1.50}"#, "{}"]);
        assert!(resources(Signal::Traces.request(), "{}").unwrap().is_empty());
        for wrong in ["", "[]", r#"{"resourceSpans":{}}"#, "{} {}"] {
            assert!(resources(Signal::Traces.request(), wrong).is_err(), "{wrong}");
        }
    }
}
