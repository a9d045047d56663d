//! Protobuf's wire format: <https://protobuf.dev/programming-guides/encoding/>.

use thiserror::Error;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ProtoError {
    #[error("the data ends in the middle of a field")]
    Truncated,
    #[error("a number of more than 64 bits")]
    Overlong,
    #[error("a field without a number or of an unknown kind")]
    BadTag,
    #[error("field {0} has the wrong wire type")]
    WrongKind(u32),
    #[error("text that is not UTF-8 in field {0}")]
    NotUtf8(u32),
}

/// How a field is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// A text, bytes, a message or packed numbers; empty if it is none.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// A number of whatever size; 0 if it is none.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Varint(n) | Self::Fixed64(n) => n,
            Self::Fixed32(n) => n.into(),
            Self::Bytes(_) => 0,
        }
    }
}

/// The fields of a message, in the order in which they lie there.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next number, as in a packed field.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, ProtoError> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, ProtoError> {
        let mut value = 0_u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            // the tenth byte has one bit
            if i == 9 && *byte > 1 {
                return Err(ProtoError::Overlong);
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { ProtoError::Truncated } else { ProtoError::Overlong })
    }

    #[inline(always)]
    fn read(&mut self) -> Result<(u32, Value<'a>), ProtoError> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| ProtoError::BadTag)?;
        if number == 0 || number > 0x1fff_ffff {
            return Err(ProtoError::BadTag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or(ProtoError::Truncated)?;
                self.rest = rest;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| ProtoError::Truncated)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ProtoError::Truncated)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or(ProtoError::Truncated)?;
                self.rest = rest;
                Value::Fixed32(u32::from_le_bytes(*bytes))
            }
            _ => return Err(ProtoError::BadTag),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), ProtoError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            // nothing can be told of what follows
            self.rest = &[];
        }
        Some(field)
    }
}

/// Appends a number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends what stands before a field.
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number) << 3 | wire_type as u64);
}

/// Appends a field of bytes: a text, a message, packed numbers.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, WireType::Bytes);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_at_most_64_bits() {
        let mut largest = vec![0x08];
        largest.extend([0xff; 9]);
        for (last, expected) in [
            (0x01, Ok((1, Value::Varint(u64::MAX)))),
            (0x02, Err(ProtoError::Overlong)),
            (0x80, Err(ProtoError::Overlong)),
        ] {
            assert_eq!(Fields::new(&[&largest[..], &[last]].concat()).next(), Some(expected));
        }
        assert_eq!(Fields::new(&largest).next(), Some(Err(ProtoError::Truncated)));
    }

    #[test]
    fn groups_and_field_zero_are_refused() {
        for tag in [0x0b, 0x0c, 0x0e, 0x0f, 0x00, 0x02] {
            assert_eq!(Fields::new(&[tag, 0]).next(), Some(Err(ProtoError::BadTag)));
        }
    }

    proptest! {
        #[test]
        fn fields_come_back(fields in prop::collection::vec((1u32..0x1fff_ffff, any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)), 0..9)) {
            let mut bytes = Vec::new();
            for (number, value, content) in &fields {
                put_tag(&mut bytes, *number, WireType::Varint);
                put_varint(&mut bytes, *value);
                put_bytes(&mut bytes, *number, content);
            }
            let read: Vec<_> = Fields::new(&bytes).collect::<Result<_, _>>().unwrap();
            let expected: Vec<_> = fields
                .iter()
                .flat_map(|(number, value, content)| [(*number, Value::Varint(*value)), (*number, Value::Bytes(content))])
                .collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(Fields::new(&bytes).count() <= bytes.len());
        }
    }
}
