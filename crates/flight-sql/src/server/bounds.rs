//! What a message of Arrow says of itself, held against what came.
//!
//! Arrow's reader takes a message at its word: ranges of its body, counts of rows, and the sizes that compressed
//! buffers will have are used as they are, and memory is asked for by them. So they are looked at before.

use belvedere_core::arrow::ipc::{
    BodyCompressionMethod, Buffer, CompressionType, Message, RecordBatch, root_as_message_with_opts,
};
use flatbuffers::VerifierOptions;
use lz4_flex::frame::FrameDecoder;
use std::io::Read;

/// Bytes of a header: that of a batch has 32 for each column or so.
const HEADER: usize = 1 << 20;

/// Tables in a header: fields of a schema, mostly. One table may be referred to many times, so a small header can have
/// a large tree in it.
const TABLES: usize = 1 << 16;

/// Rows of a batch, and of what is nested in it. Columns of nothing but NULLs have no bytes: any number of rows would
/// fit in a message.
const ROWS: i64 = 1 << 24;

/// What buffers begin with whose batch is compressed: the size that they will have.
const PREFIX: usize = 8;

/// Reads a header.
pub(super) fn header(bytes: &[u8]) -> Result<Message<'_>, String> {
    if bytes.len() > HEADER {
        return Err(format!("a header has {} bytes, at most {HEADER} are allowed", bytes.len()));
    }
    let options = VerifierOptions {
        max_tables: TABLES,
        // as a tree: names and tables that several fields share are made once for each
        max_apparent_size: bytes.len().saturating_mul(16).saturating_add(4096),
        ..VerifierOptions::default()
    };
    root_as_message_with_opts(&options, bytes).map_err(|e| format!("a header is broken: {e}"))
}

/// Checks a batch against its body; how many bytes it has when it is unpacked, which are `most` at most.
pub(super) fn check(batch: &RecordBatch<'_>, body: &[u8], most: u64) -> Result<u64, String> {
    let buffers = batch.buffers().ok_or("a batch has no list of buffers")?;
    let nodes = batch.nodes().ok_or("a batch has no list of columns")?;
    let codec = match batch.compression() {
        None => None,
        Some(packed) if packed.method() == BodyCompressionMethod::BUFFER => Some(packed.codec()),
        Some(_) => return Err("a batch is compressed in a way that is not known".to_owned()),
    };
    let (mut packed, mut unpacked) = (0_u64, 0_u64);
    for (i, buffer) in buffers.iter().enumerate() {
        let bytes = within(body, buffer).ok_or_else(|| {
            let (length, offset) = (buffer.length(), buffer.offset());
            let have = body.len();
            format!("buffer {i} is said to have {length} bytes from {offset} on, but the body has {have}")
        })?;
        packed = packed.saturating_add(bytes.len() as u64);
        // each is copied or unpacked by itself: a body of a megabyte must not be taken a thousand times
        if packed > body.len() as u64 {
            return Err("buffers overlap".to_owned());
        }
        let size = match codec {
            None => bytes.len() as u64,
            Some(codec) => size_unpacked(bytes, codec, most).map_err(|e| format!("buffer {i} {e}"))?,
        };
        unpacked = unpacked.saturating_add(size);
        if unpacked > most {
            return Err(format!("a batch has more than {most} bytes: send fewer rows at once"));
        }
    }
    for (i, node) in nodes.iter().enumerate() {
        let (rows, nulls) = (node.length(), node.null_count());
        if !(0..=ROWS).contains(&rows) || !(0..=rows).contains(&nulls) {
            return Err(format!(
                "column {i} is said to have {rows} rows, {nulls} of them NULL: at most {ROWS} are allowed"
            ));
        }
    }
    match batch.length() {
        0..=ROWS => Ok(unpacked),
        rows => Err(format!("a batch is said to have {rows} rows: at most {ROWS} are allowed")),
    }
}

fn within<'a>(body: &'a [u8], buffer: &Buffer) -> Option<&'a [u8]> {
    let begin = usize::try_from(buffer.offset()).ok()?;
    let end = begin.checked_add(usize::try_from(buffer.length()).ok()?)?;
    body.get(begin..end)
}

/// The size that a compressed buffer will have.
fn size_unpacked(bytes: &[u8], codec: CompressionType, most: u64) -> Result<u64, String> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let (prefix, packed) = bytes.split_first_chunk::<PREFIX>().ok_or("is compressed, but has no size")?;
    let said = match i64::from_le_bytes(*prefix) {
        // it is not compressed after all
        -1 => return Ok(packed.len() as u64),
        said => u64::try_from(said).map_err(|_| format!("is said to have {said} bytes"))?,
    };
    if said > most {
        return Err(format!("is said to have {said} bytes, at most {most} are allowed"));
    }
    // of this codec all is unpacked that comes, whatever was said; of the other, as much as was said
    if codec == CompressionType::LZ4_FRAME && said > 0 {
        let mut frames = FrameDecoder::new(packed).take(said.saturating_add(1));
        // a fault comes before there is too much: then the reader meets it there too
        if std::io::copy(&mut frames, &mut std::io::sink()).is_ok_and(|size| size > said) {
            return Err(format!("has more than the {said} bytes that it is said to have"));
        }
    }
    Ok(said)
}
