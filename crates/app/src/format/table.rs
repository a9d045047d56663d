//! Tables, for people.

use anyhow::Result;
use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;
use belvedere_core::query::formats::Format;
use std::io::Write;
use std::sync::Arc;

/// Rows of one table. A longer answer becomes several tables, so that widths are known without reading all of it. The
/// tables don't depend on the batches in which rows come.
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
        Self {
            output,
            schema: Format::readable_schema(&schema),
            waiting: Vec::new(),
            rows: 0,
            has_written: false,
        }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let cells = in_cells(&Format::readable(batch, &self.schema)?)?;
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
        let options = FormatOptions::default()
            .with_timestamp_format(Some(Format::TIME))
            .with_timestamp_tz_format(Some(Format::TIME));
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

/// Texts as cells of a table: on one line, and cut if they are long. Other formats have whole texts.
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
