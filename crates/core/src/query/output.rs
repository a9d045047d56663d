//! What leaves the engine: columns in their documented types.

use super::AnswerTypes;
use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use belvedere_view::{DOCUMENTED_TYPE, JSONB};
use std::sync::Arc;

/// Columns of views in their documented types, view types of the engine in the plain types that everybody reads.
fn documented_schema(schema: &Schema, keeps_labels: bool) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| documented_field(field, keeps_labels));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl AnswerTypes {
    /// The schema of an answer of these columns.
    pub fn schema(self, columns: &Schema) -> SchemaRef {
        let documented = documented_schema(columns, self == Self::Dictionaries);
        match self {
            Self::Documented | Self::Dictionaries => documented,
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
            _ => values.to_data().get_slice_memory_size().ok(),
        };
        return longest.unwrap_or(0).saturating_mul(column.len());
    }
    match column.data_type() {
        DataType::Utf8View => view_bytes(column.as_string_view().views()),
        DataType::BinaryView => view_bytes(column.as_binary_view().views()),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            expanded_items(list.values(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            expanded_items(list.values(), list.value_offsets())
        }
        DataType::FixedSizeList(..) => expanded(column.as_fixed_size_list().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().map(expanded).sum(),
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            expanded_items(&entries, map.value_offsets())
        }
        _ => 0,
    }
}

/// The same for the items of lists: of all that the array has, only those that the lists have.
fn expanded_items<O: OffsetSizeTrait>(items: &ArrayRef, offsets: &[O]) -> usize {
    let (first, last) = (offsets.first(), offsets.last());
    let (from, to) = (first.map_or(0, |o| o.as_usize()), last.map_or(0, |o| o.as_usize()));
    expanded(&items.slice(from, to - from))
}

fn view_bytes(views: &[u128]) -> usize {
    // the low half of a view's first word is the length of its value
    views.iter().map(|view| *view as u32 as usize).sum()
}

fn documented_field(field: &Field, keeps_labels: bool) -> Field {
    let is_label = field.metadata().get(DOCUMENTED_TYPE).is_some_and(|t| *t == DataType::Utf8.to_string());
    let data_type = match field.data_type() {
        DataType::Dictionary(_, _) if is_label && !keeps_labels => DataType::Utf8,
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Int32Array, ListArray, StringArray, StructArray};
    use arrow::buffer::OffsetBuffer;

    #[test]
    fn texts_that_rows_share_are_counted_for_each_row_wherever_they_are_nested() {
        let rows = 100;
        let text = StringArray::from(vec!["x".repeat(1 << 20)]);
        let shared: ArrayRef =
            Arc::new(DictionaryArray::new(Int32Array::from(vec![0; rows]), Arc::new(text)));
        let item = Arc::new(Field::new("item", shared.data_type().clone(), true));
        let lengths = OffsetBuffer::from_lengths(vec![1; rows]);
        let list: ArrayRef = Arc::new(ListArray::new(item.clone(), lengths, shared.clone(), None));
        let members: ArrayRef = Arc::new(StructArray::from(vec![(item, shared.clone())]));
        for column in [shared, list, members] {
            assert_eq!(expanded(&column), rows << 20, "{}", column.data_type());
            assert_eq!(expanded(&column.slice(90, 10)), 10 << 20, "{}", column.data_type());
            let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
            let pieces = split(batch);
            assert!(pieces.iter().all(|piece| piece.num_rows() <= 64) && pieces.len() >= 2);
            assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
        }
    }
}
