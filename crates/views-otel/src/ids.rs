//! Ids of traces and spans, in the shapes in which senders write them.
//!
//! An id of nothing but zeros means "none" wherever an id may stand. An id of another shape is taken where there is only
//! one that it can mean: hexadecimal digits where bytes should be, and trace ids of 64 bits, which Zipkin and Jaeger
//! have, with zeros in front.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A trace id, unless the bytes are none.
#[inline]
pub(crate) fn trace_id(bytes: &[u8]) -> Option<[u8; 16]> {
    let id = match bytes.len() {
        16 => *bytes.first_chunk()?,
        8 => (u128::from(u64::from_be_bytes(*bytes.first_chunk()?))).to_be_bytes(),
        32 => *from_hex(std::str::from_utf8(bytes).ok()?)?.first_chunk()?,
        _ => return None,
    };
    (id != [0; 16]).then_some(id)
}

/// A span id, unless the bytes are none.
#[inline]
pub(crate) fn span_id(bytes: &[u8]) -> Option<[u8; 8]> {
    let id = match bytes.len() {
        8 => *bytes.first_chunk()?,
        16 => *from_hex(std::str::from_utf8(bytes).ok()?)?.first_chunk()?,
        _ => return None,
    };
    (id != [0; 8]).then_some(id)
}

/// Whether bytes where an id may stand are neither an id nor say that there is none.
pub(crate) fn is_strange(bytes: &[u8], is_known: bool) -> bool {
    !is_known && bytes.iter().any(|byte| *byte != 0)
}

/// The bytes of an id in JSON: hexadecimal digits, also grouped as in a UUID, or base64 of as many bytes as that id has,
/// which is what protobuf's own mapping writes. Another text is kept as one that is no id.
pub(crate) fn from_json(name: &str, text: &str) -> Vec<u8> {
    let length = if name == "traceId" { 16 } else { 8 };
    let digits = match text.len() {
        36 => text.replace('-', ""),
        _ => text.to_owned(),
    };
    if let Some(bytes) = from_hex(&digits) {
        return bytes;
    }
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == length => bytes,
        // a question mark is in no id, and no id has that length
        _ => {
            let mut bytes = format!("?{text}").into_bytes();
            bytes.truncate(40);
            while [8, 16, 32].contains(&bytes.len()) {
                bytes.push(b'?');
            }
            bytes
        }
    }
}

/// Hexadecimal digits in either case.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks() else { return None };
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_no_id_and_other_shapes_are_taken_where_they_mean_one_thing() {
        let trace = [0x5b; 16];
        for shape in [&trace[..], "5b".repeat(16).as_bytes(), "5B".repeat(16).as_bytes()] {
            assert_eq!(trace_id(shape), Some(trace));
        }
        assert_eq!(trace_id(&[0x5b; 8]).unwrap(), [[0; 8], [0x5b; 8]].concat()[..]);
        assert_eq!(span_id(&[0x5b; 8]), Some([0x5b; 8]));
        assert_eq!(span_id("5b".repeat(8).as_bytes()), Some([0x5b; 8]));
        for none in [&[][..], &[0; 8], &[0; 16], &[1; 3], &[1; 40], "00".repeat(16).as_bytes()] {
            assert_eq!(trace_id(none), None, "{none:?}");
            assert_eq!(span_id(none), None, "{none:?}");
        }
        assert!(is_strange(&[1; 3], false) && !is_strange(&[0; 3], false) && !is_strange(&[1; 8], true));
    }

    #[test]
    fn ids_in_json_are_digits_uuids_or_the_base64_of_protobuf() {
        for text in
            ["5b".repeat(16).as_str(), "5b5b5b5b-5b5b-5b5b-5B5B-5b5b5b5b5b5b", &STANDARD.encode([0x5b; 16])]
        {
            assert_eq!(trace_id(&from_json("traceId", text)), Some([0x5b; 16]), "{text}");
        }
        assert_eq!(span_id(&from_json("spanId", &STANDARD.encode([0x5b; 8]))), Some([0x5b; 8]));
        for text in ["abc", "seven77", "not-a-trace-id!", "not-a-trace-id!!", &"x".repeat(500)] {
            for name in ["traceId", "spanId"] {
                let bytes = from_json(name, text);
                assert_eq!((trace_id(&bytes), span_id(&bytes)), (None, None), "{text}");
                assert!(is_strange(&bytes, false), "{text}");
            }
        }
        assert_eq!(from_json("traceId", ""), b"");
    }
}
