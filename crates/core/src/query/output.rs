//! What leaves the engine: columns in their documented types.

use super::AnswerTypes;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use belvedere_view::{DOCUMENTED_TYPE, JSONB};
use std::sync::Arc;

/// Columns of views in their documented types, view types of the engine in the plain types that everybody reads.
fn documented_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|f| documented_field(f)).collect::<Vec<_>>()))
}

impl AnswerTypes {
    /// The schema of an answer of these columns.
    pub fn schema(self, columns: &Schema) -> SchemaRef {
        let documented = documented_schema(columns);
        match self {
            Self::Documented => documented,
            Self::Plain => plain_schema(&documented),
        }
    }
}

/// The schema with values in the place of dictionaries of them, also inside of lists and structs.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema.fields().iter().map(without_dictionaries).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn without_dictionaries(field: &FieldRef) -> FieldRef {
    fn plain_type(data_type: &DataType) -> DataType {
        match data_type {
            DataType::Dictionary(_, values) => plain_type(&plain(values)),
            DataType::List(item) => DataType::List(without_dictionaries(item)),
            DataType::LargeList(item) => DataType::LargeList(without_dictionaries(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(without_dictionaries(item), *size),
            DataType::Map(entries, is_sorted) => DataType::Map(without_dictionaries(entries), *is_sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(without_dictionaries).collect()),
            other => other.clone(),
        }
    }
    Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())))
}

/// The rows of an answer in the columns of [`AnswerTypes::schema`].
pub(super) fn documented(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
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
pub(super) fn is_jsonb(field: &Field) -> bool {
    field.metadata().contains_key(JSONB)
}

/// Bytes that the texts of one batch may expand to when they leave.
const EXPANDED: usize = 64 << 20;

/// Splits a batch whose texts, shared inside of the engine, would become too large when each row has its own.
pub(super) fn split(batch: RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows <= 1 || batch.columns().iter().map(expanded).sum::<usize>() <= EXPANDED {
        return vec![batch];
    }
    let half = rows / 2;
    let mut pieces = split(batch.slice(0, half));
    pieces.extend(split(batch.slice(half, rows - half)));
    pieces
}

/// Bytes of a column's values if none were shared: at least as many as there will be.
fn expanded(column: &ArrayRef) -> usize {
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let values = dictionary.values();
        let longest = match values.data_type() {
            DataType::Utf8 => values.as_string::<i32>().iter().flatten().map(str::len).max(),
            DataType::Binary => values.as_binary::<i32>().iter().flatten().map(<[u8]>::len).max(),
            _ => None,
        };
        return longest.unwrap_or(0).saturating_mul(column.len());
    }
    match column.data_type() {
        DataType::Utf8View => view_bytes(column.as_string_view().views()),
        DataType::BinaryView => view_bytes(column.as_binary_view().views()),
        _ => 0,
    }
}

fn view_bytes(views: &[u128]) -> usize {
    // the low half of a view's first word is the length of its value
    views.iter().map(|view| *view as u32 as usize).sum()
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
