//! A Parquet column chunk of texts or bytes that come as keys of Arrow dictionaries.
//!
//! The Parquet library looks up the value of each row in a hash table, whatever it comes as. For the columns that
//! say which process, stream, block, target or name a row is of, that is most of the work of writing a file. Here
//! only the values of the dictionaries are looked up, once for each batch; a row costs one look into an array.
//!
//! Hashing each row took a third of the time to materialize messages (docs/performance.md has what it takes now). It is issue
//! 10465 of apache/arrow-rs, "Avoid re-encoding dictionaries when writing to Parquet". Pull request 9520, "perf:
//! DictionaryArray passthrough optimization for Parquet writer", was closed; 10862, "perf(parquet): cache dictionary key
//! lookups when writing dictionary arrays", is open. When a release looks up each value of a dictionary once, and
//! `cargo xtask bench` says that materializing is no slower with it, this module goes.
//!
//! Format: a dictionary page (PLAIN: length as u32, bytes), then data pages (RLE_DICTIONARY: bit width as u8, then
//! runs and bit-packed groups as in the format's "RLE/Bit-Packing Hybrid"), each compressed. Rows have no NULLs, so
//! pages have no levels. <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

use crate::error::{Context, Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::{DataType, Int32Type};
use bytes::Bytes;
use foldhash::HashMap;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Rows of a page.
const PAGE_ROWS: usize = 20_000;
/// Values of a bit-packed group.
const GROUP: usize = 8;
/// No number yet.
const UNKNOWN: u32 = u32::MAX;
/// Longer values are not worth their place among the statistics.
const LONGEST_STATISTIC: usize = 64;

/// The rows of one column of one row group.
pub(super) struct DictionaryColumn {
    descr: ColumnDescPtr,
    has_statistics: bool,
    /// Numbers of the values so far.
    numbers: HashMap<Box<[u8]>, u32>,
    /// The values so far, as they stand in the dictionary page.
    dictionary: Vec<u8>,
    /// The number of each row's value.
    rows: Vec<u32>,
    /// The Arrow dictionary that was met last, and the numbers of its values.
    last: Option<(ArrayRef, Vec<u32>)>,
}

impl DictionaryColumn {
    pub(super) fn new(descr: ColumnDescPtr, has_statistics: bool) -> Self {
        Self {
            descr,
            has_statistics,
            numbers: HashMap::default(),
            dictionary: Vec::new(),
            rows: Vec::new(),
            last: None,
        }
    }

    /// Adds rows, none of which is NULL.
    pub(super) fn push(&mut self, rows: &DictionaryArray<Int32Type>) -> Result<()> {
        if rows.logical_null_count() > 0 {
            return Err(Error::other(format!("the column {} has a NULL", self.descr.name())));
        }
        let values = rows.values();
        let mut numbers = match self.last.take() {
            Some((array, numbers)) if array.to_data().ptr_eq(&values.to_data()) => numbers,
            _ => vec![UNKNOWN; values.len()],
        };
        self.rows.reserve(rows.len());
        for key in rows.keys().values() {
            let number = &mut numbers[*key as usize];
            if *number == UNKNOWN {
                *number = self.number_of(values, *key as usize);
            }
            self.rows.push(*number);
        }
        self.last = Some((values.clone(), numbers));
        Ok(())
    }

    fn number_of(&mut self, values: &ArrayRef, i: usize) -> u32 {
        let value = match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().value(i).as_bytes(),
            _ => values.as_binary::<i32>().value(i),
        };
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.dictionary.extend((value.len() as u32).to_le_bytes());
        self.dictionary.extend(value);
        self.numbers.insert(value.into(), number);
        number
    }

    /// Bytes of the dictionary so far.
    pub(super) fn dictionary_bytes(&self) -> usize {
        self.dictionary.len()
    }

    /// Bytes of memory that it holds, nearly.
    pub(super) fn memory(&self) -> usize {
        2 * self.dictionary.len() + self.rows.capacity() * size_of::<u32>()
    }

    /// The bytes of the column chunk, and what there is to say of it.
    pub(super) fn finish(
        self,
        zstd: &mut zstd::bulk::Compressor<'static>,
        level: i32,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let mut chunk = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut chunk);
        let (mut plain_bytes, mut bytes) = (0, 0);
        let mut write = |raw: &[u8], page: fn(Bytes, u32) -> Page, values: usize| -> Result<_> {
            let compressed = zstd.compress(raw).context("compressing a page")?;
            let page = CompressedPage::new(page(compressed.into(), values as u32), raw.len());
            let written = pages.write_page(page)?;
            plain_bytes += written.uncompressed_size as i64;
            bytes += written.compressed_size as i64;
            Ok(written)
        };
        let dictionary = |buf, num_values| Page::DictionaryPage {
            buf,
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        write(&self.dictionary, dictionary, self.numbers.len())?;
        let data = |buf, num_values| Page::DataPage {
            buf,
            num_values,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let width = bit_width(self.numbers.len());
        let mut index = OffsetIndexBuilder::new();
        let mut first = None;
        let mut raw = Vec::new();
        for rows in self.rows.chunks(PAGE_ROWS) {
            raw.clear();
            raw.push(width);
            encode(rows, width, &mut raw);
            let page = write(&raw, data, rows.len())?;
            first.get_or_insert(page.offset as i64);
            index.append_row_count(rows.len() as i64);
            index.append_offset_and_size(page.offset as i64, page.compressed_size as i32);
        }
        let rows = self.rows.len() as u64;
        let mut metadata = ColumnChunkMetaData::builder(self.descr.clone())
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(level)?))
            .set_num_values(rows as i64)
            .set_total_compressed_size(bytes)
            .set_total_uncompressed_size(plain_bytes)
            .set_data_page_offset(first.unwrap_or_default())
            .set_dictionary_page_offset(Some(0));
        if let Some(statistics) = self.statistics() {
            metadata = metadata.set_statistics(statistics);
        }
        let chunk = Bytes::from(chunk.into_inner()?);
        let close = ColumnCloseResult {
            bytes_written: chunk.len() as u64,
            rows_written: rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok((chunk, close))
    }

    fn statistics(&self) -> Option<Statistics> {
        let least = self.numbers.keys().min()?;
        let greatest = self.numbers.keys().max()?;
        if !self.has_statistics || least.len().max(greatest.len()) > LONGEST_STATISTIC {
            return None;
        }
        let bound = |value: &[u8]| Some(ByteArray::from(value.to_vec()));
        let distinct = Some(self.numbers.len() as u64);
        let statistics = ValueStatistics::new(bound(least), bound(greatest), distinct, Some(0), false);
        Some(Statistics::ByteArray(statistics))
    }
}

/// Bits that numbers below `count` take.
fn bit_width(count: usize) -> u8 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()) as u8
}

/// Appends values as runs of equal ones and groups of eight that are packed.
fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    // values before `packed` are out, those from there to `i` wait for being packed
    let (mut packed, mut i) = (0, 0);
    while i < values.len() {
        let run = values[i..].iter().take_while(|v| **v == values[i]).count();
        // a run may only begin where a group of eight ends
        let missing = (GROUP - (i - packed) % GROUP) % GROUP;
        if run < missing + GROUP {
            i += run;
            continue;
        }
        pack(&values[packed..i + missing], width, out);
        let rest = run - missing;
        varint((rest as u64) << 1, out);
        out.extend(&values[i].to_le_bytes()[..usize::from(width).div_ceil(8)]);
        i += run;
        packed = i;
    }
    pack(&values[packed..], width, out);
}

/// Appends values in groups of eight, the last one filled up with zeros.
fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    varint(((groups as u64) << 1) | 1, out);
    let (mut bits, mut count) = (0_u64, 0_u32);
    for i in 0..groups * GROUP {
        bits |= u64::from(values.get(i).copied().unwrap_or(0)) << count;
        count += u32::from(width);
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the format back, after its description.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < count {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let mut value = [0; 4];
                let size = usize::from(width).div_ceil(8);
                value[..size].copy_from_slice(&bytes[..size]);
                bytes = &bytes[size..];
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), (header >> 1) as usize));
            } else {
                let size = (header >> 1) as usize * usize::from(width);
                let (groups, rest) = bytes.split_at(size);
                bytes = rest;
                for i in 0..(header >> 1) as usize * GROUP {
                    let bit = |b: usize| u32::from(groups[b / 8] >> (b % 8) & 1);
                    values.push((0..usize::from(width)).map(|b| bit(i * usize::from(width) + b) << b).sum());
                }
            }
        }
        assert!(bytes.is_empty(), "bytes are left");
        values.truncate(count);
        values
    }

    proptest! {
        #[test]
        fn runs_and_groups_come_back_as_they_were(
            runs in prop::collection::vec((0_u32..1 << 20, 1_usize..40), 0..60),
            bits in 0_u32..21,
        ) {
            let values: Vec<u32> =
                runs.iter().flat_map(|(v, n)| std::iter::repeat_n(v & ((1 << bits) - 1), *n)).collect();
            let width = bit_width(values.iter().max().map_or(1, |v| *v as usize + 1));
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len()), values);
        }
    }

    #[test]
    fn as_many_bits_as_numbers_need() {
        assert_eq!([0, 1, 2, 3, 4, 5, 256, 257].map(bit_width), [0, 0, 1, 2, 2, 3, 8, 9]);
    }
}
