//! Checks what an Arrow message claims about itself, before Arrow's reader believes it.
//!
//! The reader uses ranges of the body, numbers of rows and the unpacked sizes of compressed buffers as they are, and
//! allocates by them.

use belvedere_core::arrow::ipc::{
    BodyCompressionMethod, Buffer, CompressionType, Message, RecordBatch, root_as_message_with_opts,
};
use flatbuffers::VerifierOptions;
use lz4_flex::frame::FrameDecoder;
use std::io::Read;

/// Size of a header. The header of a batch has about 32 bytes for each column.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// Tables in a header, which are mostly the fields of a schema. A table may be referred to many times, so a small header
/// can contain a large tree.
const MAX_TABLES: usize = 1 << 16;

/// Rows of a batch and of nested columns. Columns of type Null have no bytes: without a limit any number of rows fits in a
/// message.
const MAX_ROWS: i64 = 1 << 24;

/// Bytes of the unpacked size, which precedes each buffer of a compressed batch.
const PREFIX: usize = 8;

/// Parses a header.
pub(super) fn header(bytes: &[u8]) -> Result<Message<'_>, String> {
    if bytes.len() > MAX_HEADER_BYTES {
        return Err(format!("a header has {} bytes, at most {MAX_HEADER_BYTES} are allowed", bytes.len()));
    }
    let options = VerifierOptions {
        max_tables: MAX_TABLES,
        // counted as a tree: what several fields share is read once for each of them
        max_apparent_size: bytes.len().saturating_mul(16).saturating_add(4096),
        ..VerifierOptions::default()
    };
    root_as_message_with_opts(&options, bytes).map_err(|e| format!("a header is broken: {e}"))
}

/// Checks a batch against its body. Returns its unpacked size, which is at most `max_bytes`.
pub(super) fn check(batch: &RecordBatch<'_>, body: &[u8], max_bytes: u64) -> Result<u64, String> {
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
        // each buffer is copied or unpacked by itself: a body of a megabyte must not be read a thousand times
        if packed > body.len() as u64 {
            return Err("buffers overlap".to_owned());
        }
        let size = match codec {
            None => bytes.len() as u64,
            Some(codec) => size_unpacked(bytes, codec, max_bytes).map_err(|e| format!("buffer {i} {e}"))?,
        };
        unpacked = unpacked.saturating_add(size);
        if unpacked > max_bytes {
            return Err(format!("a batch has more than {max_bytes} bytes: send fewer rows at once"));
        }
    }
    for (i, node) in nodes.iter().enumerate() {
        let (rows, nulls) = (node.length(), node.null_count());
        if !(0..=MAX_ROWS).contains(&rows) || !(0..=rows).contains(&nulls) {
            return Err(format!(
                "column {i} is said to have {rows} rows, {nulls} of them NULL: at most {MAX_ROWS} are allowed"
            ));
        }
    }
    match batch.length() {
        0..=MAX_ROWS => Ok(unpacked),
        rows => Err(format!("a batch is said to have {rows} rows: at most {MAX_ROWS} are allowed")),
    }
}

fn within<'a>(body: &'a [u8], buffer: &Buffer) -> Option<&'a [u8]> {
    let begin = usize::try_from(buffer.offset()).ok()?;
    let end = begin.checked_add(usize::try_from(buffer.length()).ok()?)?;
    body.get(begin..end)
}

/// The unpacked size of a compressed buffer.
fn size_unpacked(bytes: &[u8], codec: CompressionType, max_bytes: u64) -> Result<u64, String> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let (prefix, packed) = bytes.split_first_chunk::<PREFIX>().ok_or("is compressed, but has no size")?;
    let said = match i64::from_le_bytes(*prefix) {
        // this buffer is not compressed
        -1 => return Ok(packed.len() as u64),
        said => u64::try_from(said).map_err(|_| format!("is said to have {said} bytes"))?,
    };
    if said > max_bytes {
        return Err(format!("is said to have {said} bytes, at most {max_bytes} are allowed"));
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
