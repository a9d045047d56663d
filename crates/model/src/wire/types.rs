//! Type records: how a stream describes the memory layout of its own events.

use super::WireError;
use super::cbor::{Encoded, encode, read_array, read_map, string};
use minicbor::decode::{Decoder, Error};

/// A type that may occur in a buffer of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRecord {
    /// Name by which decoders know it.
    pub name: String,
    /// Bytes of an instance; 0 means variable.
    pub size: u64,
    /// Members in the order of declaration, which is not that of their offsets.
    pub members: Vec<MemberRecord>,
    /// Whether an instance is a reference to the dependency with the id in its member `id`.
    pub is_reference: bool,
}

/// One member of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Name by which decoders ask for it.
    pub name: String,
    /// Name of a number type or of a type of the same array.
    pub type_name: String,
    /// Bytes from the start of the instance.
    pub offset: u64,
    /// Bytes of the member.
    pub size: u64,
    /// Whether the first eight bytes are the id of a dependency.
    pub is_reference: bool,
}

impl TypeRecord {
    /// Decodes a CBOR array of type records.
    pub fn decode_all(metadata: &[u8]) -> Result<Vec<Self>, WireError> {
        decode_types_from(&mut Decoder::new(metadata))
            .map_err(|e| WireError::Malformed { record: "list of types", source: e.into() })
    }

    /// Encodes type records with the key order of the native clients.
    pub fn encode_all(types: &[Self]) -> Vec<u8> {
        encode(|e| -> Encoded {
            e.array(types.len() as u64)?;
            for t in types {
                e.map(4)?.str("name")?.str(&t.name)?.str("size")?.u64(t.size)?;
                e.str("members")?.array(t.members.len() as u64)?;
                for m in &t.members {
                    e.map(5)?.str("name")?.str(&m.name)?.str("type_name")?.str(&m.type_name)?;
                    e.str("offset")?.u64(m.offset)?.str("size")?.u64(m.size)?;
                    e.str("is_reference")?.bool(m.is_reference)?;
                }
                e.str("is_reference")?.bool(t.is_reference)?;
            }
            Ok(())
        })
    }
}

pub(super) fn decode_types_from(d: &mut Decoder<'_>) -> Result<Vec<TypeRecord>, Error> {
    let mut types = Vec::new();
    read_array(d, |d| {
        let mut t = TypeRecord { name: String::new(), size: 0, members: Vec::new(), is_reference: false };
        read_map(d, "type", ["name", "size", "members", "is_reference"], |key, d| {
            match key {
                "name" => t.name = string(d)?,
                "size" => t.size = d.u64()?,
                "members" => read_array(d, |d| {
                    t.members.push(member(d)?);
                    Ok(())
                })?,
                _ => t.is_reference = d.bool()?,
            }
            Ok(())
        })
        .map_err(|e| Error::message(e.to_string()))?;
        types.push(t);
        Ok(())
    })?;
    Ok(types)
}

fn member(d: &mut Decoder<'_>) -> Result<MemberRecord, Error> {
    let mut m = MemberRecord {
        name: String::new(),
        type_name: String::new(),
        offset: 0,
        size: 0,
        is_reference: false,
    };
    const KEYS: [&str; 5] = ["name", "type_name", "offset", "size", "is_reference"];
    read_map(d, "member", KEYS, |key, d| {
        match key {
            "name" => m.name = string(d)?,
            "type_name" => m.type_name = string(d)?,
            "offset" => m.offset = d.u64()?,
            "size" => m.size = d.u64()?,
            _ => m.is_reference = d.bool()?,
        }
        Ok(())
    })
    .map_err(|e| Error::message(e.to_string()))?;
    Ok(m)
}
