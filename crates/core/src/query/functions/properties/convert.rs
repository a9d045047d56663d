//! Properties from one shape to another, and how many there are.

use super::shapes::Sets;
use crate::properties::{list_type, to_jsonb, to_list};
use crate::query::functions::input::{Bytes, Lists, dictionary_of};
use crate::query::functions::mapping::{Kind, Mapping};
use arrow::array::Int32Array;
use arrow::compute::take;
use arrow::datatypes::DataType;
use std::sync::Arc;

pub(super) const LENGTH: Mapping = Mapping {
    name: "properties_length",
    parameters: &[("properties", Kind::Properties)],
    result: |_| DataType::Int32,
    evaluate: |inputs, _| {
        let sets = Sets::of(&inputs[0])?;
        let counts = (0..sets.len()).map(|set| sets.count(set).map(|count| count as i32));
        inputs[0].spread(Arc::new(counts.collect::<Int32Array>()))
    },
};

pub(super) const TO_ARRAY: Mapping = Mapping {
    name: "properties_to_array",
    parameters: &[("properties", Kind::PropertiesOrDictionary)],
    result: |arguments| match arguments {
        [DataType::Dictionary(_, values)] => values.as_ref().clone(),
        [other] => other.clone(),
        _ => DataType::Null,
    },
    evaluate: |inputs, rows| {
        let input = &inputs[0];
        let places: Int32Array = (0..rows).map(|row| input.place(row).map(|place| place as i32)).collect();
        Ok(take(input.values(), &places, None)?)
    },
};

pub(super) const TO_DICT: Mapping = Mapping {
    name: "properties_to_dict",
    parameters: &[("properties", Kind::Properties)],
    result: |_| dictionary_of(list_type()),
    evaluate: |inputs, _| {
        let sets = Sets::of(&inputs[0])?;
        let mut lists = Lists::default();
        let mut distinct: Vec<Vec<(String, String)>> = Vec::new();
        for set in 0..sets.len() {
            match sets.pairs(set) {
                Some(pairs) => {
                    if lists.is_new(pairs.iter().flat_map(|(k, v)| [k.as_ref(), v.as_ref()])) {
                        let owned = pairs.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned()));
                        distinct.push(owned.collect());
                    }
                }
                None => lists.push_null(),
            }
        }
        inputs[0].spread(lists.finish(to_list(distinct.iter().map(Vec::as_slice)))?)
    },
};

pub(super) const TO_JSONB: Mapping = Mapping {
    name: "properties_to_jsonb",
    parameters: &[("properties", Kind::Properties)],
    result: |_| dictionary_of(DataType::Binary),
    evaluate: |inputs, _| {
        let sets = Sets::of(&inputs[0])?;
        let mut results = Bytes::new();
        match &sets {
            Sets::Jsonb(values) => values.iter().for_each(|value| results.append_option(value)),
            Sets::Lists { .. } => {
                for set in 0..sets.len() {
                    let pairs = sets.pairs(set);
                    results.append_option(
                        pairs.map(|pairs| to_jsonb(pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref())))),
                    );
                }
            }
        }
        inputs[0].spread(Arc::new(results.finish()))
    },
};
