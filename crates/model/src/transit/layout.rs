//! A stream's types, resolved once into fields at fixed offsets.
//!
//! Fixed-size types are the memory image of the producer's struct: members are found by name at their
//! announced offset. Variable-size types are serialized by hand in the client libraries; their fields come from
//! registered [`EventLayout`](super::EventLayout)s and are presented as if they had been announced, so that decoders
//! ask for members by name in both cases.

use super::DecodeError;
use super::event_layout::{EventLayout, EventLayouts, FieldKind};
use crate::wire::TypeRecord;

/// All types of one stream.
#[derive(Debug, Clone)]
pub struct StreamLayout {
    pub(super) dependencies: Vec<EventType>,
    pub(super) objects: Vec<EventType>,
}

/// One type: an event type if it is among the objects.
#[derive(Debug, Clone)]
pub struct EventType {
    pub(super) name: String,
    pub(super) index: u8,
    /// Bytes of an instance; `None` if each record has its length.
    pub(super) size: Option<u32>,
    pub(super) fields: Vec<Field>,
    /// Why instances of the type can't be read.
    pub(super) problem: Option<String>,
    /// Instances are references to the dependency in `id`.
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
    /// A nested instance of the type with that index. Shown by `parse_block`; decoders can't read it.
    Nested {
        index: u32,
    },
}

impl StreamLayout {
    /// Resolves the CBOR type records of a stream. An invalid type is an error only for blocks that use it.
    pub fn parse(dependencies: &[u8], objects: &[u8], layouts: &EventLayouts) -> Result<Self, DecodeError> {
        Ok(Self {
            dependencies: resolve(dependencies, "dependencies_metadata", layouts)?,
            objects: resolve(objects, "objects_metadata", layouts)?,
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

fn resolve(metadata: &[u8], name: &str, layouts: &EventLayouts) -> Result<Vec<EventType>, DecodeError> {
    let records = TypeRecord::decode_all(metadata)
        .map_err(|e| DecodeError::corrupt(format!("{name} of the stream: {e}")))?;
    // the index on the wire is one byte: later types can't be used
    records
        .iter()
        .take(256)
        .enumerate()
        .map(|(i, record)| Ok(resolve_type(record, i as u8, &records, layouts)))
        .collect()
}

fn resolve_type(record: &TypeRecord, index: u8, all: &[TypeRecord], layouts: &EventLayouts) -> EventType {
    let mut resolved = EventType {
        name: record.name.clone(),
        index,
        size: None,
        fields: Vec::new(),
        problem: None,
        is_reference: record.is_reference,
    };
    let outcome = if record.size == 0 {
        match layouts.get(&record.name) {
            Some(layout) => serialized_fields(layout, all),
            // its records are skipped by their length
            None => Ok(Vec::new()),
        }
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

/// Kind of a member that is not marked as a reference, and how far after its offset the value starts.
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

/// Offset of the id in an instance of a reference type.
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

/// The fields of a type of variable size: one after the other, without padding.
fn serialized_fields(layout: &EventLayout, all: &[TypeRecord]) -> Result<Vec<Field>, String> {
    let mut resolved = Vec::new();
    let (mut offset, mut skip) = (0, 0);
    for field in layout.fields() {
        let (kind, shift, size) = match field.kind {
            FieldKind::U8 => (Kind::U8, 0, 1),
            FieldKind::U32 => (Kind::U32, 0, 4),
            FieldKind::I64 => (Kind::I64, 0, 8),
            FieldKind::F64 => (Kind::F64, 0, 8),
            FieldKind::Reference => (Kind::Reference, 0, 8),
            FieldKind::EmbeddedReference(type_name) => {
                let (size, id) = embedded_reference(type_name, all)?;
                (Kind::Reference, id, size)
            }
            FieldKind::BareText => (Kind::BareText, 0, 0),
            FieldKind::Blob => (Kind::Blob { skip }, 0, 0),
            FieldKind::Text => {
                skip += 1;
                (Kind::Text { skip: skip - 1 }, 0, 0)
            }
        };
        resolved.push(Field { name: field.name.to_owned(), offset: offset + shift, kind });
        offset += size;
    }
    Ok(resolved)
}

/// Size of a reference type that is embedded in events, and the offset of its id.
fn embedded_reference(type_name: &str, all: &[TypeRecord]) -> Result<(u32, u32), String> {
    let record = all
        .iter()
        .find(|t| t.name == type_name)
        .ok_or_else(|| format!("{type_name}, which is part of it, was not announced"))?;
    let id = reference_offset(record)?;
    if record.size > 4096 {
        return Err(format!("{type_name}, which is part of it, has {} bytes", record.size));
    }
    Ok((record.size as u32, id as u32))
}

impl EventType {
    /// Name of the type on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Index of the type; its events have it as their type index.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Whether the type has a member of that name.
    pub fn has(&self, member: &str) -> bool {
        self.fields.iter().any(|f| f.name == member)
    }
}
