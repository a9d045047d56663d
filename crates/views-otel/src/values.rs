//! Attribute values: as JSONB, and as text.

use crate::proto::{Fields, MAX_NESTING, ProtoError, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_model::jsonb::{Entry, Object};
use std::fmt::Write;

/// An attribute's value, or a log's body (`AnyValue`). What is nested is still bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AnyValue<'a> {
    Absent,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// An `ArrayValue`.
    Array(&'a [u8]),
    /// A `KeyValueList`.
    List(&'a [u8]),
    Bytes(&'a [u8]),
}

/// UTF-8, or an error that names the field.
pub(crate) fn utf8(number: u32, bytes: &[u8]) -> Result<&str, ProtoError> {
    std::str::from_utf8(bytes).map_err(|_| ProtoError::NotUtf8(number))
}

impl<'a> AnyValue<'a> {
    /// Reads an `AnyValue`. Of several values the last one counts.
    #[inline]
    pub(crate) fn read(message: &'a [u8]) -> Self {
        let mut value = Self::Absent;
        for field in sound(message) {
            value = match field {
                (1, v) => Self::Text(text_of(v)),
                (2, v) => Self::Bool(v.number() != 0),
                (3, v) => Self::Int(v.number() as i64),
                (4, v) => Self::Double(f64::from_bits(v.number())),
                (5, v) => Self::Array(v.bytes()),
                (6, v) => Self::List(v.bytes()),
                (7, v) => Self::Bytes(v.bytes()),
                _ => value,
            };
        }
        value
    }

    /// Appends it as JSONB. Bytes are base64.
    #[inline]
    pub(crate) fn to_jsonb(self, out: &mut Vec<u8>) -> Entry {
        match self {
            Self::Absent => Entry::null(),
            Self::Text(t) => Entry::text(out, t),
            Self::Bool(b) => Entry::boolean(b),
            Self::Int(i) => Entry::integer(out, i),
            Self::Double(d) => Entry::float(out, d),
            Self::Bytes(bytes) => Entry::text(out, &STANDARD.encode(bytes)),
            Self::Array(message) => array_of(message, MAX_NESTING - 1, out),
            Self::List(message) => object(message, MAX_NESTING - 1, out),
        }
    }

    fn nested_jsonb(self, depth: usize, out: &mut Vec<u8>) -> Entry {
        match (self, depth.checked_sub(1)) {
            (Self::Array(_) | Self::List(_), None) => Entry::null(),
            (Self::Array(message), Some(depth)) => array_of(message, depth, out),
            (Self::List(message), Some(depth)) => object(message, depth, out),
            (value, _) => value.to_jsonb(out),
        }
    }

    /// Appends it as text: texts as they are, numbers and flags in decimal and as words, bytes in base64, arrays and
    /// lists as JSON.
    pub(crate) fn to_text(self, out: &mut String) {
        // writing to a string does not fail
        match self {
            Self::Absent => {}
            Self::Text(text) => out.push_str(text),
            Self::Bool(b) => drop(write!(out, "{b}")),
            Self::Int(i) => drop(write!(out, "{i}")),
            Self::Double(d) => drop(write!(out, "{d}")),
            Self::Bytes(bytes) => STANDARD.encode_string(bytes, out),
            Self::Array(_) | Self::List(_) => {
                let mut bytes = Vec::new();
                self.to_jsonb(&mut bytes);
                out.push_str(
                    &belvedere_model::jsonb::Jsonb::new(&bytes)
                        .map(|value| value.to_string())
                        .unwrap_or_default(),
                );
            }
        }
    }
}

fn array_of(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Entry {
    let values = || sound(message).filter(|(number, _)| *number == 1);
    Entry::array(out, values().count(), values(), |out, (_, value)| {
        AnyValue::read(value.bytes()).nested_jsonb(depth, out)
    })
}

fn object(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Entry {
    let mut object = Object::default();
    for (_, pair) in sound(message).filter(|(number, _)| *number == 1) {
        let (key, value) = key_value(pair.bytes());
        object.put(key, |out| value.nested_jsonb(depth, out));
    }
    object.finish(out)
}

/// The fields of a message that was checked when it came. Of one that was not, because somebody put it into the lake by
/// another way, those before the first that can't be read: rows must not depend on who looks how deep.
#[inline]
pub(crate) fn sound(message: &[u8]) -> impl Iterator<Item = (u32, Value<'_>)> {
    Fields::new(message).map_while(Result::ok)
}

/// A text of such a message; empty if it is none.
#[inline]
pub(crate) fn text_of(value: Value<'_>) -> &str {
    std::str::from_utf8(value.bytes()).unwrap_or_default()
}

/// Reads a `KeyValue`.
#[inline]
pub(crate) fn key_value(message: &[u8]) -> (&str, AnyValue<'_>) {
    let (mut key, mut value) = ("", AnyValue::Absent);
    for field in sound(message) {
        match field {
            (1, v) => key = text_of(v),
            (2, v) => value = AnyValue::read(v.bytes()),
            _ => {}
        }
    }
    (key, value)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}
