//! Columns of property lists: one list of {key, value} for each row.

use arrow_array::ArrayRef;
use arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder};
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

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
