//! The records that both buffers of a payload are made of.

use super::DecodeError;
use super::layout::EventType;

/// Reads the next record: its type, and its bytes without type and length.
#[inline]
pub(super) fn next_record<'b, 't>(
    buffer: &'b [u8],
    position: &mut usize,
    types: &'t [EventType],
    name: &'static str,
) -> Result<(&'t EventType, &'b [u8]), DecodeError> {
    let offset = *position;
    let cut = || DecodeError::Truncated { buffer: name, offset };
    let index = *buffer.get(offset).ok_or_else(cut)?;
    let type_ = types.get(index as usize).ok_or(DecodeError::UnknownType {
        buffer: name,
        offset,
        index,
        known: types.len(),
    })?;
    let rest = &buffer[offset + 1..];
    let (start, size) = match type_.size {
        Some(size) => (0, size as usize),
        None => (4, u32::from_le_bytes(*rest.first_chunk().ok_or_else(cut)?) as usize),
    };
    let bytes = rest[start..].get(..size).ok_or_else(cut)?;
    *position = offset + 1 + start + size;
    Ok((type_, bytes))
}
