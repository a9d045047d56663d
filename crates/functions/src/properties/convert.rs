//! Properties from one shape to another, and how many there are.

use super::shapes::PropertySets;
use crate::arg_column::{ArgColumn, BytesDictionaryBuilder, DistinctLists, dictionary_type};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{BinaryViewArray, Int32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use belvedere_model::jsonb::Jsonb;
use belvedere_view::properties::{list_type, to_list};
use datafusion::error::Result;
use std::sync::Arc;

pub(super) const LENGTH: ScalarFunction = ScalarFunction {
    name: "properties_length",
    parameters: &[("properties", Kind::Properties)],
    result: |_| DataType::Int32,
    evaluate: |inputs, _| {
        let sets = PropertySets::new(&inputs[0])?;
        let counts = (0..sets.len()).map(|set| sets.count(set).map(|count| count as i32));
        inputs[0].scatter(Arc::new(counts.collect::<Int32Array>()))
    },
};

pub(super) const TO_ARRAY: ScalarFunction = ScalarFunction {
    name: "properties_to_array",
    parameters: &[("properties", Kind::PropertiesOrDictionary)],
    result: |arguments| match arguments {
        [DataType::Dictionary(_, values)] => values.as_ref().clone(),
        [other] => other.clone(),
        _ => DataType::Null,
    },
    evaluate: |inputs, rows| {
        let input = &inputs[0];
        let places: Int32Array =
            (0..rows).map(|row| input.value_index(row).map(|place| place as i32)).collect();
        Ok(take(input.values(), &places, None)?)
    },
};

pub(super) const TO_DICT: ScalarFunction = ScalarFunction {
    name: "properties_to_dict",
    parameters: &[("properties", Kind::Properties)],
    result: |_| dictionary_type(list_type()),
    evaluate: |inputs, _| {
        let sets = PropertySets::new(&inputs[0])?;
        let mut lists = DistinctLists::default();
        let mut distinct: Vec<Vec<(String, String)>> = Vec::new();
        for set in 0..sets.len() {
            match sets.pairs(set) {
                Some(pairs) => {
                    if lists.push(pairs.iter().flat_map(|(k, v)| [k.as_ref(), v.as_ref()])) {
                        let owned = pairs.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned()));
                        distinct.push(owned.collect());
                    }
                }
                None => lists.push_null(),
            }
        }
        inputs[0].scatter(lists.finish(to_list(distinct.iter().map(Vec::as_slice)))?)
    },
};

pub(super) const TO_JSONB: ScalarFunction = ScalarFunction {
    name: "properties_to_jsonb",
    parameters: &[("properties", Kind::Properties)],
    result: |_| dictionary_type(DataType::Binary),
    evaluate: |inputs, _| {
        let mut results = BytesDictionaryBuilder::new();
        inputs[0].bytes()?.iter().for_each(|value| results.append_option(value));
        inputs[0].scatter(Arc::new(results.finish()))
    },
};

/// DistinctLists of properties as JSONB objects.
pub(crate) fn lists_as_jsonb(input: &ArgColumn) -> Result<BinaryViewArray> {
    let sets = PropertySets::new(input)?;
    let objects = (0..sets.len()).map(|set| {
        let pairs = sets.pairs(set)?;
        Some(Jsonb::encode_texts(pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref()))))
    });
    Ok(objects.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::get;
    use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, UInt16Array};
    use arrow::compute::cast;
    use arrow::datatypes::Int32Type;
    use datafusion::logical_expr::ColumnarValue;
    use datafusion::scalar::ScalarValue;

    /// DistinctLists in a dictionary; the key of the second row is NULL.
    fn shared() -> ArgColumn {
        let two = [("b".to_owned(), "x".to_owned()), ("a".to_owned(), "y".to_owned())];
        let keys = UInt16Array::from(vec![Some(0), None, Some(1), Some(0)]);
        let array: ArrayRef =
            Arc::new(DictionaryArray::try_new(keys, to_list([two.as_slice(), &[]])).unwrap());
        ArgColumn::from_array(&array).unwrap()
    }

    fn counts(input: ArgColumn) -> Vec<Option<i32>> {
        (LENGTH.evaluate)(&[input], 4).unwrap().as_primitive::<Int32Type>().iter().collect()
    }

    #[test]
    fn a_list_has_its_length_and_its_jsonb_has_the_same() {
        let expected = [Some(2), None, Some(0), Some(2)];
        assert_eq!(counts(shared()), expected);
        let jsonb = (TO_JSONB.evaluate)(&[shared()], 4).unwrap();
        assert_eq!(jsonb.data_type(), &dictionary_type(DataType::Binary));
        assert_eq!(counts(ArgColumn::from_array(&jsonb).unwrap()), expected);
    }

    #[test]
    fn written_out_and_shared_again_lists_are_the_same() {
        let plain = (TO_ARRAY.evaluate)(&[shared()], 4).unwrap();
        assert_eq!(plain.data_type(), &list_type());
        assert!(plain.is_null(1));
        let dictionary = (TO_DICT.evaluate)(&[ArgColumn::from_array(&plain).unwrap()], 4).unwrap();
        assert_eq!(dictionary.data_type(), &dictionary_type(list_type()));
        assert_eq!(dictionary.as_any_dictionary().values().len(), 2);
        let again = (TO_ARRAY.evaluate)(&[ArgColumn::from_array(&dictionary).unwrap()], 4).unwrap();
        assert_eq!(&again, &plain);
    }

    #[test]
    fn a_property_is_found_in_a_dictionary_of_lists() {
        let name = ArgColumn::new(&ColumnarValue::Scalar(ScalarValue::from("A"))).unwrap();
        let found = cast(&(get::GET.evaluate)(&[shared(), name], 4).unwrap(), &DataType::Utf8).unwrap();
        assert_eq!(found.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("y"), None, None, Some("y")]);
    }
}
