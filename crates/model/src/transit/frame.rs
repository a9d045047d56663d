//! LZ4 frames, decompressed under a limit.

use super::DecodeError;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::io::{Read, Write};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Decompresses one frame to at most `limit` bytes. Bytes after the frame are ignored. `name` is the buffer's name in
/// errors.
pub fn decompress(frame: &[u8], limit: usize, name: &str) -> Result<Vec<u8>, DecodeError> {
    let bound = check_frame(frame, limit, name)?;
    let mut bytes = Vec::with_capacity(bound);
    FrameDecoder::new(frame)
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| DecodeError::corrupt(format!("the {name} are not an LZ4 frame: {e}")))?;
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    Ok(bytes)
}

/// Reads the block headers of a frame without decompressing it, and refuses a frame that is invalid, cut off, or could have
/// more than `limit` bytes. Returns an upper bound of the decompressed size, at most 255 times the size of the frame.
///
/// So a decompression bomb costs no memory, and ingestion can refuse a bad payload without the cost of decompressing.
pub fn check_frame(frame: &[u8], limit: usize, name: &str) -> Result<usize, DecodeError> {
    let broken = |what: &str| DecodeError::corrupt(format!("the {name} are not an LZ4 frame: {what}"));
    let cut = || broken("it is cut off");
    if frame.get(..4) != Some(&MAGIC) {
        return Err(broken("the magic number is missing"));
    }
    let (flags, descriptor) = (*frame.get(4).ok_or_else(cut)?, *frame.get(5).ok_or_else(cut)?);
    let block_checksums = usize::from(flags & 0x10 != 0) * 4;
    let content_checksum = usize::from(flags & 0x04 != 0) * 4;
    let content_size = usize::from(flags & 0x08 != 0) * 8;
    let dictionary_id = usize::from(flags & 0x01 != 0) * 4;
    let block_size = match (descriptor >> 4) & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err(broken("its block size is not defined")),
    };
    let mut position = 7 + content_size + dictionary_id;
    let mut bound = 0usize;
    loop {
        let header = frame.get(position..position + 4).ok_or_else(cut)?;
        let header = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        position += 4;
        if header == 0 {
            break;
        }
        let size = (header & 0x7fff_ffff) as usize;
        // LZ4 can't expand a byte to more than 255
        bound += if header >> 31 == 1 { size } else { block_size.min(size.saturating_mul(255)) };
        if bound > limit.saturating_add(block_size) {
            return Err(DecodeError::TooLarge { limit });
        }
        position = position.checked_add(size + block_checksums).ok_or_else(cut)?;
        if position > frame.len() {
            return Err(cut());
        }
    }
    if position + content_checksum > frame.len() {
        return Err(cut());
    }
    Ok(bound)
}

/// Compresses a buffer the way native clients do: one frame of linked 64 KiB blocks.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let info =
        FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked).block_checksums(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    let written = encoder.write_all(bytes);
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY_RUST: [u8; 15] =
        [0x04, 0x22, 0x4d, 0x18, 0x54, 0x40, 0xae, 0, 0, 0, 0, 0x05, 0x5d, 0xcc, 0x02];
    const EMPTY_UNREAL: [u8; 11] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0];

    #[test]
    fn the_empty_frames_of_both_clients_are_empty() {
        assert_eq!(decompress(&EMPTY_RUST, 10, "objects"), Ok(vec![]));
        assert_eq!(decompress(&EMPTY_UNREAL, 10, "objects"), Ok(vec![]));
    }

    #[test]
    fn zero_bytes_are_not_a_frame() {
        assert!(matches!(decompress(&[], 10, "objects"), Err(DecodeError::Corrupt(_))));
    }

    #[test]
    fn a_bomb_is_refused_by_its_headers_alone() {
        let frame = compress(&vec![0; 8 << 20]);
        assert!(frame.len() < 64 << 10);
        assert_eq!(check_frame(&frame, 1 << 20, "objects"), Err(DecodeError::TooLarge { limit: 1 << 20 }));
        assert_eq!(decompress(&frame, 8 << 20, "objects").map(|b| b.len()), Ok(8 << 20));
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back_and_no_prefix_of_it_does(
            bytes in proptest::collection::vec(0u8..4, 0..50_000), cut in 0.0f64..1.0,
        ) {
            let mut frame = compress(&bytes);
            prop_assert_eq!(decompress(&frame, bytes.len(), "objects"), Ok(bytes.clone()));
            let short = &frame[..(frame.len() as f64 * cut) as usize];
            prop_assert!(decompress(short, bytes.len(), "objects").is_err());
            frame.extend_from_slice(b"what follows is ignored");
            prop_assert_eq!(decompress(&frame, bytes.len(), "objects"), Ok(bytes));
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut frame = EMPTY_RUST[..7].to_vec();
            frame.extend(bytes);
            let _ = decompress(&frame, 1 << 20, "objects");
        }
    }
}
