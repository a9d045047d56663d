//! Records in objects: the requests themselves, one after the other. The catalog's rows can be made from them.
//!
//! ```text
//! object: "BLVREC01", then records
//! record: length of body (u32) | CRC-32 of all that follows (u32) | kind (u8) | insert time (i64) | body
//! ```
//!
//! Integers are little-endian. Kinds: 1 process, 2 stream, 3 block; the body is the CBOR of `wire`. The
//! payload of a block is a range of its body. A record of a stream whose format is not that of native
//! clients is preceded by a record of kind 4 with the format's name.

use super::{Cause, LakeError};
use belvedere_model::wire::{self, BlockRequest};
use belvedere_model::{ProcessInfo, StreamInfo, TRANSIT_FORMAT};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

pub(super) const MAGIC: &[u8; 8] = b"BLVREC01";
const HEADER: usize = 17;
/// Bytes of a body that may follow the payload.
const ENVELOPE: u64 = 1 << 20;
const PROCESS: u8 = 1;
const STREAM: u8 = 2;
const BLOCK: u8 = 3;
const FORMAT: u8 = 4;

/// What one request adds to the lake. Insert times are set.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Process(Arc<ProcessInfo>),
    Stream(Arc<StreamInfo>),
    Block(BlockRequest),
}

impl Entry {
    /// Sets the time of reception.
    pub(super) fn received_at(self, insert_time: i64) -> Self {
        match self {
            Self::Process(p) => {
                Self::Process(Arc::new(ProcessInfo { insert_time, ..Arc::unwrap_or_clone(p) }))
            }
            Self::Stream(s) => {
                let mut stream = Arc::unwrap_or_clone(s);
                stream.insert_time = insert_time;
                Self::Stream(Arc::new(stream))
            }
            Self::Block(mut b) => {
                b.info.insert_time = insert_time;
                Self::Block(b)
            }
        }
    }
}

/// Appends the record of an entry. Returns where in `buffer` the payload starts, for a block.
pub(super) fn append(buffer: &mut Vec<u8>, entry: &Entry) -> Result<Option<usize>, LakeError> {
    let unencodable = |e: wire::WireError| LakeError::Corrupt(Cause::new(e.to_string(), e));
    match entry {
        Entry::Process(p) => append_record(buffer, PROCESS, p.insert_time, &p.encode())?,
        Entry::Stream(s) => {
            if s.format != TRANSIT_FORMAT {
                append_record(buffer, FORMAT, s.insert_time, s.format.as_bytes())?;
            }
            let body = s.encode().map_err(unencodable)?;
            append_record(buffer, STREAM, s.insert_time, &body)?;
        }
        Entry::Block(b) => {
            let start = buffer.len() + HEADER + b.payload_offset();
            append_record(buffer, BLOCK, b.info.insert_time, b.body())?;
            return Ok(Some(start));
        }
    }
    Ok(None)
}

fn append_record(buffer: &mut Vec<u8>, kind: u8, insert_time: i64, body: &[u8]) -> Result<(), LakeError> {
    let length = u32::try_from(body.len())
        .map_err(|_| LakeError::Corrupt(format!("a record of {} bytes is too large", body.len()).into()))?;
    let start = buffer.len();
    buffer.extend(length.to_le_bytes());
    buffer.extend([0; 4]);
    buffer.push(kind);
    buffer.extend(insert_time.to_le_bytes());
    buffer.extend(body);
    let checksum = crc32fast::hash(&buffer[start + 8..]);
    buffer[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Where the record of a block may be whose payload lies at `payload`, the nearest first. `window` are the bytes of the
/// object from `begin` on.
pub(super) fn block_records_around<'a>(
    window: &'a [u8],
    begin: u64,
    payload: &'a Range<u64>,
) -> impl Iterator<Item = Range<u64>> + 'a {
    let last = payload.start.saturating_sub(begin).checked_sub(HEADER as u64);
    (0..last.map_or(0, |last| last + 1)).rev().filter_map(move |at| {
        let header: [u8; HEADER] = *window.get(at as usize..)?.first_chunk()?;
        let length = u32::from_le_bytes(*header.first_chunk()?);
        let end = begin + at + HEADER as u64 + u64::from(length);
        let fits = header[8] == BLOCK && (payload.end..=payload.end + ENVELOPE).contains(&end);
        fits.then_some(begin + at..end)
    })
}

/// Whether these bytes are a record with a right checksum.
pub(super) fn is_whole(record: &[u8]) -> bool {
    let checksum = record.get(4..8).and_then(|bytes| bytes.first_chunk()).map(|c| u32::from_le_bytes(*c));
    record.len() >= HEADER && checksum == Some(crc32fast::hash(&record[8..]))
}

/// How many records of an object have a right checksum, and where between them there is something else.
pub(super) fn check_records(object: &[u8]) -> (u64, Vec<Range<u64>>) {
    let (mut position, mut records, mut damaged) = (MAGIC.len().min(object.len()), 0, Vec::new());
    if !object.starts_with(MAGIC) {
        damaged.push(0..position as u64);
    }
    while position < object.len() {
        if let Some(end) = whole_record_at(object, position) {
            (position, records) = (end, records + 1);
            continue;
        }
        let begin = position;
        position += 1;
        while position < object.len() && whole_record_at(object, position).is_none() {
            position += 1;
        }
        damaged.push(begin as u64..position as u64);
    }
    (records, damaged)
}

/// The end of the record at a position, if there is one with a right checksum.
fn whole_record_at(object: &[u8], position: usize) -> Option<usize> {
    let header: [u8; HEADER] = *object.get(position..)?.first_chunk()?;
    let end = (position + HEADER).checked_add(u32::from_le_bytes(*header.first_chunk()?) as usize)?;
    let is_known = (PROCESS..=FORMAT).contains(&header[8]);
    (is_known && is_whole(object.get(position..end)?)).then_some(end)
}

/// Reads the records of an object, each with the offset of its payload, up to the first that is incomplete or has a wrong
/// checksum: that one and what follows were never acknowledged.
pub(super) struct Records {
    object: Bytes,
    /// Where in the object the bytes begin.
    begin: usize,
    position: usize,
    format: Option<String>,
}

impl Records {
    /// The records in these bytes of an object, from `begin` to its end. One that does not begin like an object has none.
    pub(super) fn new(object: Bytes, begin: usize) -> Self {
        let position = match begin {
            0 if object.starts_with(MAGIC) => MAGIC.len(),
            0 => object.len(),
            _ => 0,
        };
        Self { object, begin, position, format: None }
    }

    /// End of the last complete record.
    pub(super) fn end(&self) -> usize {
        self.begin + self.position
    }

    fn read(&mut self) -> Option<(u8, i64, usize, Bytes)> {
        let header: [u8; HEADER] = *self.object.get(self.position..)?.first_chunk()?;
        let word = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let start = self.position + HEADER;
        let end = start.checked_add(word(0) as usize)?;
        let checked = self.object.get(self.position + 8..end)?;
        if crc32fast::hash(checked) != word(4) {
            return None;
        }
        let time = i64::from_le_bytes(*header[9..].first_chunk()?);
        self.position = end;
        Some((header[8], time, self.begin + start, self.object.slice(start..end)))
    }
}

impl Iterator for Records {
    type Item = Result<(Entry, u64), LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, insert_time, start, body) = self.read()?;
            let unreadable = |e: wire::WireError| {
                LakeError::Corrupt(Cause::new(format!("the record at byte {start}: {e}"), e))
            };
            let entry = match kind {
                PROCESS => ProcessInfo::decode(&body).map(|p| Entry::Process(Arc::new(p))),
                STREAM => StreamInfo::decode(&body).map(|mut s| {
                    if let Some(format) = self.format.take() {
                        s.format = format;
                    }
                    Entry::Stream(Arc::new(s))
                }),
                BLOCK => BlockRequest::decode(body).map(Entry::Block),
                FORMAT => {
                    self.format = Some(String::from_utf8_lossy(&body).into_owned());
                    continue;
                }
                _ => {
                    return Some(Err(LakeError::Corrupt(
                        format!("the record at byte {start} is of the unknown kind {kind}").into(),
                    )));
                }
            };
            return Some(entry.map_err(unreadable).map(|entry| {
                let payload = match &entry {
                    Entry::Block(b) => start + b.payload_offset(),
                    _ => start,
                };
                (entry.received_at(insert_time), payload as u64)
            }));
        }
    }
}
