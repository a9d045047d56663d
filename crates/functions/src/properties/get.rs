//! `property_get(properties, name)`

use super::shapes::Sets;
use crate::input::{Texts, dictionary_of, of_two};
use crate::mapping::{Kind, Mapping};
use arrow::array::Array;
use arrow::datatypes::DataType;
use std::sync::Arc;

pub(super) const GET: Mapping = Mapping {
    name: "property_get",
    parameters: &[("properties", Kind::Properties), ("name", Kind::Text)],
    result: |_| dictionary_of(DataType::Utf8),
    evaluate: |inputs, rows| {
        let (sets, names) = (Sets::of(&inputs[0])?, inputs[1].texts()?);
        let mut results = Texts::new();
        let spread = of_two(&inputs[0], &inputs[1], rows, |places| {
            let named = places.filter(|(_, name)| names.is_valid(*name));
            results.append_option(named.and_then(|(set, name)| sets.get(set, names.value(name))));
        });
        spread.rows(Arc::new(results.finish()))
    },
};
