//! Tables and CSV. JSONB columns are shown as the JSON that they are.

use super::json::JsonWriter;
use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use belvedere_core::properties::jsonb_to_json;
use belvedere_core::query::is_jsonb;
use std::io::Write;
use std::sync::Arc;

const TIME: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";
/// Rows of one table: a longer answer becomes several, so that widths can be told without reading all of it. However the
/// rows come, the tables are the same.
const TABLE_ROWS: usize = 1000;
/// Characters of a text in a table.
const CELL: usize = 200;

pub(crate) struct TableWriter<W> {
    output: W,
    schema: SchemaRef,
    waiting: Vec<RecordBatch>,
    rows: usize,
    has_written: bool,
}

impl<W: Write> TableWriter<W> {
    pub(crate) fn new(output: W, schema: SchemaRef) -> Self {
        Self { output, schema: readable_schema(&schema), waiting: Vec::new(), rows: 0, has_written: false }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let cells = in_cells(&readable(batch, &self.schema)?)?;
        let mut begin = 0;
        while begin < cells.num_rows() {
            let length = (TABLE_ROWS - self.rows).min(cells.num_rows() - begin);
            self.waiting.push(cells.slice(begin, length));
            (self.rows, begin) = (self.rows + length, begin + length);
            if self.rows == TABLE_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let options =
            FormatOptions::default().with_timestamp_format(Some(TIME)).with_timestamp_tz_format(Some(TIME));
        if self.waiting.is_empty() {
            self.waiting.push(RecordBatch::new_empty(self.schema.clone()));
        }
        writeln!(self.output, "{}", pretty_format_batches_with_options(&self.waiting, &options)?)?;
        self.waiting.clear();
        self.rows = 0;
        self.has_written = true;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        if self.rows > 0 || !self.has_written {
            self.flush()?;
        }
        Ok(self.output.flush()?)
    }
}

pub(crate) struct CsvWriter<W: Write> {
    writer: arrow::csv::Writer<W>,
    schema: SchemaRef,
}

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(output: W, schema: &Schema) -> Result<Self> {
        let writer = WriterBuilder::new()
            .with_header(true)
            .with_timestamp_format(TIME.to_owned())
            .with_timestamp_tz_format(TIME.to_owned())
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

fn is_readable(field: &Field) -> bool {
    !is_jsonb(field) && !is_nested(field.data_type())
}

/// Lists and structs, which CSV has no form for.
fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Struct(_) | DataType::LargeList(_) | DataType::Map(..))
}

fn readable_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if is_readable(field) {
            field.as_ref().clone()
        } else {
            Field::new(field.name(), DataType::Utf8, field.is_nullable())
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn readable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(batch.schema_ref().fields())
        .map(|(column, field)| {
            if is_jsonb(field) {
                json_texts(column)
            } else if is_nested(field.data_type()) {
                nested_texts(column)
            } else {
                Ok(column.clone())
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// Texts as they fit into the cells of a table: on one line, and cut when they are long. The other formats
/// have them whole.
fn in_cells(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.as_string_opt::<i32>() {
            Some(texts) => Arc::new(texts.iter().map(|text| text.map(cell)).collect::<StringArray>()),
            None => column.clone(),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options)?)
}

fn cell(text: &str) -> String {
    let cut = text.char_indices().nth(CELL).map_or(text.len(), |(i, _)| i);
    let ellipsis = if cut < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", text[..cut].replace('\n', "␤").replace(char::is_control, " "))
}

fn json_texts(column: &ArrayRef) -> Result<ArrayRef> {
    let binary = cast(column, &DataType::Binary)?;
    let binary = binary.as_binary::<i32>();
    let texts: StringArray = binary.iter().map(|value| value.and_then(jsonb_to_json)).collect();
    Ok(Arc::new(texts))
}

/// Lists and structs as JSON.
fn nested_texts(column: &ArrayRef) -> Result<ArrayRef> {
    let field = Field::new("c", column.data_type().clone(), true);
    let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column.clone()])?;
    let mut json = Vec::new();
    let mut writer = JsonWriter::new(&mut json, false);
    writer.write(&rows)?;
    writer.finish()?;
    // each line is {"c":VALUE}
    let lines = std::str::from_utf8(&json)?.lines();
    let values = lines.enumerate().map(|(i, line)| column.is_valid(i).then(|| &line[5..line.len() - 1]));
    Ok(Arc::new(values.collect::<StringArray>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    #[test]
    fn tables_are_the_same_however_rows_come() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2500));
        let all = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let written = |size: usize| {
            let mut text = Vec::new();
            let mut writer = TableWriter::new(&mut text, all.schema());
            for begin in (0..2500).step_by(size) {
                writer.write(&all.slice(begin, size.min(2500 - begin))).unwrap();
            }
            writer.finish().unwrap();
            String::from_utf8(text).unwrap()
        };
        let whole = written(2500);
        assert_eq!(whole.matches("| n ").count(), 3);
        assert_eq!(written(300), whole);
        assert_eq!(written(1000), whole);
    }
}
