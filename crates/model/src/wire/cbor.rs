//! Small readers over `minicbor` that all envelopes share.

use super::{RESERVED_PREFIX, WireError};
use crate::time::parse_rfc3339;
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use std::borrow::Cow;
use uuid::Uuid;

/// Reads a map with text keys and calls `field` for each of the `expected` keys, which must occur exactly once. Other keys
/// are skipped.
pub(crate) fn read_map<'b, const N: usize>(
    d: &mut Decoder<'b>,
    record: &'static str,
    expected: [&'static str; N],
    mut field: impl FnMut(&str, &mut Decoder<'b>) -> Result<(), Error>,
) -> Result<(), WireError> {
    let malformed = |e: Error| WireError::Malformed { record, source: e.into() };
    skip_tags(d).map_err(malformed)?;
    let mut remaining = d.map().map_err(malformed)?;
    let mut seen = [false; N];
    loop {
        match &mut remaining {
            Some(0) => break,
            Some(n) => *n -= 1,
            None => {
                if d.datatype().map_err(malformed)? == Type::Break {
                    d.skip().map_err(malformed)?;
                    break;
                }
            }
        }
        let key = d.str().map_err(malformed)?;
        let Some(i) = expected.iter().position(|k| *k == key) else {
            d.skip().map_err(malformed)?;
            continue;
        };
        if std::mem::replace(&mut seen[i], true) {
            return Err(WireError::RepeatedKey { record, key: key.to_owned() });
        }
        skip_tags(d).map_err(malformed)?;
        field(key, d).map_err(|e| WireError::BadValue { record, key: key.to_owned(), source: e.into() })?;
    }
    match seen.iter().position(|s| !s) {
        Some(i) => Err(WireError::MissingKey { record, key: expected[i] }),
        None => Ok(()),
    }
}

/// Calls `item` for each element of an array of definite or indefinite length.
pub(crate) fn read_array<'b>(
    d: &mut Decoder<'b>,
    mut item: impl FnMut(&mut Decoder<'b>) -> Result<(), Error>,
) -> Result<(), Error> {
    skip_tags(d)?;
    let mut remaining = d.array()?;
    loop {
        match &mut remaining {
            Some(0) => return Ok(()),
            Some(n) => *n -= 1,
            None => {
                if d.datatype()? == Type::Break {
                    return d.skip();
                }
            }
        }
        item(d)?;
    }
}

/// Skips the tags of a value: none of them matters here.
pub(crate) fn skip_tags(d: &mut Decoder<'_>) -> Result<(), Error> {
    while d.datatype()? == Type::Tag {
        d.tag()?;
    }
    Ok(())
}

/// A text in one piece or in chunks. NUL characters, which databases refuse, become U+FFFD.
pub(crate) fn text<'b>(d: &mut Decoder<'b>) -> Result<Cow<'b, str>, Error> {
    skip_tags(d)?;
    let text = if d.datatype()? == Type::StringIndef {
        let mut whole = String::new();
        for part in d.str_iter()? {
            whole.push_str(part?);
        }
        Cow::Owned(whole)
    } else {
        Cow::Borrowed(d.str()?)
    };
    Ok(if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text })
}

pub(crate) fn string(d: &mut Decoder<'_>) -> Result<String, Error> {
    Ok(text(d)?.into_owned())
}

/// A UUID in any spelling.
pub(crate) fn uuid(d: &mut Decoder<'_>) -> Result<Uuid, Error> {
    let text = text(d)?;
    Uuid::try_parse(&text).map_err(|_| Error::message(format!("'{text}' is not a UUID")))
}

/// A UUID, or null or an empty text for none.
pub(crate) fn optional_uuid(d: &mut Decoder<'_>) -> Result<Option<Uuid>, Error> {
    if d.datatype()? == Type::Null {
        d.null()?;
        return Ok(None);
    }
    let text = text(d)?;
    if text.is_empty() {
        return Ok(None);
    }
    Uuid::try_parse(&text).map(Some).map_err(|_| Error::message(format!("'{text}' is not a UUID")))
}

/// An RFC 3339 text as nanoseconds since the Unix epoch.
pub(crate) fn time(d: &mut Decoder<'_>) -> Result<i64, Error> {
    parse_rfc3339(&text(d)?).map_err(|e| Error::message(e.to_string()))
}

/// A map of text to text. A key that occurs twice keeps its first position and its last value. Keys that are reserved for
/// the server are dropped.
pub(crate) fn properties(d: &mut Decoder<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut properties = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut remaining = d.map()?;
    loop {
        match &mut remaining {
            Some(0) => return Ok(properties),
            Some(n) => *n -= 1,
            None => {
                if d.datatype()? == Type::Break {
                    d.skip()?;
                    return Ok(properties);
                }
            }
        }
        let (key, value) = (string(d)?, string(d)?);
        if key.starts_with(RESERVED_PREFIX) {
            continue;
        }
        match places.get(&key) {
            Some(&i) => {
                let slot: &mut (String, String) = &mut properties[i];
                slot.1 = value;
            }
            None => {
                places.insert(key.clone(), properties.len());
                properties.push((key, value));
            }
        }
    }
}

/// A byte string in one piece or in chunks, or, as old clients send it, an array with one number per byte.
pub(crate) fn bytes<'b>(d: &mut Decoder<'b>) -> Result<Cow<'b, [u8]>, Error> {
    skip_tags(d)?;
    match d.datatype()? {
        Type::Bytes => Ok(Cow::Borrowed(d.bytes()?)),
        Type::BytesIndef => {
            let mut whole = Vec::new();
            for part in d.bytes_iter()? {
                whole.extend_from_slice(part?);
            }
            Ok(Cow::Owned(whole))
        }
        _ => {
            let mut whole = Vec::new();
            read_array(d, |d| {
                whole.push(d.u8()?);
                Ok(())
            })?;
            Ok(Cow::Owned(whole))
        }
    }
}

/// The error for a record that holds a writer which can't fail.
pub(crate) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Runs an encoder over a buffer. Writing to memory does not fail.
pub(crate) fn encode(write: impl FnOnce(&mut minicbor::Encoder<&mut Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut buffer = Vec::new();
    let result = write(&mut minicbor::Encoder::new(&mut buffer));
    debug_assert!(result.is_ok());
    buffer
}
