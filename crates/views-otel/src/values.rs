//! Attribute values: as JSONB, and as text.

use crate::proto::{Fields, ProtoError, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_core::jsonb::{Array, Entry, Object, boolean, float, integer, null, text};
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
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, ProtoError> {
        let mut value = Self::Absent;
        for field in Fields::new(message) {
            value = match field? {
                (1, Value::Bytes(text)) => Self::Text(utf8(1, text)?),
                (2, v) => Self::Bool(v.number() != 0),
                (3, v) => Self::Int(v.number() as i64),
                (4, v) => Self::Double(f64::from_bits(v.number())),
                (5, v) => Self::Array(v.bytes()),
                (6, v) => Self::List(v.bytes()),
                (7, v) => Self::Bytes(v.bytes()),
                _ => value,
            };
        }
        Ok(value)
    }

    /// Appends it as JSONB. Bytes are base64.
    pub(crate) fn to_jsonb(self, out: &mut Vec<u8>) -> Result<Entry, ProtoError> {
        Ok(match self {
            Self::Absent => null(),
            Self::Text(t) => text(out, t),
            Self::Bool(b) => boolean(b),
            Self::Int(i) => integer(out, i),
            Self::Double(d) => float(out, d),
            Self::Bytes(bytes) => text(out, &STANDARD.encode(bytes)),
            Self::Array(message) => {
                let mut array = Array::default();
                for value in values_of(message) {
                    let value = Self::read(value?)?;
                    let mut outcome = Ok(());
                    array.push(|out| or_null(value.to_jsonb(out), &mut outcome));
                    outcome?;
                }
                array.finish(out)
            }
            Self::List(message) => {
                let mut object = Object::default();
                for pair in values_of(message) {
                    let (key, value) = key_value(pair?)?;
                    put(&mut object, key, |out| value.to_jsonb(out))?;
                }
                object.finish(out)
            }
        })
    }

    /// Appends it as text: texts as they are, numbers and flags in decimal and as words, bytes in base64, arrays and
    /// lists as JSON.
    pub(crate) fn to_text(self, out: &mut String) -> Result<(), ProtoError> {
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
                self.to_jsonb(&mut bytes)?;
                out.push_str(&belvedere_core::properties::jsonb_to_json(&bytes).unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// Adds a member whose writing may fail.
pub(crate) fn put<'a>(
    object: &mut Object<'a>,
    key: &'a str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<Entry, ProtoError>,
) -> Result<(), ProtoError> {
    let mut outcome = Ok(());
    object.put(key, |out| or_null(write(out), &mut outcome));
    outcome
}

fn or_null(written: Result<Entry, ProtoError>, outcome: &mut Result<(), ProtoError>) -> Entry {
    written.unwrap_or_else(|e| {
        *outcome = Err(e);
        null()
    })
}

/// The messages in field 1 of an `ArrayValue` or a `KeyValueList`.
fn values_of(message: &[u8]) -> impl Iterator<Item = Result<&[u8], ProtoError>> {
    Fields::new(message).filter_map(|field| match field {
        Ok((1, value)) => Some(Ok(value.bytes())),
        Ok(_) => None,
        Err(e) => Some(Err(e)),
    })
}

/// Reads a `KeyValue`.
#[inline]
pub(crate) fn key_value(message: &[u8]) -> Result<(&str, AnyValue<'_>), ProtoError> {
    let (mut key, mut value) = ("", AnyValue::Absent);
    for field in Fields::new(message) {
        match field? {
            (1, v) => key = utf8(1, v.bytes())?,
            (2, v) => value = AnyValue::read(v.bytes())?,
            _ => {}
        }
    }
    Ok((key, value))
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
