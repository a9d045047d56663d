//! A stream's types, resolved once into fields at fixed offsets.
//!
//! Fixed-size types are the memory image of the producer's struct: members are found by name at their
//! announced offset. Variable-size types are serialized by hand in the client libraries; their layouts stand
//! in [`serialized_fields`] and are presented as if they had been announced, so that decoders ask for
//! members by name in both cases.

use super::DecodeError;
use super::block::Event;
use super::text::{Text, read_blob};
use crate::wire::{TypeRecord, decode_types};

/// All types of one stream.
#[derive(Debug, Clone)]
pub struct StreamLayout {
    pub(super) dependencies: Vec<EventType>,
    pub(super) objects: Vec<EventType>,
}

/// One type: an event type if it stands among the objects.
#[derive(Debug, Clone)]
pub struct EventType {
    pub(super) name: String,
    pub(super) index: u8,
    /// Bytes of an instance; `None` if each record says it.
    pub(super) size: Option<u32>,
    pub(super) fields: Vec<Field>,
    /// Why instances of the type can't be trusted.
    pub(super) problem: Option<String>,
    /// Instances stand for the dependency that `id` names.
    pub(super) is_reference: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) offset: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    U32,
    U64,
    I64,
    F64,
    Reference,
    /// Coded text behind `skip` other coded texts that start at the field's offset.
    Text {
        skip: u8,
    },
    /// Text without length: the rest of the record.
    BareText,
    /// Blob behind `skip` coded texts that start at the field's offset.
    Blob {
        skip: u8,
    },
    /// A nested instance of the type of that index: only shown, decoders have no reader for it.
    Nested {
        index: u32,
    },
}

impl StreamLayout {
    /// Resolves the CBOR type records of a stream. A type that makes no sense is an error only for blocks
    /// that use it.
    pub fn parse(dependencies: &[u8], objects: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self {
            dependencies: resolve(dependencies, "dependencies_metadata")?,
            objects: resolve(objects, "objects_metadata")?,
        })
    }

    /// The event type of that name, if the stream announced it.
    pub fn event(&self, name: &str) -> Option<&EventType> {
        self.objects.iter().find(|t| t.name == name)
    }

    /// All event types, by their index.
    pub fn events(&self) -> &[EventType] {
        &self.objects
    }
}

fn resolve(metadata: &[u8], name: &str) -> Result<Vec<EventType>, DecodeError> {
    let records =
        decode_types(metadata).map_err(|e| DecodeError::corrupt(format!("{name} of the stream: {e}")))?;
    // the index on the wire is one byte: what stands behind can't be named
    records
        .iter()
        .take(256)
        .enumerate()
        .map(|(i, record)| Ok(resolve_type(record, i as u8, &records)))
        .collect()
}

fn resolve_type(record: &TypeRecord, index: u8, all: &[TypeRecord]) -> EventType {
    let mut resolved = EventType {
        name: record.name.clone(),
        index,
        size: None,
        fields: Vec::new(),
        problem: None,
        is_reference: record.is_reference,
    };
    let outcome = if record.size == 0 {
        serialized_fields(&record.name, all)
    } else {
        match u32::try_from(record.size) {
            Ok(size) => {
                resolved.size = Some(size);
                fixed_fields(record, all)
            }
            Err(_) => {
                resolved.size = Some(u32::MAX);
                Err(format!("its size is {}", record.size))
            }
        }
    };
    match outcome {
        Ok(fields) => resolved.fields = fields,
        Err(problem) => resolved.problem = Some(format!("type {} is unusable: {problem}", record.name)),
    }
    resolved
}

fn fixed_fields(record: &TypeRecord, all: &[TypeRecord]) -> Result<Vec<Field>, String> {
    record
        .members
        .iter()
        .map(|m| {
            let inside = m.offset.checked_add(m.size).is_some_and(|end| end <= record.size);
            if !inside {
                return Err(format!("member '{}' is outside of it", m.name));
            }
            let (kind, shift) = if m.is_reference {
                if m.size < 8 {
                    return Err(format!("reference '{}' has {} bytes", m.name, m.size));
                }
                (Kind::Reference, 0)
            } else {
                kind_of(&m.type_name, m.size, all).map_err(|e| format!("member '{}' {e}", m.name))?
            };
            Ok(Field { name: m.name.clone(), offset: (m.offset + shift) as u32, kind })
        })
        .collect()
}

/// Kind of a member that is not marked as a reference, and how far behind its offset the value starts.
fn kind_of(type_name: &str, size: u64, all: &[TypeRecord]) -> Result<(Kind, u64), String> {
    let (kind, required) = match type_name {
        "u8" | "uint8" => (Kind::U8, 1),
        "u32" | "uint32" => (Kind::U32, 4),
        "u64" | "uint64" => (Kind::U64, 8),
        "i64" | "int64" => (Kind::I64, 8),
        "f64" => (Kind::F64, 8),
        _ => {
            let (index, nested) = all
                .iter()
                .enumerate()
                .find(|(_, t)| t.name == type_name)
                .ok_or_else(|| format!("is of the unknown type {type_name}"))?;
            if nested.size > size {
                return Err(format!("has {size} bytes, its type {type_name} has {}", nested.size));
            }
            if !nested.is_reference {
                return Ok((Kind::Nested { index: index as u32 }, 0));
            }
            return Ok((Kind::Reference, reference_offset(nested)?));
        }
    };
    if size == required { Ok((kind, 0)) } else { Err(format!("is a {type_name} of {size} bytes")) }
}

/// Where in an instance of a reference type the id stands.
fn reference_offset(record: &TypeRecord) -> Result<u64, String> {
    let id = record
        .members
        .iter()
        .find(|m| m.name == "id")
        .ok_or_else(|| format!("refers through {}, which has no member 'id'", record.name))?;
    match id.offset.checked_add(8) {
        Some(end) if end <= record.size => Ok(id.offset),
        _ => Err(format!("refers through {}, whose 'id' is outside of it", record.name)),
    }
}

/// The layouts of the types that client libraries serialize by hand. A type that is not among them has no
/// fields: its records are skipped by their length.
fn serialized_fields(name: &str, all: &[TypeRecord]) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut offset = 0;
    let mut add = |name: &str, kind: Kind, size: u32| {
        fields.push(Field { name: name.to_owned(), offset, kind });
        offset += size;
    };
    // an embedded instance of a reference type: its size, and where in it the id stands
    let embedded = |type_name: &str| -> Result<(u32, u32), String> {
        let record = all
            .iter()
            .find(|t| t.name == type_name)
            .ok_or_else(|| format!("{type_name}, which is part of it, was not announced"))?;
        let id = reference_offset(record)?;
        if record.size > 4096 {
            return Err(format!("{type_name}, which is part of it, has {} bytes", record.size));
        }
        Ok((record.size as u32, id as u32))
    };
    match name {
        "LogStringEvent" => {
            add("desc", Kind::Reference, 8);
            add("time", Kind::I64, 8);
            add("msg", Kind::BareText, 0);
        }
        "LogStringEventV2" => {
            add("desc", Kind::Reference, 8);
            add("time", Kind::I64, 8);
            add("msg", Kind::Text { skip: 0 }, 0);
        }
        "LogStringInteropEventV2" => {
            let (size, id) = embedded("StringId")?;
            add("time", Kind::I64, 8);
            add("level", Kind::U32, 4 + id);
            add("target", Kind::Reference, size - id);
            add("msg", Kind::BareText, 0);
        }
        "LogStringInteropEventV3" => {
            let (size, id) = embedded("StaticStringRef")?;
            add("time", Kind::I64, 8);
            add("level", Kind::U8, 1 + id);
            add("target", Kind::Reference, size - id);
            add("msg", Kind::Text { skip: 0 }, 0);
        }
        "TaggedLogInteropEvent" => {
            let (size, id) = embedded("StaticStringRef")?;
            add("time", Kind::I64, 8);
            add("level", Kind::U8, 1 + id);
            add("target", Kind::Reference, size - id);
            add("properties", Kind::Reference, 8);
            add("msg", Kind::Text { skip: 0 }, 0);
        }
        "TaggedLogString" => {
            add("desc", Kind::Reference, 8);
            add("properties", Kind::Reference, 8);
            add("time", Kind::I64, 8);
            add("msg", Kind::Text { skip: 0 }, 0);
        }
        "ImageEvent" => {
            add("time", Kind::I64, 8);
            add("name", Kind::Text { skip: 0 }, 0);
            add("format", Kind::Text { skip: 1 }, 0);
            add("data", Kind::Blob { skip: 2 }, 0);
        }
        _ => {}
    }
    Ok(fields)
}

impl EventType {
    /// Name of the type on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Index of the type: what [`Event::type_index`] is for its events.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Whether the type has a member of that name.
    pub fn has(&self, member: &str) -> bool {
        self.fields.iter().any(|f| f.name == member)
    }

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
    offset: u32,
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
    offset: u32,
    is_byte: bool,
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
    offset: u32,
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
    offset: u32,
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
