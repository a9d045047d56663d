//! `insert_stream`.

use super::WireError;
use super::cbor::{encode, properties, read_array, read_map, string, uuid};
use super::types::decode_types_from;
use crate::wire::TypeRecord;
use crate::{StreamInfo, StreamParts, TRANSIT_FORMAT};
use minicbor::Decoder;

/// Tags are keys in the catalog, so their number and size are limited.
const MAX_TAGS: usize = 64;
const MAX_TAG_BYTES: usize = 255;

impl StreamInfo {
    /// Decodes a stream announcement of a native client. `insert_time` is left 0: the lake sets it.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut s = StreamParts { format: TRANSIT_FORMAT.to_owned(), ..StreamParts::default() };
        const KEYS: [&str; 6] =
            ["process_id", "stream_id", "dependencies_metadata", "objects_metadata", "tags", "properties"];
        read_map(&mut Decoder::new(body), "stream", KEYS, |key, d| {
            match key {
                "process_id" => s.process_id = uuid(d)?,
                "stream_id" => s.stream_id = uuid(d)?,
                "dependencies_metadata" => {
                    s.dependencies_metadata = TypeRecord::encode_all(&decode_types_from(d)?).into()
                }
                "objects_metadata" => {
                    s.objects_metadata = TypeRecord::encode_all(&decode_types_from(d)?).into()
                }
                "tags" => {
                    s.tags.clear();
                    read_array(d, |d| {
                        let tag = string(d)?;
                        if s.tags.len() >= MAX_TAGS || tag.len() > MAX_TAG_BYTES {
                            let limits =
                                format!("at most {MAX_TAGS} tags of {MAX_TAG_BYTES} bytes are allowed");
                            return Err(minicbor::decode::Error::message(limits));
                        }
                        s.tags.push(tag);
                        Ok(())
                    })?;
                }
                _ => s.properties = properties(d)?,
            }
            Ok(())
        })?;
        Ok(s.into())
    }

    /// Encodes an announcement as a native client does.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let (dependencies, objects) = (
            TypeRecord::decode_all(&self.dependencies_metadata)?,
            TypeRecord::decode_all(&self.objects_metadata)?,
        );
        let mut body = encode(|e| {
            e.map(6)?;
            e.str("process_id")?.str(&self.process_id.to_string())?;
            e.str("stream_id")?.str(&self.stream_id.to_string())?;
            e.str("tags")?.array(self.tags.len() as u64)?;
            for tag in &self.tags {
                e.str(tag)?;
            }
            e.str("properties")?.map(self.properties.len() as u64)?;
            for (key, value) in &self.properties {
                e.str(key)?.str(value)?;
            }
            e.str("dependencies_metadata")?;
            Ok(())
        });
        body.extend(TypeRecord::encode_all(&dependencies));
        body.extend(encode(|e| {
            e.str("objects_metadata")?;
            Ok(())
        }));
        body.extend(TypeRecord::encode_all(&objects));
        Ok(body)
    }
}
