//! Records in objects: the requests themselves, one after the other. The catalog's rows can be made from them.
//!
//! ```text
//! object: "BLVREC01", then records
//! record: length of body (u32) | CRC-32 of all that follows (u32) | kind (u8) | insert time (i64) | body
//! ```
//!
//! Integers are little-endian. Kinds: 1 process, 2 stream, 3 block; the body is the CBOR of `wire`. The
//! payload of a block is a range of its body. A record of a stream whose format is not that of native
//! clients is preceded by a record of kind 4 with the format's name. Kinds 5 and 6 are in objects of copies only.

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
/// Copies of numbers of blocks, and of a partition.
pub(super) const NUMBERS: u8 = 5;
pub(super) const PARTITION: u8 = 6;

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

pub(super) fn append_record(
    buffer: &mut Vec<u8>,
    kind: u8,
    insert_time: i64,
    body: &[u8],
) -> Result<(), LakeError> {
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
        if let Some(end) = end_of_record(object, position) {
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

/// The end of the record at a position where one may be, if there is one with a right checksum. Positions that can't be are
/// told by a glance, since looking at all of them would otherwise take the square of the object's size.
fn whole_record_at(object: &[u8], position: usize) -> Option<usize> {
    let header: [u8; HEADER] = *object.get(position..)?.first_chunk()?;
    let first = *object.get(position + HEADER)?;
    let may_be = match header[8] {
        // a map of CBOR, or a tag before it
        PROCESS | STREAM | BLOCK => (0xa0..0xe0).contains(&first),
        FORMAT => first.is_ascii_graphic(),
        NUMBERS => true,
        PARTITION => first == b'{',
        _ => false,
    };
    // a time up to the year 2116
    (may_be && header[HEADER - 1] < 0x40).then(|| end_of_record(object, position)).flatten()
}

/// The end of the record at a position, of any kind, if its checksum is right.
fn end_of_record(object: &[u8], position: usize) -> Option<usize> {
    let length = u32::from_le_bytes(*object.get(position..)?.first_chunk()?);
    let end = position.checked_add(HEADER)?.checked_add(length as usize)?;
    is_whole(object.get(position..end)?).then_some(end)
}

/// Reads the records of an object, each with the offset of its payload. Damage costs what it hits: reading goes on at the
/// next record with a right checksum. If there is none, what is left at the end was never acknowledged, as a rule.
pub(super) struct Records {
    object: Bytes,
    /// Where in the object the bytes begin.
    begin: usize,
    position: usize,
    format: Option<String>,
    /// Records of copies.
    others: Vec<(u8, Bytes)>,
    /// Something before the next record is damaged: it may be the name of a stream's format.
    is_behind_damage: bool,
    /// End of the last record before the first damage.
    whole_until: Option<usize>,
    /// There is no further record.
    is_over: bool,
}

/// A record as it lies in an object.
struct RawRecord {
    kind: u8,
    insert_time: i64,
    /// Where in the object the body begins.
    start: usize,
    body: Bytes,
}

impl Records {
    /// The records in these bytes of an object, from `begin` to its end.
    pub(super) fn new(object: Bytes, begin: usize) -> Self {
        let position = match begin {
            // if these bytes are damaged, the records behind them may not be
            0 => MAGIC.len().min(object.len()),
            _ => 0,
        };
        Self {
            object,
            begin,
            position,
            format: None,
            others: Vec::new(),
            is_behind_damage: false,
            whole_until: None,
            is_over: false,
        }
    }

    /// End of the last complete record.
    pub(super) fn end(&self) -> usize {
        self.begin + self.position
    }

    /// Up to where all records could be read.
    pub(super) fn whole_until(&self) -> usize {
        self.whole_until.unwrap_or_else(|| self.end())
    }

    /// The records of copies that were among those that were read, with their kinds.
    pub(super) fn into_others(self) -> Vec<(u8, Bytes)> {
        self.others
    }

    fn read(&mut self) -> Option<RawRecord> {
        let end = end_of_record(&self.object, self.position)?;
        let start = self.position + HEADER;
        let header = self.object.get(self.position..start)?;
        let record = RawRecord {
            kind: header[8],
            insert_time: i64::from_le_bytes(*header[9..].first_chunk()?),
            start: self.begin + start,
            body: self.object.slice(start..end),
        };
        self.position = end;
        Some(record)
    }

    /// Goes on at the next record with a right checksum. Says which bytes are damaged; `None` if there is no such record.
    fn skip_damage(&mut self) -> Option<LakeError> {
        let next = (self.position + 1..self.object.len())
            .find(|position| whole_record_at(&self.object, *position).is_some());
        self.is_over = next.is_none();
        let next = next?;
        let (from, to) = (self.end(), self.begin + next);
        self.whole_until.get_or_insert(from);
        self.position = next;
        (self.format, self.is_behind_damage) = (None, true);
        Some(LakeError::Corrupt(format!("the bytes {from} to {to} are damaged").into()))
    }
}

impl Iterator for Records {
    type Item = Result<(Entry, u64), LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.is_over {
                return None;
            }
            let Some(RawRecord { kind, insert_time, start, body }) = self.read() else {
                return self.skip_damage().map(Err);
            };
            let is_behind_damage = std::mem::take(&mut self.is_behind_damage);
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
                NUMBERS | PARTITION => {
                    self.others.push((kind, body));
                    continue;
                }
                _ => {
                    return Some(Err(LakeError::Corrupt(
                        format!("the record at byte {start} is of the unknown kind {kind}").into(),
                    )));
                }
            };
            // streams of native clients describe their events; of another one the format was lost
            if let Ok(Entry::Stream(stream)) = &entry
                && is_behind_damage
                && stream.format == TRANSIT_FORMAT
                && stream.objects_metadata.is_empty()
            {
                return Some(Err(LakeError::Corrupt(
                    format!("the format of stream {} was damaged, so it can't be read", stream.stream_id)
                        .into(),
                )));
            }
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
