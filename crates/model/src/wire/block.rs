//! `insert_block`, and the payload inside of it.

use super::WireError;
use super::cbor::{bytes, encode, read_map, time, uuid};
use crate::BlockInfo;
use crate::time::to_rfc3339;
use bytes::Bytes;
use minicbor::Decoder;
use minicbor::data::Type;
use std::borrow::Cow;
use std::ops::Range;
use uuid::Uuid;

/// A block as it is stored: the body of its request, and the range of the payload in it.
#[derive(Debug, Clone)]
pub struct BlockRequest {
    /// What the envelope says. `insert_time` is 0: the lake sets it.
    pub info: BlockInfo,
    // private, since the range must be within the body
    body: Bytes,
    payload: Range<usize>,
}

impl BlockRequest {
    /// Decodes a block announcement. A payload in the encoding of old clients (an array of numbers) is re-encoded as byte
    /// strings; everything else is unchanged.
    pub fn decode(body: Bytes) -> Result<Self, WireError> {
        let (info, payload) = decode_envelope(&body)?;
        // bytes after the item are ignored
        let (parts, is_canonical) = payload_parts(&body[payload.clone()])?;
        if is_canonical {
            let info = BlockInfo { payload_size: payload.len() as i64, ..info };
            return Ok(Self { info, body, payload });
        }
        Ok(Self::encode(info, &parts))
    }

    /// Encodes a block announcement as a native client does, and sets `payload_size`.
    pub fn encode(mut info: BlockInfo, parts: &PayloadParts<'_>) -> Self {
        let mut body = encode(|e| {
            e.map(10)?;
            e.str("block_id")?.str(&info.block_id.to_string())?;
            e.str("stream_id")?.str(&info.stream_id.to_string())?;
            e.str("process_id")?.str(&info.process_id.to_string())?;
            e.str("begin_time")?.str(&to_rfc3339(info.begin_time))?;
            e.str("begin_ticks")?.i64(info.begin_ticks)?;
            e.str("end_time")?.str(&to_rfc3339(info.end_time))?;
            e.str("end_ticks")?.i64(info.end_ticks)?;
            e.str("object_offset")?.i64(info.object_offset)?;
            e.str("nb_objects")?.i32(info.nb_objects)?;
            e.str("payload")?;
            Ok(())
        });
        let start = body.len();
        body.extend(parts.encode());
        info.payload_size = (body.len() - start) as i64;
        Self { info, payload: start..body.len(), body: body.into() }
    }

    /// The body of the request, unchanged unless its payload was in an old encoding.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The payload: a CBOR map of `dependencies` and `objects`. A part of the body, not a copy.
    pub fn payload(&self) -> Bytes {
        self.body.slice(self.payload.clone())
    }

    /// Offset of the payload in the body.
    pub fn payload_offset(&self) -> usize {
        self.payload.start
    }
}

/// The two buffers of a payload, still compressed.
#[derive(Debug, Clone)]
pub struct PayloadParts<'a> {
    /// What the events refer to.
    pub dependencies: Cow<'a, [u8]>,
    /// The events.
    pub objects: Cow<'a, [u8]>,
}

impl<'a> PayloadParts<'a> {
    /// Encodes a payload by itself. The inverse of [`PayloadParts::split`].
    pub fn encode(&self) -> Vec<u8> {
        encode(|e| {
            e.map(2)?;
            e.str("dependencies")?.bytes(&self.dependencies)?;
            e.str("objects")?.bytes(&self.objects)?;
            Ok(())
        })
    }

    /// Splits a stored payload into its buffers.
    pub fn split(payload: &'a [u8]) -> Result<Self, WireError> {
        payload_parts(payload).map(|(parts, _)| parts)
    }
}

fn decode_envelope(body: &[u8]) -> Result<(BlockInfo, Range<usize>), WireError> {
    let mut b = BlockInfo {
        block_id: Uuid::nil(),
        stream_id: Uuid::nil(),
        process_id: Uuid::nil(),
        begin_time: 0,
        begin_ticks: 0,
        end_time: 0,
        end_ticks: 0,
        nb_objects: 0,
        object_offset: 0,
        payload_size: 0,
        insert_time: 0,
    };
    let mut payload = 0..0;
    const KEYS: [&str; 10] = [
        "block_id",
        "stream_id",
        "process_id",
        "begin_time",
        "begin_ticks",
        "end_time",
        "end_ticks",
        "payload",
        "object_offset",
        "nb_objects",
    ];
    read_map(&mut Decoder::new(body), "block", KEYS, |key, d| {
        match key {
            "block_id" => b.block_id = uuid(d)?,
            "stream_id" => b.stream_id = uuid(d)?,
            "process_id" => b.process_id = uuid(d)?,
            "begin_time" => b.begin_time = time(d)?,
            "begin_ticks" => b.begin_ticks = d.i64()?,
            "end_time" => b.end_time = time(d)?,
            "end_ticks" => b.end_ticks = d.i64()?,
            "payload" => {
                let start = d.position();
                d.skip()?;
                payload = start..d.position();
            }
            "object_offset" => b.object_offset = d.i64()?,
            _ => b.nb_objects = d.i32()?,
        }
        Ok(())
    })?;
    Ok((b, payload))
}

/// The parts, and whether they are encoded as we encode them: definite byte strings in a definite map.
fn payload_parts(payload: &[u8]) -> Result<(PayloadParts<'_>, bool), WireError> {
    let mut parts = PayloadParts { dependencies: Cow::Borrowed(&[]), objects: Cow::Borrowed(&[]) };
    let mut d = Decoder::new(payload);
    let mut is_canonical = matches!(d.datatype(), Ok(Type::Map));
    read_map(&mut d, "payload", ["dependencies", "objects"], |key, d| {
        let value = bytes(d)?;
        is_canonical &= matches!(value, Cow::Borrowed(_));
        match key {
            "dependencies" => parts.dependencies = value,
            _ => parts.objects = value,
        }
        Ok(())
    })?;
    Ok((parts, is_canonical))
}
