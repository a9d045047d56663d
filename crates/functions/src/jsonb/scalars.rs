//! What a JSONB value is, and what is in it.

use crate::arg_column::{ArgColumn, BytesDictionaryBuilder, dictionary_type, for_each_pair, texts_of_bytes};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use belvedere_model::jsonb::Jsonb;
use datafusion::error::Result;
use std::sync::Arc;

pub(super) const ARRAY_LENGTH: ScalarFunction = ScalarFunction {
    name: "jsonb_array_length",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Int64,
    evaluate: |inputs, _| {
        integers(&inputs[0], |bytes| {
            Jsonb::new(bytes)?.raw().array_length().ok()?.map(|length| length as i64)
        })
    },
};

pub(super) const AS_F64: ScalarFunction = ScalarFunction {
    name: "jsonb_as_f64",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Float64,
    evaluate: |inputs, _| {
        let values = inputs[0].bytes()?;
        let floats = values.iter().map(|value| Jsonb::new(value?)?.raw().as_f64().ok()?);
        inputs[0].scatter(Arc::new(floats.collect::<Float64Array>()))
    },
};

pub(super) const AS_I64: ScalarFunction = ScalarFunction {
    name: "jsonb_as_i64",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Int64,
    evaluate: |inputs, _| integers(&inputs[0], |bytes| Jsonb::new(bytes)?.raw().as_i64().ok()?),
};

pub(super) const AS_STRING: ScalarFunction = ScalarFunction {
    name: "jsonb_as_string",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| dictionary_type(DataType::Utf8),
    evaluate: |inputs, _| {
        texts_of_bytes(&inputs[0], |bytes| {
            Jsonb::new(bytes)?.raw().as_str().ok()?.map(|text| text.into_owned())
        })
    },
};

pub(super) const GET: ScalarFunction = ScalarFunction {
    name: "jsonb_get",
    parameters: &[("j", Kind::Jsonb), ("name", Kind::Text)],
    result: |_| dictionary_type(DataType::Binary),
    evaluate: |inputs, rows| {
        let (values, names) = (inputs[0].bytes()?, inputs[1].texts()?);
        let member = |(value, name): (usize, usize)| {
            if values.is_null(value) || names.is_null(name) {
                return None;
            }
            Some(Jsonb::new(values.value(value))?.raw().get_by_name(names.value(name), true).ok()??.to_vec())
        };
        let mut results = BytesDictionaryBuilder::new();
        let scatter = for_each_pair(&inputs[0], &inputs[1], rows, |indexes| {
            results.append_option(indexes.and_then(member));
        });
        scatter.rows(Arc::new(results.finish()))
    },
};

pub(super) const OBJECT_KEYS: ScalarFunction = ScalarFunction {
    name: "jsonb_object_keys",
    parameters: &[("j", Kind::Jsonb)],
    // not each distinct list once: unnest and the engine's functions of lists don't take a dictionary
    result: |_| DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    evaluate: |inputs, _| {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for value in inputs[0].bytes()?.iter() {
            match value.and_then(|value| Jsonb::new(value)?.names()) {
                Some(names) => {
                    names.iter().for_each(|name| lists.values().append_value(name));
                    lists.append(true);
                }
                None => lists.append(false),
            }
        }
        inputs[0].scatter(Arc::new(lists.finish()))
    },
};

fn integers(input: &ArgColumn, compute: impl Fn(&[u8]) -> Option<i64>) -> Result<ArrayRef> {
    let values = input.bytes()?;
    input.scatter(Arc::new(values.iter().map(|value| compute(value?)).collect::<Int64Array>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonb::{path, text};
    use arrow::array::{AsArray, BinaryArray, DictionaryArray, StringArray, UInt8Array};
    use arrow::compute::cast;
    use arrow::datatypes::Int64Type;
    use datafusion::logical_expr::ColumnarValue;
    use datafusion::scalar::ScalarValue;
    use proptest::prelude::*;

    fn input(array: impl Array + 'static) -> ArgColumn {
        ArgColumn::from_array(&(Arc::new(array) as ArrayRef)).unwrap()
    }

    fn constant(text: &str) -> ArgColumn {
        ArgColumn::new(&ColumnarValue::Scalar(ScalarValue::from(text))).unwrap()
    }

    fn jsonb(json: &str) -> Vec<u8> {
        ::jsonb::parse_owned_jsonb_standard_mode(json.as_bytes()).unwrap().to_vec()
    }

    /// Rows 0 and 4 have `{"a":7}`; the key of row 1 is NULL, the value of row 2 is NULL, that of row 3 damaged.
    fn shared() -> ArgColumn {
        let sound = jsonb(r#"{"a":7}"#);
        let damaged = &sound[..sound.len() - 1];
        let values = BinaryArray::from_opt_vec(vec![Some(sound.as_slice()), None, Some(damaged)]);
        let keys = UInt8Array::from(vec![Some(0), None, Some(1), Some(2), Some(0)]);
        input(DictionaryArray::try_new(keys, Arc::new(values)).unwrap())
    }

    fn validity(array: &ArrayRef) -> Vec<bool> {
        (0..array.len()).map(|row| array.is_valid(row)).collect()
    }

    #[test]
    fn null_keys_null_values_and_damaged_bytes_of_a_dictionary_are_null() {
        let member = (GET.evaluate)(&[shared(), constant("A")], 5).unwrap();
        assert_eq!(member.data_type(), &dictionary_type(DataType::Binary));
        assert_eq!(validity(&member), [true, false, false, false, true]);
        let numbers = (AS_I64.evaluate)(&[ArgColumn::from_array(&member).unwrap()], 5).unwrap();
        let expected = [Some(7), None, None, None, Some(7)];
        assert_eq!(numbers.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), expected);
        let json = cast(&(text::FORMAT_JSON.evaluate)(&[shared()], 5).unwrap(), &DataType::Utf8).unwrap();
        let expected = [Some(r#"{"a":7}"#), None, None, None, Some(r#"{"a":7}"#)];
        assert_eq!(json.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_of_rows_go_with_the_values_of_rows() {
        let names = StringArray::from(vec![Some("a"), Some("a"), Some("a"), Some("a"), None]);
        let member = (GET.evaluate)(&[shared(), input(names)], 5).unwrap();
        assert_eq!(validity(&member), [true, false, false, false, false]);
    }

    #[test]
    fn equal_results_are_kept_once() {
        let null = jsonb("null");
        let values = BinaryArray::from_vec(vec![null.as_slice(); 4]);
        let json = (text::FORMAT_JSON.evaluate)(&[input(values)], 4).unwrap();
        assert_eq!(json.as_any_dictionary().values().len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_function_fail(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = jsonb(r#"{"a":[1,2.5,"x",null,{"b":true}],"c":{}}"#);
            for (at, byte) in damage {
                let place = at.index(bytes.len());
                bytes[place] = byte;
            }
            let short = bytes[..cut.index(bytes.len())].to_vec();
            let values = || input(BinaryArray::from_vec(vec![bytes.as_slice(), short.as_slice()]));
            for mapping in [ARRAY_LENGTH, AS_F64, AS_I64, AS_STRING, OBJECT_KEYS, text::FORMAT_JSON] {
                prop_assert_eq!((mapping.evaluate)(&[values()], 2).unwrap().len(), 2);
            }
            prop_assert_eq!((GET.evaluate)(&[values(), constant("a")], 2).unwrap().len(), 2);
            for steps in ["$.a[1 to last]", "$.**", "$.a[*] ? (@ > 1)"] {
                let found = (path::QUERY.evaluate)(&[values(), constant(steps)], 2).unwrap();
                prop_assert_eq!(found.len(), 2);
            }
        }
    }
}
