//! Rows of many blocks in the order of their time.
//!
//! Blocks of one stream come one after the other, and their events nearly so: mostly there is little to do. So a
//! block that is out of order by itself is sorted by itself, blocks that don't overlap are handed on as they are,
//! and only what is left is merged row by row.

use crate::error::Result;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, UInt32Array, new_empty_array,
};
use arrow::compute::{concat, interleave, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, SchemaRef, TimestampNanosecondType};
use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;

/// Rows that are handed on at once.
const CHUNK: usize = 16 << 10;
/// So many rows of one batch that follow each other are handed on as they are.
const LONG: usize = 512;

/// Hands on all rows in ascending order of the instants in column `key`. Rows of one batch with the same instant
/// stay in their order.
pub(crate) fn in_time_order(
    batches: Vec<RecordBatch>,
    key: usize,
    mut hand_on: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let mut sorted = Vec::with_capacity(batches.len());
    for batch in batches.into_iter().filter(|b| b.num_rows() > 0) {
        sorted.push(sort_one(batch, key)?);
    }
    sorted.sort_by_key(|batch| times(batch, key).first().copied());
    // runs of batches that overlap; others stand alone
    let mut run: Vec<RecordBatch> = Vec::new();
    let mut run_end = i64::MIN;
    for batch in sorted {
        let (first, last) = match times(&batch, key) {
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
            [] => continue,
        };
        if first < run_end {
            run_end = run_end.max(last);
        } else {
            merge(std::mem::take(&mut run), key, &mut hand_on)?;
            run_end = last;
        }
        run.push(batch);
    }
    merge(run, key, &mut hand_on)
}

fn times(batch: &RecordBatch, key: usize) -> &[i64] {
    batch.column(key).as_primitive::<TimestampNanosecondType>().values()
}

fn sort_one(batch: RecordBatch, key: usize) -> Result<RecordBatch> {
    let keys = times(&batch, key);
    if keys.is_sorted() {
        return Ok(batch);
    }
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_by_key(|i| keys[*i as usize]);
    Ok(take_record_batch(&batch, &UInt32Array::from(order))?)
}

fn merge(
    batches: Vec<RecordBatch>,
    key: usize,
    hand_on: &mut impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    if batches.len() <= 1 {
        return batches.into_iter().try_for_each(hand_on);
    }
    let schema = batches[0].schema();
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut order: Vec<(i64, u32, u32)> = Vec::with_capacity(rows);
    for (b, batch) in batches.iter().enumerate() {
        order.extend(times(batch, key).iter().enumerate().map(|(row, t)| (*t, b as u32, row as u32)));
    }
    // stable, and quick on what consists of sorted runs
    order.sort_by_key(|(time, _, _)| *time);
    let order = pieces(&order);
    if order.iter().all(|piece| matches!(piece, Piece::Slice { .. })) {
        return order.into_iter().try_for_each(|piece| match piece {
            Piece::Slice { batch, row, rows } => hand_on(batches[batch].slice(row, rows)),
            Piece::Mixed(_) => Ok(()),
        });
    }
    let columns: Vec<Vec<ArrayRef>> =
        (0..schema.fields().len()).map(|c| one_dictionary(&batches, c)).collect::<Result<_>>()?;
    let mut indices = Vec::with_capacity(CHUNK);
    for piece in order {
        match piece {
            Piece::Slice { batch, row, rows } => hand_on(batches[batch].slice(row, rows))?,
            Piece::Mixed(rows) => {
                for chunk in rows.chunks(CHUNK) {
                    indices.clear();
                    indices.extend(chunk.iter().map(|(_, batch, row)| (*batch as usize, *row as usize)));
                    hand_on(pick(&columns, &indices, &schema)?)?;
                }
            }
        }
    }
    Ok(())
}

/// Rows that are handed on together.
enum Piece<'a> {
    /// Rows of one batch that follow each other.
    Slice { batch: usize, row: usize, rows: usize },
    /// Rows of several.
    Mixed(&'a [(i64, u32, u32)]),
}

/// Divides rows in order into long slices of one batch and what is between them.
fn pieces(order: &[(i64, u32, u32)]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut mixed, mut start) = (0, 0);
    while start < order.len() {
        let (_, batch, row) = order[start];
        let follows =
            |(i, (_, b, r)): (usize, &(i64, u32, u32))| *b == batch && *r as usize == row as usize + i;
        let rows = order[start..].iter().enumerate().take_while(|next| follows(*next)).count();
        if rows >= LONG {
            if mixed < start {
                pieces.push(Piece::Mixed(&order[mixed..start]));
            }
            pieces.push(Piece::Slice { batch: batch as usize, row: row as usize, rows });
            mixed = start + rows;
        }
        start += rows;
    }
    if mixed < order.len() {
        pieces.push(Piece::Mixed(&order[mixed..]));
    }
    pieces
}

fn pick(columns: &[Vec<ArrayRef>], indices: &[(usize, usize)], schema: &SchemaRef) -> Result<RecordBatch> {
    let arrays = columns.iter().map(|arrays| -> Result<ArrayRef> {
        if !matches!(arrays[0].data_type(), DataType::Dictionary(key, _) if **key == DataType::Int32) {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            return Ok(interleave(&arrays, indices)?);
        }
        // all have the same values: only keys are to be picked
        let dictionaries: Vec<_> = arrays.iter().map(|a| a.as_dictionary::<Int32Type>()).collect();
        let keys: Vec<&dyn Array> = dictionaries.iter().map(|d| d.keys() as &dyn Array).collect();
        let keys = interleave(&keys, indices)?.as_primitive::<Int32Type>().clone();
        Ok(Arc::new(DictionaryArray::try_new(keys, dictionaries[0].values().clone())?))
    });
    Ok(RecordBatch::try_new(schema.clone(), arrays.collect::<Result<_>>()?)?)
}

/// Gives the dictionaries of one column the same values; other columns are left as they are.
fn one_dictionary(batches: &[RecordBatch], column: usize) -> Result<Vec<ArrayRef>> {
    let arrays: Vec<ArrayRef> = batches.iter().map(|b| b.column(column).clone()).collect();
    let DataType::Dictionary(_, value_type) = arrays[0].data_type() else { return Ok(arrays) };
    let is_text = **value_type == DataType::Utf8;
    if arrays[0].as_any_dictionary_opt().is_none() || !(is_text || **value_type == DataType::Binary) {
        return Ok(arrays);
    }
    let dictionaries: Vec<&DictionaryArray<Int32Type>> =
        arrays.iter().map(|a| a.as_dictionary::<Int32Type>()).collect();
    let mut numbers: HashMap<Option<&[u8]>, i32> = HashMap::new();
    let mut values: Vec<ArrayRef> = Vec::new();
    let mut keys: Vec<Int32Array> = Vec::new();
    for dictionary in &dictionaries {
        let before = numbers.len();
        let mut new = Vec::new();
        let mut mapped = Vec::with_capacity(dictionary.values().len());
        for i in 0..dictionary.values().len() {
            let value = dictionary.values();
            let value = match (value.is_null(i), is_text) {
                (true, _) => None,
                (false, true) => Some(value.as_string::<i32>().value(i).as_bytes()),
                (false, false) => Some(value.as_binary::<i32>().value(i)),
            };
            let next = (before + new.len()) as i32;
            mapped.push(*numbers.entry(value).or_insert_with(|| {
                new.push(i as u32);
                next
            }));
        }
        values.push(arrow::compute::take(dictionary.values(), &UInt32Array::from(new), None)?);
        // a key of a NULL may point anywhere
        keys.push(dictionary.keys().unary(|k| mapped.get(k as usize).copied().unwrap_or(0)));
    }
    let parts: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    let values = if parts.is_empty() { new_empty_array(value_type) } else { concat(&parts)? };
    let unified = keys
        .into_iter()
        .map(|keys| -> Result<ArrayRef> { Ok(Arc::new(DictionaryArray::try_new(keys, values.clone())?)) });
    unified.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringArray, TimestampNanosecondArray};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_in_the_order_of_a_stable_sort_with_the_values_that_they_had(
            blocks in prop::collection::vec(prop::collection::vec((0_i64..50, 0_u8..5), 0..40), 0..8),
        ) {
            let batches = blocks.iter().map(|rows| {
                let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|r| r.0));
                let texts: StringArray = rows.iter().map(|r| (r.1 > 0).then(|| format!("text {}", r.1))).collect();
                let labels: DictionaryArray<Int32Type> =
                    rows.iter().map(|r| (r.1 > 0).then_some(["", "a", "b", "c", "d"][r.1 as usize])).collect();
                RecordBatch::try_from_iter_with_nullable([
                    ("time", Arc::new(times) as ArrayRef, false),
                    ("text", Arc::new(texts) as ArrayRef, true),
                    ("label", Arc::new(labels) as ArrayRef, true),
                ]).unwrap()
            });
            let mut found = Vec::new();
            in_time_order(batches.collect(), 0, |batch| {
                let labels = batch.column(2).as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
                for row in 0..batch.num_rows() {
                    let text = batch.column(1).as_string::<i32>();
                    let text = text.is_valid(row).then(|| text.value(row).to_owned());
                    let label = labels.into_iter().nth(row).unwrap().map(str::to_owned);
                    found.push((times(&batch, 0)[row], text, label));
                }
                Ok(())
            }).unwrap();
            let mut expected: Vec<(i64, Option<String>, Option<String>)> = blocks.iter().flatten().map(|(t, n)| {
                let is_some = *n > 0;
                (*t, is_some.then(|| format!("text {n}")), is_some.then(|| ["", "a", "b", "c", "d"][*n as usize].to_owned()))
            }).collect();
            // which of two blocks with the same instant comes first is not said
            expected.sort();
            prop_assert!(found.is_sorted_by_key(|row| row.0));
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
