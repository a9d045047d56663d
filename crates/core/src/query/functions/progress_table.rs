//! Tables of what a function does or did: when, and what.

use arrow::array::{RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use belvedere_model::time::now;
use std::sync::Arc;

/// The columns: `time` and `msg`.
pub(super) fn progress_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())), false),
        Field::new("msg", DataType::Utf8, false),
    ]))
}

/// One row of them, of now.
pub(super) fn progress_row(schema: SchemaRef, text: String) -> Result<RecordBatch, ArrowError> {
    let times = TimestampNanosecondArray::from(vec![now()]).with_timezone("+00:00");
    RecordBatch::try_new(schema, vec![Arc::new(times), Arc::new(StringArray::from(vec![text]))])
}
