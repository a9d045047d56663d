//! Arguments of scalar functions: the distinct values, and which row has which value.
//!
//! Columns of telemetry are mostly dictionaries of few values. A function that computes once for each value saves the work
//! for all rows that share it.

use crate::properties::lists_as_jsonb;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryDictionaryBuilder, BinaryViewArray, DictionaryArray, Float64Array,
    Int32Array, Int64Array, StringDictionaryBuilder, StringViewArray, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options, take};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use std::collections::HashMap;
use std::sync::Arc;

/// One argument of a call.
#[derive(Debug)]
pub(super) struct ArgColumn {
    /// Never a dictionary.
    values: ArrayRef,
    rows: RowIndex,
}

/// Maps a row to its value.
#[derive(Debug)]
enum RowIndex {
    /// Row i has value i.
    Identity,
    /// The row's dictionary key is the index.
    Keys(Int32Array),
    /// All rows have the only value.
    Constant,
}

impl ArgColumn {
    pub(super) fn new(value: &ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::from_array(array),
            ColumnarValue::Scalar(scalar) => {
                Ok(Self { values: without_dictionary(&scalar.to_array()?)?, rows: RowIndex::Constant })
            }
        }
    }

    pub(super) fn from_array(array: &ArrayRef) -> Result<Self> {
        match array.as_any_dictionary_opt() {
            // a filter keeps the whole dictionary: if it has more values than rows, computing by row is cheaper
            Some(dictionary) if dictionary.values().len() <= array.len() => {
                let keys = cast(dictionary.keys(), &DataType::Int32)?.as_primitive::<Int32Type>().clone();
                Ok(Self { values: dictionary.values().clone(), rows: RowIndex::Keys(keys) })
            }
            _ => Ok(Self { values: without_dictionary(array)?, rows: RowIndex::Identity }),
        }
    }

    /// The values, which several rows may share.
    pub(super) fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// Index of a row's value; `None` for a NULL key.
    pub(super) fn value_index(&self, row: usize) -> Option<usize> {
        match &self.rows {
            RowIndex::Identity => Some(row),
            RowIndex::Keys(keys) => keys.is_valid(row).then(|| keys.value(row) as usize),
            RowIndex::Constant => Some(0),
        }
    }

    /// Turns results for each value into results for each row.
    pub(super) fn scatter(&self, results: ArrayRef) -> Result<ArrayRef> {
        match &self.rows {
            RowIndex::Keys(keys) => Ok(take(&results, keys, None)?),
            RowIndex::Identity | RowIndex::Constant => Ok(results),
        }
    }

    fn values_as(&self, data_type: &DataType) -> Result<ArrayRef> {
        if self.values.data_type().is_null() {
            return Ok(new_null_array(data_type, self.values.len()));
        }
        // a number that does not fit is an error, not NULL
        let options = CastOptions { safe: false, ..CastOptions::default() };
        Ok(cast_with_options(&self.values, data_type, &options)?)
    }

    /// The values as bytes. Lists of properties become JSONB objects.
    pub(super) fn bytes(&self) -> Result<BinaryViewArray> {
        if matches!(self.values.data_type(), DataType::List(_)) {
            return lists_as_jsonb(self);
        }
        Ok(self.values_as(&DataType::BinaryView)?.as_binary_view().clone())
    }

    /// The values as texts.
    pub(super) fn texts(&self) -> Result<StringViewArray> {
        Ok(self.values_as(&DataType::Utf8View)?.as_string_view().clone())
    }

    /// The argument as a number for each row.
    pub(super) fn floats(&self) -> Result<impl Fn(usize) -> Option<f64>> {
        let values: Float64Array = self.values_as(&DataType::Float64)?.as_primitive::<Float64Type>().clone();
        Ok(move |row| self.value_index(row).filter(|i| values.is_valid(*i)).map(|i| values.value(i)))
    }

    /// The argument as a whole number for each row.
    pub(super) fn integers(&self) -> Result<impl Fn(usize) -> Option<i64>> {
        let values: Int64Array = self.values_as(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(move |row| self.value_index(row).filter(|i| values.is_valid(*i)).map(|i| values.value(i)))
    }
}

fn without_dictionary(array: &ArrayRef) -> Result<ArrayRef> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => Ok(take(dictionary.values(), dictionary.keys(), None)?),
        None => Ok(array.clone()),
    }
}

/// Calls `compute` with the value indexes of two arguments: once for each row, or, if one argument is constant, once for
/// each value of the other. The caller passes what it computed to [`Scatter::rows`].
pub(super) fn for_each_pair<'a>(
    first: &'a ArgColumn,
    second: &'a ArgColumn,
    rows: usize,
    mut compute: impl FnMut(Option<(usize, usize)>),
) -> Scatter<'a> {
    match (&first.rows, &second.rows) {
        (_, RowIndex::Constant) => {
            (0..first.values.len()).for_each(|i| compute(Some((i, 0))));
            Scatter(Some(first))
        }
        (RowIndex::Constant, _) => {
            (0..second.values.len()).for_each(|i| compute(Some((0, i))));
            Scatter(Some(second))
        }
        _ => {
            (0..rows).for_each(|row| compute(first.value_index(row).zip(second.value_index(row))));
            Scatter(None)
        }
    }
}

/// Turns what was computed by [`for_each_pair`] into results for each row.
#[must_use]
pub(super) struct Scatter<'a>(Option<&'a ArgColumn>);

impl Scatter<'_> {
    pub(super) fn rows(self, results: ArrayRef) -> Result<ArrayRef> {
        match self.0 {
            Some(input) => input.scatter(results),
            None => Ok(results),
        }
    }
}

/// `Dictionary(Int32, …)`
pub(super) fn dictionary_type(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}

/// Builds a dictionary of distinct texts.
pub(super) type TextDictionaryBuilder = StringDictionaryBuilder<Int32Type>;

/// Builds a dictionary of distinct byte strings.
pub(super) type BytesDictionaryBuilder = BinaryDictionaryBuilder<Int32Type>;

/// Computes a text from the bytes of each value.
pub(super) fn texts_of_bytes(
    input: &ArgColumn,
    compute: impl Fn(&[u8]) -> Option<String>,
) -> Result<ArrayRef> {
    let mut results = TextDictionaryBuilder::new();
    input.bytes()?.iter().for_each(|value| results.append_option(value.and_then(&compute)));
    input.scatter(Arc::new(results.finish()))
}

/// Assigns dictionary keys to lists, so that equal lists share a key. Arrow has no dictionary builder for lists.
#[derive(Debug, Default)]
pub(super) struct DistinctLists {
    known: HashMap<Vec<u8>, i32>,
    keys: Vec<Option<i32>>,
    content: Vec<u8>,
}

impl DistinctLists {
    pub(super) fn push_null(&mut self) {
        self.keys.push(None);
    }

    /// Appends the key of this list. True if the list is new: the caller appends it to the dictionary's values.
    pub(super) fn push<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.content.clear();
        for text in texts {
            self.content.extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.content.extend_from_slice(text.as_bytes());
        }
        let key = self.known.get(&self.content).copied();
        let next = self.known.len() as i32;
        self.keys.push(Some(key.unwrap_or(next)));
        if key.is_none() {
            self.known.insert(self.content.clone(), next);
        }
        key.is_none()
    }

    /// The dictionary of the keys and these values.
    pub(super) fn finish(self, values: ArrayRef) -> Result<ArrayRef> {
        Ok(Arc::new(DictionaryArray::try_new(Int32Array::from(self.keys), values)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringArray, UInt8Array};

    #[test]
    fn values_of_a_dictionary_are_there_once_and_null_keys_stay_null() {
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let keys = UInt8Array::from(vec![Some(1), None, Some(0), Some(1)]);
        let array: ArrayRef = Arc::new(DictionaryArray::try_new(keys, words).unwrap());
        let input = ArgColumn::from_array(&array).unwrap();
        assert_eq!(input.values().len(), 2);
        assert_eq!(
            (0..4).map(|row| input.value_index(row)).collect::<Vec<_>>(),
            [Some(1), None, Some(0), Some(1)]
        );
        let scattered = input.scatter(Arc::new(Int32Array::from(vec![10, 20]))).unwrap();
        assert_eq!(
            scattered.as_primitive::<Int32Type>(),
            &Int32Array::from(vec![Some(20), None, Some(10), Some(20)])
        );
    }

    #[test]
    fn a_dictionary_larger_than_its_rows_is_not_looked_through() {
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let array: ArrayRef = Arc::new(DictionaryArray::try_new(UInt8Array::from(vec![2]), words).unwrap());
        let input = ArgColumn::from_array(&array).unwrap();
        assert_eq!(input.texts().unwrap().iter().collect::<Vec<_>>(), [Some("c")]);
    }

    #[test]
    fn equal_lists_are_one_value_and_texts_do_not_run_together() {
        let mut lists = DistinctLists::default();
        assert!(lists.push(["ab", "c"]));
        assert!(lists.push(["a", "bc"]));
        assert!(!lists.push(["ab", "c"]));
        assert!(lists.push([]));
    }
}
