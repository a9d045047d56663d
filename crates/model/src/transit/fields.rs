//! Typed fields of event types: resolved once for each block, then one load for each event.

use super::DecodeError;
use super::block::Event;
use super::layout::{EventType, Field, Kind};
use super::text::{Text, read_blob};

impl EventType {
    fn field(&self, member: &'static str, kind: &'static str) -> Result<&Field, DecodeError> {
        if let Some(problem) = &self.problem {
            return Err(DecodeError::corrupt(problem.clone()));
        }
        self.fields.iter().find(|f| f.name == member).ok_or_else(|| self.mismatch(member, kind))
    }

    fn mismatch(&self, member: &'static str, kind: &'static str) -> DecodeError {
        DecodeError::Member { type_name: self.name.clone(), member, kind }
    }

    /// A 64-bit integer; an unsigned one is reinterpreted.
    pub fn i64(&self, member: &'static str) -> Result<I64Field, DecodeError> {
        match self.field(member, "64-bit integer")? {
            Field { offset, kind: Kind::I64 | Kind::U64, .. } => Ok(I64Field { offset: *offset }),
            _ => Err(self.mismatch(member, "64-bit integer")),
        }
    }

    /// An unsigned integer of at most 32 bits.
    pub fn u32(&self, member: &'static str) -> Result<U32Field, DecodeError> {
        match self.field(member, "32-bit integer")? {
            Field { offset, kind: Kind::U32, .. } => Ok(U32Field { offset: *offset, is_byte: false }),
            Field { offset, kind: Kind::U8, .. } => Ok(U32Field { offset: *offset, is_byte: true }),
            _ => Err(self.mismatch(member, "32-bit integer")),
        }
    }

    /// A double.
    pub fn f64(&self, member: &'static str) -> Result<F64Field, DecodeError> {
        match self.field(member, "64-bit float")? {
            Field { offset, kind: Kind::F64, .. } => Ok(F64Field { offset: *offset }),
            _ => Err(self.mismatch(member, "64-bit float")),
        }
    }

    /// Something in the dependencies: a text, a property set, a call site.
    pub fn reference(&self, member: &'static str) -> Result<ReferenceField, DecodeError> {
        match self.field(member, "reference")? {
            Field { offset, kind: Kind::Reference, .. } => Ok(ReferenceField { offset: *offset }),
            _ => Err(self.mismatch(member, "reference")),
        }
    }

    /// A text inside of the event.
    pub fn text(&self, member: &'static str) -> Result<TextField, DecodeError> {
        match self.field(member, "inline text")? {
            Field { offset, kind: Kind::Text { skip }, .. } => {
                Ok(TextField { offset: *offset, skip: *skip, is_bare: false })
            }
            Field { offset, kind: Kind::BareText, .. } => {
                Ok(TextField { offset: *offset, skip: 0, is_bare: true })
            }
            _ => Err(self.mismatch(member, "inline text")),
        }
    }

    /// A blob inside of the event.
    pub fn bytes(&self, member: &'static str) -> Result<BytesField, DecodeError> {
        match self.field(member, "blob")? {
            Field { offset, kind: Kind::Blob { skip }, .. } => {
                Ok(BytesField { offset: *offset, skip: *skip })
            }
            _ => Err(self.mismatch(member, "blob")),
        }
    }
}

#[cold]
pub(super) fn short() -> DecodeError {
    DecodeError::corrupt("a record is shorter than its members")
}

#[inline]
pub(super) fn load<const N: usize>(bytes: &[u8], offset: u32) -> Result<[u8; N], DecodeError> {
    match bytes.get(offset as usize..).and_then(|b| b.first_chunk()) {
        Some(chunk) => Ok(*chunk),
        None => Err(short()),
    }
}

/// Reads a 64-bit integer out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct I64Field {
    pub(super) offset: u32,
}

impl I64Field {
    /// The value in that event.
    #[inline]
    pub fn get(self, event: &Event<'_>) -> Result<i64, DecodeError> {
        load(event.bytes, self.offset).map(i64::from_le_bytes)
    }
}

/// Reads an unsigned integer of 8 or 32 bits out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct U32Field {
    pub(super) offset: u32,
    pub(super) is_byte: bool,
}

impl U32Field {
    /// The value in that event.
    #[inline]
    pub fn get(self, event: &Event<'_>) -> Result<u32, DecodeError> {
        self.load(event.bytes)
    }

    #[inline]
    pub(super) fn load(self, bytes: &[u8]) -> Result<u32, DecodeError> {
        if self.is_byte {
            load::<1>(bytes, self.offset).map(|[b]| b.into())
        } else {
            load(bytes, self.offset).map(u32::from_le_bytes)
        }
    }
}

/// Reads a double out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct F64Field {
    pub(super) offset: u32,
}

impl F64Field {
    /// The value in that event.
    #[inline]
    pub fn get(self, event: &Event<'_>) -> Result<f64, DecodeError> {
        load(event.bytes, self.offset).map(f64::from_le_bytes)
    }
}

/// Reads the id of a dependency out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceField {
    pub(super) offset: u32,
}

impl ReferenceField {
    /// The id in that event, to be looked up in [`super::Dependencies`].
    #[inline]
    pub fn get(self, event: &Event<'_>) -> Result<u64, DecodeError> {
        self.load(event.bytes)
    }

    #[inline]
    pub(super) fn load(self, bytes: &[u8]) -> Result<u64, DecodeError> {
        load(bytes, self.offset).map(u64::from_le_bytes)
    }
}

/// Reads a text out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct TextField {
    pub(super) offset: u32,
    pub(super) skip: u8,
    pub(super) is_bare: bool,
}

impl TextField {
    /// The text in that event.
    #[inline]
    pub fn get<'a>(self, event: &Event<'a>) -> Result<Text<'a>, DecodeError> {
        let mut bytes = event.bytes.get(self.offset as usize..).ok_or_else(short)?;
        if self.is_bare {
            return Text::read_bare(bytes);
        }
        for _ in 0..self.skip {
            bytes = &bytes[Text::read_coded(bytes)?.1..];
        }
        Text::read_coded(bytes).map(|(text, _)| text)
    }
}

/// Reads a blob out of events of one type.
#[derive(Debug, Clone, Copy)]
pub struct BytesField {
    pub(super) offset: u32,
    pub(super) skip: u8,
}

impl BytesField {
    /// The blob in that event.
    #[inline]
    pub fn get<'a>(self, event: &Event<'a>) -> Result<&'a [u8], DecodeError> {
        let mut bytes = event.bytes.get(self.offset as usize..).ok_or_else(short)?;
        for _ in 0..self.skip {
            bytes = &bytes[Text::read_coded(bytes)?.1..];
        }
        read_blob(bytes)
    }
}
