//! What a JSONB value is, and what is in it.

use crate::properties::{checked, jsonb_names};
use crate::query::functions::input::{Bytes, Input, Lists, dictionary_of, of_two, texts_of_bytes};
use crate::query::functions::mapping::{Kind, Mapping};
use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use std::sync::Arc;

pub(super) const ARRAY_LENGTH: Mapping = Mapping {
    name: "jsonb_array_length",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Int64,
    evaluate: |inputs, _| {
        integers(&inputs[0], |bytes| checked(bytes)?.array_length().ok()?.map(|length| length as i64))
    },
};

pub(super) const AS_F64: Mapping = Mapping {
    name: "jsonb_as_f64",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Float64,
    evaluate: |inputs, _| {
        let values = inputs[0].bytes()?;
        let floats = values.iter().map(|value| checked(value?)?.as_f64().ok()?);
        inputs[0].spread(Arc::new(floats.collect::<Float64Array>()))
    },
};

pub(super) const AS_I64: Mapping = Mapping {
    name: "jsonb_as_i64",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| DataType::Int64,
    evaluate: |inputs, _| integers(&inputs[0], |bytes| checked(bytes)?.as_i64().ok()?),
};

pub(super) const AS_STRING: Mapping = Mapping {
    name: "jsonb_as_string",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| dictionary_of(DataType::Utf8),
    evaluate: |inputs, _| {
        texts_of_bytes(&inputs[0], |bytes| checked(bytes)?.as_str().ok()?.map(|text| text.into_owned()))
    },
};

pub(super) const GET: Mapping = Mapping {
    name: "jsonb_get",
    parameters: &[("j", Kind::Jsonb), ("name", Kind::Text)],
    result: |_| dictionary_of(DataType::Binary),
    evaluate: |inputs, rows| {
        let (values, names) = (inputs[0].bytes()?, inputs[1].texts()?);
        let member = |(value, name): (usize, usize)| {
            if values.is_null(value) || names.is_null(name) {
                return None;
            }
            Some(checked(values.value(value))?.get_by_name(names.value(name), true).ok()??.to_vec())
        };
        let mut results = Bytes::new();
        let spread = of_two(&inputs[0], &inputs[1], rows, |places| {
            results.append_option(places.and_then(member));
        });
        spread.rows(Arc::new(results.finish()))
    },
};

pub(super) const OBJECT_KEYS: Mapping = Mapping {
    name: "jsonb_object_keys",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| dictionary_of(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))),
    evaluate: |inputs, _| {
        let mut lists = Lists::default();
        let mut distinct = ListBuilder::new(StringBuilder::new());
        for value in inputs[0].bytes()?.iter() {
            match value.and_then(jsonb_names) {
                Some(names) => {
                    if lists.is_new(names.iter().copied()) {
                        names.iter().for_each(|name| distinct.values().append_value(name));
                        distinct.append(true);
                    }
                }
                None => lists.push_null(),
            }
        }
        inputs[0].spread(lists.finish(Arc::new(distinct.finish()))?)
    },
};

fn integers(input: &Input, compute: impl Fn(&[u8]) -> Option<i64>) -> Result<ArrayRef> {
    let values = input.bytes()?;
    input.spread(Arc::new(values.iter().map(|value| compute(value?)).collect::<Int64Array>()))
}
