//! Arguments as scalar functions look at them: each shared value once, and which row has which.

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
pub(super) struct Input {
    /// Never a dictionary.
    values: ArrayRef,
    places: Places,
}

/// Which value each row has.
#[derive(Debug)]
enum Places {
    /// Its own.
    Own,
    /// That of a dictionary's key.
    Keys(Int32Array),
    /// The only one.
    Constant,
}

impl Input {
    pub(super) fn new(value: &ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(scalar) => {
                Ok(Self { values: unpacked(&scalar.to_array()?)?, places: Places::Constant })
            }
        }
    }

    pub(super) fn of_array(array: &ArrayRef) -> Result<Self> {
        match array.as_any_dictionary_opt() {
            // a filter leaves the dictionary as large as it was
            Some(dictionary) if dictionary.values().len() <= array.len() => {
                let keys = cast(dictionary.keys(), &DataType::Int32)?.as_primitive::<Int32Type>().clone();
                Ok(Self { values: dictionary.values().clone(), places: Places::Keys(keys) })
            }
            _ => Ok(Self { values: unpacked(array)?, places: Places::Own }),
        }
    }

    /// The values that rows share.
    pub(super) fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// Where among the values that of a row is.
    pub(super) fn place(&self, row: usize) -> Option<usize> {
        match &self.places {
            Places::Own => Some(row),
            Places::Keys(keys) => keys.is_valid(row).then(|| keys.value(row) as usize),
            Places::Constant => Some(0),
        }
    }

    /// What was computed for each value becomes that of each row.
    pub(super) fn spread(&self, results: ArrayRef) -> Result<ArrayRef> {
        match &self.places {
            Places::Keys(keys) => Ok(take(&results, keys, None)?),
            Places::Own | Places::Constant => Ok(results),
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

    /// The values as bytes: what is a list of properties as a JSONB object.
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
        Ok(move |row| self.place(row).filter(|i| values.is_valid(*i)).map(|i| values.value(i)))
    }

    /// The argument as a whole number for each row.
    pub(super) fn integers(&self) -> Result<impl Fn(usize) -> Option<i64>> {
        let values: Int64Array = self.values_as(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
        Ok(move |row| self.place(row).filter(|i| values.is_valid(*i)).map(|i| values.value(i)))
    }
}

fn unpacked(array: &ArrayRef) -> Result<ArrayRef> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => Ok(take(dictionary.values(), dictionary.keys(), None)?),
        None => Ok(array.clone()),
    }
}

/// Calls `compute` for the values of two arguments that each row has: where one of them is constant, once for each
/// value of the other. What comes out has to be spread.
pub(super) fn of_two<'a>(
    first: &'a Input,
    second: &'a Input,
    rows: usize,
    mut compute: impl FnMut(Option<(usize, usize)>),
) -> Spread<'a> {
    match (&first.places, &second.places) {
        (_, Places::Constant) => {
            (0..first.values.len()).for_each(|i| compute(Some((i, 0))));
            Spread(Some(first))
        }
        (Places::Constant, _) => {
            (0..second.values.len()).for_each(|i| compute(Some((0, i))));
            Spread(Some(second))
        }
        _ => {
            (0..rows).for_each(|row| compute(first.place(row).zip(second.place(row))));
            Spread(None)
        }
    }
}

/// How results become those of rows.
#[must_use]
pub(super) struct Spread<'a>(Option<&'a Input>);

impl Spread<'_> {
    pub(super) fn rows(self, results: ArrayRef) -> Result<ArrayRef> {
        match self.0 {
            Some(input) => input.spread(results),
            None => Ok(results),
        }
    }
}

/// `Dictionary(Int32, …)`
pub(super) fn dictionary_of(values: DataType) -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(values))
}

/// Texts of which each is kept once.
pub(super) type Texts = StringDictionaryBuilder<Int32Type>;

/// Byte strings of which each is kept once.
pub(super) type Bytes = BinaryDictionaryBuilder<Int32Type>;

/// A text for each value of `input`, which are bytes.
pub(super) fn texts_of_bytes(input: &Input, compute: impl Fn(&[u8]) -> Option<String>) -> Result<ArrayRef> {
    let mut results = Texts::new();
    input.bytes()?.iter().for_each(|value| results.append_option(value.and_then(&compute)));
    input.spread(Arc::new(results.finish()))
}

/// Keys of a dictionary under construction whose values are lists: each list is kept once.
#[derive(Debug, Default)]
pub(super) struct Lists {
    known: HashMap<Vec<u8>, i32>,
    keys: Vec<Option<i32>>,
    content: Vec<u8>,
}

impl Lists {
    pub(super) fn push_null(&mut self) {
        self.keys.push(None);
    }

    /// Whether a list of these texts is a new one, which has to become the next value of the dictionary.
    pub(super) fn is_new<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> bool {
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

    /// The dictionary with the values that were new.
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
        let input = Input::of_array(&array).unwrap();
        assert_eq!(input.values().len(), 2);
        assert_eq!((0..4).map(|row| input.place(row)).collect::<Vec<_>>(), [Some(1), None, Some(0), Some(1)]);
        let spread = input.spread(Arc::new(Int32Array::from(vec![10, 20]))).unwrap();
        assert_eq!(
            spread.as_primitive::<Int32Type>(),
            &Int32Array::from(vec![Some(20), None, Some(10), Some(20)])
        );
    }

    #[test]
    fn a_dictionary_larger_than_its_rows_is_not_looked_through() {
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let array: ArrayRef = Arc::new(DictionaryArray::try_new(UInt8Array::from(vec![2]), words).unwrap());
        let input = Input::of_array(&array).unwrap();
        assert_eq!(input.texts().unwrap().iter().collect::<Vec<_>>(), [Some("c")]);
    }

    #[test]
    fn equal_lists_are_one_value_and_texts_do_not_run_together() {
        let mut lists = Lists::default();
        assert!(lists.is_new(["ab", "c"]));
        assert!(lists.is_new(["a", "bc"]));
        assert!(!lists.is_new(["ab", "c"]));
        assert!(lists.is_new([]));
    }
}
