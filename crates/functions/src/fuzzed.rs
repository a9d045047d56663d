//! What functions do with values that anybody can send, for fuzz targets: nothing of it may stop the process.

use crate::arg_column::ArgColumn;
use crate::scalar_function::ScalarFunction;
use crate::{jsonb, properties};
use arrow::array::{ArrayRef, BinaryArray, StringArray};
use datafusion::error::Result;
use std::sync::Arc;

/// Calls every function on JSONB and on properties with a value, sound or not, and a text for each further argument. How many gave a value.
pub fn on_jsonb(value: &[u8], text: &str) -> usize {
    let value: ArrayRef = Arc::new(BinaryArray::from_vec(vec![value]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let all = jsonb::SCALARS.into_iter().chain(properties::SCALARS);
    all.filter(|mapping| call(mapping, &value, &text).is_ok_and(|result| !result.is_null(0))).count()
}

/// Makes JSONB of a text and follows a path in it: what is found, as JSON. `None` if the text is no JSON or the path is none.
pub fn find(path: &str, json: &str) -> Option<String> {
    let named = |name: &str| jsonb::SCALARS.into_iter().find(|mapping| mapping.name == name);
    let apply = |name: &str, value: &ArrayRef| {
        let path: ArrayRef = Arc::new(StringArray::from(vec![path]));
        call(&named(name)?, value, &path).ok().filter(|result| !result.is_null(0))
    };
    let parsed = apply("jsonb_parse", &(Arc::new(StringArray::from(vec![json])) as ArrayRef))?;
    let found = apply("jsonb_path_query", &parsed)?;
    let json = apply("jsonb_format_json", &found)?;
    arrow::util::display::array_value_to_string(&json, 0).ok()
}

fn call(mapping: &ScalarFunction, value: &ArrayRef, text: &ArrayRef) -> Result<ArrayRef> {
    // those on texts take the text where the value is none
    let takes_value = mapping.parameters.first().is_some_and(|(_, kind)| kind.accepts(value.data_type()));
    let inputs = (0..mapping.parameters.len())
        .map(|i| ArgColumn::from_array(if i == 0 && takes_value { value } else { text }))
        .collect::<Result<Vec<_>>>()?;
    (mapping.evaluate)(&inputs, 1)
}
