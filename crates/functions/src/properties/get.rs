//! `property_get(properties, name)`

use super::shapes::PropertySets;
use crate::arg_column::{TextDictionaryBuilder, dictionary_type, for_each_pair};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::Array;
use arrow::datatypes::DataType;
use std::sync::Arc;

pub(super) const GET: ScalarFunction = ScalarFunction {
    name: "property_get",
    parameters: &[("properties", Kind::Properties), ("name", Kind::Text)],
    result: |_| dictionary_type(DataType::Utf8),
    evaluate: |inputs, rows| {
        let (sets, names) = (PropertySets::new(&inputs[0])?, inputs[1].texts()?);
        let mut results = TextDictionaryBuilder::new();
        let scatter = for_each_pair(&inputs[0], &inputs[1], rows, |indexes| {
            let named = indexes.filter(|(_, name)| names.is_valid(*name));
            results.append_option(named.and_then(|(set, name)| sets.get(set, names.value(name))));
        });
        scatter.rows(Arc::new(results.finish()))
    },
};
