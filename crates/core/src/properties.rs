//! Property sets in their two columnar forms: JSONB objects of texts, and lists of {key, value}.
//!
//! JSONB is the binary layout of the `jsonb` crate (as Databend has it); the keys of an object are sorted.

use arrow::array::{ArrayRef, ListBuilder, StringBuilder, StructBuilder};
use arrow::datatypes::{DataType, Field, Fields};
use jsonb::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A JSONB object of texts. Of a key that is there twice, the last value counts.
pub fn to_jsonb<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let object = pairs.into_iter().map(|(k, v)| (k.to_owned(), Value::String(Cow::Borrowed(v)))).collect();
    Value::Object(object).to_vec()
}

/// The type of a list of {key, value}, as `processes.properties` has it.
pub fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Struct(struct_fields()), true)))
}

fn struct_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, false)])
}

/// A column of lists of {key, value}, one list for each of `rows`.
pub fn to_list<'a>(rows: impl IntoIterator<Item = &'a [(String, String)]>) -> ArrayRef {
    let mut builder = ListBuilder::new(StructBuilder::from_fields(struct_fields(), 0));
    for row in rows {
        for (key, value) in row {
            let pair = builder.values();
            if let Some(keys) = pair.field_builder::<StringBuilder>(0) {
                keys.append_value(key);
            }
            if let Some(values) = pair.field_builder::<StringBuilder>(1) {
                values.append_value(value);
            }
            pair.append(true);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}
