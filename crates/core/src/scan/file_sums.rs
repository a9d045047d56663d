//! Checksums within the files of partitions.
//!
//! Parquet has a place for a checksum in each page header, but the `parquet` crate writes none (version 59), and they would
//! not cover footers, indexes and page headers anyway. So a file of ours has, right before its footer, a table with a
//! CRC-32 for each 64 KiB of what is before the table. Nothing in the footer refers to it: to readers of Parquet it is a gap.
//! The catalog has a CRC-32 of the table and the footer, and where they begin.

use std::ops::Range;

/// Bytes with one checksum: more make small reads larger, fewer make the table larger.
pub(crate) const CHUNK: u64 = 64 << 10;
/// What a table begins with.
const MAGIC: &[u8; 8] = b"bvsums01";
/// Bytes behind the footer that say how long it is, and what kind of file this is.
const FOOTER_END: usize = 8;

/// Checksums of a file that is being written.
#[derive(Debug, Default)]
pub(crate) struct SumsWriter {
    table: Vec<u8>,
    chunk: crc32fast::Hasher,
    length: u64,
}

impl SumsWriter {
    /// Adds the bytes that come next.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK - self.length % CHUNK;
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.chunk.update(now);
            self.length += now.len() as u64;
            if self.length.is_multiple_of(CHUNK) {
                self.close_chunk();
            }
            bytes = later;
        }
    }

    fn close_chunk(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        self.table.extend_from_slice(&chunk.finalize().to_le_bytes());
    }

    /// Puts the table between the last bytes of a file and the footer that they end with. Returns what the catalog is to know:
    /// where the table begins, and the checksum from there on. `None` if there is no footer, and nothing is changed.
    pub(crate) fn finish(mut self, last: &mut Vec<u8>) -> Option<FileSums> {
        let footer_end = last.len().checked_sub(FOOTER_END)?;
        let length = u32::from_le_bytes(last.get(footer_end..footer_end + 4)?.try_into().ok()?);
        let footer = footer_end.checked_sub(length as usize)?;
        self.add(&last[..footer]);
        if !self.length.is_multiple_of(CHUNK) {
            self.close_chunk();
        }
        let table = [MAGIC.as_slice(), &self.table].concat();
        last.splice(footer..footer, table);
        Some(FileSums { at: self.length, crc: crc32fast::hash(&last[footer..]) })
    }
}

/// What the catalog knows of the checksums of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSums {
    /// Where their table begins.
    pub(crate) at: u64,
    /// CRC-32 of the file from there on.
    pub(crate) crc: u32,
}

impl FileSums {
    /// As the catalog has them.
    pub(crate) fn to_record(self) -> (i64, i64) {
        (self.at as i64, self.crc.into())
    }

    /// From the catalog, for a file of that size. `None` if there can be no such table.
    pub(crate) fn of_record((at, crc): (i64, i64), size: u64) -> Option<Self> {
        let sums = Self { at: u64::try_from(at).ok()?, crc: u32::try_from(crc).ok()? };
        (sums.table().end <= size).then_some(sums)
    }

    /// Where the table is.
    pub(crate) fn table(self) -> Range<u64> {
        self.at..self.at.saturating_add(MAGIC.len() as u64 + 4 * self.at.div_ceil(CHUNK))
    }

    /// The least parts of a file of `size` bytes that have these bytes and can be checked.
    pub(crate) fn around(self, range: &Range<u64>, size: u64) -> Range<u64> {
        let begin = if range.start < self.at { range.start / CHUNK * CHUNK } else { self.at };
        let end = match range.end {
            end if end > self.at => size,
            end => end.next_multiple_of(CHUNK).min(self.at),
        };
        begin..end
    }

    /// Checks such a part. What is before the table is checked against it: from `table` if that was read before, else from
    /// the part itself. The error says what is wrong.
    pub(crate) fn check(self, begin: u64, bytes: &[u8], table: &[u8]) -> Result<(), String> {
        let body = (self.at.saturating_sub(begin) as usize).min(bytes.len());
        let (body, tail) = bytes.split_at(body);
        if !tail.is_empty() && crc32fast::hash(tail) != self.crc {
            return Err(format!("the checksum from byte {} on is wrong", self.at));
        }
        let own = tail.get(..(self.table().end - self.at) as usize);
        let table = own.unwrap_or(table);
        let sums = table.get(MAGIC.len()..).unwrap_or_default();
        for (i, chunk) in body.chunks(CHUNK as usize).enumerate() {
            let number = (begin / CHUNK) as usize + i;
            let expected = sums.get(4 * number..4 * number + 4);
            if expected != Some(&crc32fast::hash(chunk).to_le_bytes()) {
                let first = number as u64 * CHUNK;
                return Err(format!(
                    "the checksum of the bytes {first} to {} is wrong",
                    first + chunk.len() as u64
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `body` bytes and a footer of `footer`, with its checksums.
    fn file(body: usize, footer: usize) -> (Vec<u8>, FileSums) {
        let mut bytes: Vec<u8> = (0..body).map(|i| (i * 7 % 251) as u8).collect();
        let mut sums = SumsWriter::default();
        // what comes before the end comes in pieces
        let early = body / 3;
        for piece in bytes[..early].chunks(1000) {
            sums.add(piece);
        }
        let mut last = bytes.split_off(early);
        last.extend((0..footer).map(|i| i as u8));
        last.extend((footer as u32).to_le_bytes());
        last.extend(b"PAR1");
        let sums = sums.finish(&mut last).unwrap();
        bytes.append(&mut last);
        (bytes, sums)
    }

    #[test]
    fn any_changed_byte_of_a_part_is_found_and_no_other_part_is_blamed() {
        let chunk = CHUNK as usize;
        for (body, footer) in [(4, 1), (chunk, 9), (chunk + 1, 70_000), (3 * chunk - 1, 500)] {
            let (bytes, sums) = file(body, footer);
            let size = bytes.len() as u64;
            let record = FileSums::of_record(sums.to_record(), size);
            assert_eq!((record, sums.at), (Some(sums), body as u64));
            let table = sums.table();
            let table = &bytes[table.start as usize..table.end as usize];
            for asked in [0..1, 0..size, sums.at.saturating_sub(1)..sums.at, sums.at..size, size - 8..size] {
                let part = sums.around(&asked, size);
                assert!(part.start <= asked.start && part.end >= asked.end, "{asked:?} {part:?}");
                let here = |bytes: &[u8]| {
                    sums.check(part.start, &bytes[part.start as usize..part.end as usize], table)
                };
                assert_eq!(here(&bytes), Ok(()));
                for place in (0..bytes.len()).step_by(977).chain([0, body - 1, body, bytes.len() - 1]) {
                    let mut damaged = bytes.clone();
                    damaged[place] ^= 1 << (place % 8);
                    let is_in = part.contains(&(place as u64));
                    assert_eq!(here(&damaged).is_err(), is_in, "byte {place} in {part:?}");
                }
            }
        }
    }

    #[test]
    fn a_record_that_no_file_of_that_size_can_have_is_none() {
        for record in [(-1, 0), (0, -1), (0, 1 << 32), (90, 0), (i64::MAX, 0)] {
            assert_eq!(FileSums::of_record(record, 100), None, "{record:?}");
        }
    }
}
