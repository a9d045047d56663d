//! How large rows are.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of exactly these rows, whatever they share with others. The values of dictionaries don't count: rows share them.
pub(crate) fn row_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(column_bytes).fold(0, usize::saturating_add)
}

fn column_bytes(column: &ArrayRef) -> usize {
    // the low half of a view's first word is the length of its value
    let in_views = |views: &[u128]| views.iter().map(|view| size_of_val(view) + *view as u32 as usize).sum();
    match column.data_type() {
        DataType::Dictionary(key, _) => column.len().saturating_mul(key.primitive_width().unwrap_or(1)),
        DataType::Utf8View => in_views(column.as_string_view().views()),
        DataType::BinaryView => in_views(column.as_binary_view().views()),
        _ => column.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
    }
}
