//! How rows leave as bytes: the same ones through every protocol and on the command line.
//!
//! Times are RFC 3339 in UTC with nanoseconds, binary is base64, what JSON can't say is null.

mod csv;
mod fit;
mod json;
#[cfg(test)]
mod tests;

use crate::error::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::io::Write;

/// Encoded bytes of a row group of Parquet: it is in memory until it is complete.
const ROW_GROUP: usize = 64 << 20;

/// Formats of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object a line.
    Ndjson,
    /// One array of objects.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All of them; who does not care gets the first.
    pub const ALL: [Self; 5] = [Self::Ndjson, Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// How text formats write instants: RFC 3339 with nanoseconds, in UTC.
    pub const TIME: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";

    /// Its name: `ndjson`, `json`, `csv`, `arrow`, `parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its media type, without parameters.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl Format {
    /// The columns with which rows are shown as text: JSONB, lists, structs and maps become columns of texts.
    pub fn readable_schema(schema: &Schema) -> SchemaRef {
        csv::readable_schema(schema)
    }

    /// Rows in the columns of [`Format::readable_schema`].
    pub fn readable(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        csv::readable(batch, schema)
    }
}

/// Writes the rows of one answer, as they come, in bounded memory.
pub struct RowWriter<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Json(json::JsonWriter<W>),
    Csv(Box<csv::CsvWriter<W>>),
    Arrow(StreamWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Begins an answer with these columns. [`QueryError::Unsupported`](crate::query::QueryError::Unsupported) if one of
    /// them has no form in that format.
    pub fn new(format: Format, output: W, schema: SchemaRef) -> Result<Self> {
        fit::check(format, &schema)?;
        Ok(Self(match format {
            Format::Json => Writer::Json(json::JsonWriter::new(output, true)),
            Format::Ndjson => Writer::Json(json::JsonWriter::new(output, false)),
            Format::Csv => Writer::Csv(Box::new(csv::CsvWriter::new(output, &schema)?)),
            Format::Arrow => Writer::Arrow(StreamWriter::try_new(output, &schema)?),
            Format::Parquet => {
                let properties = WriterProperties::builder().set_max_row_group_bytes(Some(ROW_GROUP)).build();
                Writer::Parquet(Box::new(ArrowWriter::try_new(output, schema, Some(properties))?))
            }
        }))
    }

    /// Writes rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.0 {
            Writer::Json(w) => w.write(batch),
            Writer::Csv(w) => w.write(batch),
            Writer::Arrow(w) => Ok(w.write(batch)?),
            Writer::Parquet(w) => Ok(w.write(batch)?),
        }
    }

    /// Ends the answer: without that it is not whole.
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Writer::Json(w) => w.finish(),
            Writer::Csv(w) => w.finish(),
            Writer::Arrow(mut w) => {
                w.finish()?;
                Ok(w.get_mut().flush()?)
            }
            Writer::Parquet(w) => Ok(w.into_inner()?.flush()?),
        }
    }
}
