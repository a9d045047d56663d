//! Inline texts and blobs.
//!
//! Coded text: codec (u8), bytes (u32, little-endian), text. Codec 0 is 'ANSI' and read as UTF-8, 1 is
//! UTF-16 little-endian, 2 is UTF-8; what is not valid becomes U+FFFD. Old clients send bare text instead:
//! all that is left of the record, which must be valid UTF-8.

use super::DecodeError;
use std::borrow::Cow;

/// A text as it lies in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes, in the encoding that `is_wide` tells.
    pub bytes: &'a [u8],
    /// Whether the bytes are UTF-16 little-endian rather than (nearly always valid) UTF-8.
    pub is_wide: bool,
}

impl<'a> Text<'a> {
    /// Reads a coded text at the start of `bytes`. Returns it and the number of bytes that it took.
    #[inline]
    pub(super) fn read_coded(bytes: &'a [u8]) -> Result<(Self, usize), DecodeError> {
        let cut = || DecodeError::corrupt("a text is longer than its record");
        let Some((&[codec, a, b, c, d], rest)) = bytes.split_first_chunk::<5>() else {
            return Err(cut());
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let text = rest.get(..length).ok_or_else(cut)?;
        let is_wide = match codec {
            0 | 2 => false,
            1 if length.is_multiple_of(2) => true,
            1 => return Err(DecodeError::corrupt("a UTF-16 text has an odd number of bytes")),
            _ => return Err(DecodeError::corrupt(format!("a text has the unknown codec {codec}"))),
        };
        Ok((Self { bytes: text, is_wide }, 5 + length))
    }

    /// Reads a bare text: all of `bytes`.
    #[inline]
    pub(super) fn read_bare(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(_) => Ok(Self { bytes, is_wide: false }),
            Err(_) => Err(DecodeError::corrupt("a bare text is not UTF-8")),
        }
    }

    /// The text, borrowed if its bytes are valid UTF-8.
    pub fn to_str(self) -> Cow<'a, str> {
        if !self.is_wide {
            return match simdutf8::basic::from_utf8(self.bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(self.bytes),
            };
        }
        let units = self.bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }
}

/// Reads a blob (length u32, then the bytes) at the start of `bytes`.
pub(super) fn read_blob(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let cut = || DecodeError::corrupt("a blob is longer than its record");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    rest.get(..u32::from_le_bytes(*length) as usize).ok_or_else(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(codec: u8, bytes: &[u8]) -> Vec<u8> {
        let mut record = vec![codec];
        record.extend((bytes.len() as u32).to_le_bytes());
        record.extend(bytes);
        record
    }

    #[test]
    fn each_codec_gives_its_text() {
        for (codec, bytes, text) in [
            (0, &b"Game"[..], "Game"),
            (0, b"caf\xe9", "caf\u{fffd}"),
            (1, &[0x68, 0, 0x69, 0, 0x22, 0x6f], "hi漢"),
            (1, &[0x00, 0xd8, 0x41, 0], "\u{fffd}A"),
            (2, "é".as_bytes(), "é"),
            (2, b"", ""),
        ] {
            let record = coded(codec, bytes);
            let (read, length) = Text::read_coded(&record).unwrap();
            assert_eq!((read.to_str().as_ref(), length), (text, record.len()));
        }
    }

    #[test]
    fn odd_utf16_unknown_codecs_and_long_lengths_are_errors() {
        assert!(Text::read_coded(&coded(1, b"abc")).is_err());
        assert!(Text::read_coded(&coded(3, b"abc")).is_err());
        assert!(Text::read_coded(&[2, 255, 255, 255, 255, b'a']).is_err());
        assert!(Text::read_coded(&[2, 1]).is_err());
        assert!(Text::read_bare(b"\xff").is_err());
        assert!(read_blob(&[9, 0, 0, 0, 1]).is_err());
    }
}
