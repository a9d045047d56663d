//! What leaves the engine: columns in their documented types.

use crate::registry::{DOCUMENTED_TYPE, JSONB};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The schema that an answer leaves with: columns of views in their documented types, view types of the
/// engine in the plain types that everybody reads.
pub fn documented_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|f| documented_field(f)).collect::<Vec<_>>()))
}

/// The rows of an answer in the types of [`documented_schema`].
pub fn documented(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                cast(column, field.data_type())
            }
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// Whether the column's binary values are JSONB.
pub fn is_jsonb(field: &Field) -> bool {
    field.metadata().contains_key(JSONB)
}

fn documented_field(field: &Field) -> Field {
    let is_label = field.metadata().get(DOCUMENTED_TYPE).is_some_and(|t| *t == DataType::Utf8.to_string());
    let data_type = match field.data_type() {
        DataType::Dictionary(_, _) if is_label => DataType::Utf8,
        other => plain(other),
    };
    let mut metadata = field.metadata().clone();
    metadata.remove(DOCUMENTED_TYPE);
    Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata)
}

fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => {
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(plain(item.data_type()))))
        }
        other => other.clone(),
    }
}
