//! Writes transit blocks byte by byte: for tests of damaged ones, and what [`super::EventWriter`] writes to.

use super::compress;
use crate::wire::{MemberRecord, PayloadParts, TypeRecord};
use bytes::Bytes;
use std::borrow::Cow;

/// Builds the two buffers of a block. Types are announced in the order of their first use.
#[derive(Debug, Default)]
pub struct BlockWriter {
    dependency_types: Vec<TypeRecord>,
    object_types: Vec<TypeRecord>,
    dependencies: Vec<u8>,
    objects: Vec<u8>,
    count: i32,
}

impl BlockWriter {
    /// An empty block of a stream without types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a type of the dependencies; returns its index.
    pub fn dependency_type(&mut self, record: TypeRecord) -> u8 {
        self.dependency_types.push(record);
        (self.dependency_types.len() - 1) as u8
    }

    /// Announces an event type; returns its index.
    pub fn event_type(&mut self, record: TypeRecord) -> u8 {
        self.object_types.push(record);
        (self.object_types.len() - 1) as u8
    }

    /// Appends a dependency of a type that [`BlockWriter::dependency_type`] announced.
    pub fn dependency(&mut self, type_index: u8, bytes: &[u8]) {
        append(&mut self.dependencies, &self.dependency_types, type_index, bytes);
    }

    /// Appends an event of a type that [`BlockWriter::event_type`] announced.
    pub fn event(&mut self, type_index: u8, bytes: &[u8]) {
        append(&mut self.objects, &self.object_types, type_index, bytes);
        self.count += 1;
    }

    /// Number of events so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// CBOR type records of both buffers, for the stream's announcement: dependencies, then objects.
    pub fn metadata(&self) -> (Bytes, Bytes) {
        (
            TypeRecord::encode_all(&self.dependency_types).into(),
            TypeRecord::encode_all(&self.object_types).into(),
        )
    }

    /// The payload of the block, compressed.
    pub fn payload(&self) -> PayloadParts<'static> {
        PayloadParts {
            dependencies: Cow::Owned(compress(&self.dependencies)),
            objects: Cow::Owned(compress(&self.objects)),
        }
    }

    /// A coded UTF-8 text, as it is embedded in events.
    pub fn coded_text(text: &str) -> Vec<u8> {
        let mut bytes = vec![2];
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    /// A member of a fixed-size type.
    pub fn member(name: &str, type_name: &str, offset: u64, size: u64) -> MemberRecord {
        MemberRecord {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            offset,
            size,
            is_reference: false,
        }
    }

    /// A member that refers to a dependency.
    pub fn reference(name: &str, offset: u64) -> MemberRecord {
        MemberRecord { is_reference: true, ..Self::member(name, "reference", offset, 8) }
    }

    /// A reference type that is embedded in events of variable size: an id of 8 bytes.
    pub fn reference_type(name: &str) -> TypeRecord {
        TypeRecord { is_reference: true, ..Self::type_record(name, 8, vec![Self::member("id", "u64", 0, 8)]) }
    }

    /// A type; size 0 means variable.
    pub fn type_record(name: &str, size: u64, members: Vec<MemberRecord>) -> TypeRecord {
        TypeRecord { name: name.to_owned(), size, members, is_reference: false }
    }
}

impl AsRef<Self> for BlockWriter {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn append(buffer: &mut Vec<u8>, types: &[TypeRecord], index: u8, bytes: &[u8]) {
    buffer.push(index);
    if types.get(index as usize).is_none_or(|t| t.size == 0) {
        buffer.extend((bytes.len() as u32).to_le_bytes());
    }
    buffer.extend(bytes);
}
