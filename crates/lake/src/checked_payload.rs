//! Payloads with their checksums. A payload is a part of a record, and the catalog knows where it lies; the checksum is in
//! front of the record, a few hundred bytes before.

use super::LakeError;
use super::objects::Objects;
use super::record::{block_records_around, is_whole};
use bytes::Bytes;
use std::ops::Range;

/// Bytes before a payload in which its record begins: the header and the envelope of a block. If they are not enough, the
/// second number is.
const BEFORE: [u64; 2] = [1 << 10, 1 << 20];
/// Bytes behind a payload in which its record ends, as a rule.
const BEHIND: u64 = 256;

/// The bytes of a payload, read with their record. They are missing if the object ends before them, and corrupt if no
/// record with a right checksum is around them.
pub(super) async fn checked_payload(
    objects: &Objects,
    key: &str,
    payload: Range<u64>,
) -> Result<Bytes, LakeError> {
    for before in BEFORE {
        let begin = payload.start.saturating_sub(before);
        let window = objects.read(key, begin..payload.end.saturating_add(BEHIND), payload.end).await?;
        for record in block_records_around(&window, begin, &payload) {
            let is_right = match window.get((record.start - begin) as usize..(record.end - begin) as usize) {
                Some(record) => is_whole(record),
                None => match objects.read(key, record.clone(), record.end).await {
                    Ok(record) => is_whole(&record),
                    // it only looked like a record
                    Err(LakeError::Missing(_)) => false,
                    Err(e) => return Err(e),
                },
            };
            if is_right {
                return Ok(window.slice((payload.start - begin) as usize..(payload.end - begin) as usize));
            }
        }
        if begin == 0 {
            break;
        }
    }
    Err(LakeError::Corrupt(
        format!("the checksum of the record in object {key} around byte {} is wrong", payload.start).into(),
    ))
}
