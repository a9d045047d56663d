//! CSV, and the columns of texts that stand for what has no form in it. JSONB columns are shown as the JSON that they
//! are.

use super::Format;
use super::fit::json_type;
use super::json::JsonWriter;
use crate::error::{Error, Result};
use crate::query::output::is_jsonb;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_model::jsonb::Jsonb;
use std::io::Write;
use std::sync::Arc;

pub(crate) struct CsvWriter<W: Write> {
    writer: arrow::csv::Writer<W>,
    schema: SchemaRef,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(output: W, schema: &Schema) -> Result<Self> {
        let writer = WriterBuilder::new()
            .with_header(true)
            .with_timestamp_format(Format::TIME.to_owned())
            .with_timestamp_tz_format(Format::TIME.to_owned())
            .build(output);
        let mut writer = Self { writer, schema: readable_schema(schema) };
        // the header stands there even if no row follows
        writer.writer.write(&RecordBatch::new_empty(writer.schema.clone()))?;
        Ok(writer)
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(&readable(batch, &self.schema)?)?)
    }

    pub(crate) fn finish(self) -> Result<()> {
        Ok(self.writer.into_inner().flush()?)
    }
}

/// Lists, structs and maps, which CSV has no form for, as far as JSON has one.
fn is_nested(data_type: &DataType) -> bool {
    data_type.is_nested() && json_type(data_type).is_some()
}

/// The columns with which rows are shown as text: JSONB, lists, structs and maps become columns of texts, times are in UTC.
pub(super) fn readable_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if is_jsonb(field) || is_nested(field.data_type()) {
            return Field::new(field.name(), DataType::Utf8, field.is_nullable());
        }
        match json_type(field.data_type()) {
            Some(data_type) => field.as_ref().clone().with_data_type(data_type),
            None => field.as_ref().clone(),
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows in the columns of [`readable_schema`].
pub(super) fn readable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(batch.schema_ref().fields())
        .zip(schema.fields())
        .map(|((column, field), shown)| {
            if is_jsonb(field) {
                json_texts(column)
            } else if is_nested(field.data_type()) {
                nested_texts(column)
            } else if column.data_type() != shown.data_type() {
                Ok(cast(column, shown.data_type())?)
            } else {
                Ok(column.clone())
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn json_texts(column: &ArrayRef) -> Result<ArrayRef> {
    let binary = cast(column, &DataType::Binary)?;
    let binary = binary.as_binary::<i32>();
    let texts: StringArray = binary.iter().map(|value| Some(Jsonb::new(value?)?.to_string())).collect();
    Ok(Arc::new(texts))
}

/// Lists, structs and maps as JSON.
fn nested_texts(column: &ArrayRef) -> Result<ArrayRef> {
    let field = Field::new("c", column.data_type().clone(), true);
    let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column.clone()])?;
    let mut json = Vec::new();
    let mut writer = JsonWriter::new(&mut json, false);
    writer.write(&rows)?;
    writer.finish()?;
    // each line is {"c":VALUE}
    let lines = std::str::from_utf8(&json).map_err(Error::other)?.lines();
    let values = lines.enumerate().map(|(i, line)| column.is_valid(i).then(|| &line[5..line.len() - 1]));
    Ok(Arc::new(values.collect::<StringArray>()))
}
