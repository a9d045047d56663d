//! How rows are written.

mod json;
mod text;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use std::io::Write;
use std::path::Path;

/// Formats of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns side by side, for people; long texts are cut
    Table,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

impl Format {
    /// The format that the extension of a file's name stands for.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "arrow" | "arrows" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether it is no use on a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// Writes the rows of one answer, as they come, in bounded memory.
pub(crate) enum RowWriter<W: Write + Send> {
    Table(text::TableWriter<W>),
    Json(json::JsonWriter<W>),
    Csv(Box<text::CsvWriter<W>>),
    Arrow(StreamWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> RowWriter<W> {
    pub(crate) fn new(format: Format, output: W, schema: SchemaRef) -> Result<Self> {
        Ok(match format {
            Format::Table => Self::Table(text::TableWriter::new(output, schema)),
            Format::Json => Self::Json(json::JsonWriter::new(output, true)),
            Format::Ndjson => Self::Json(json::JsonWriter::new(output, false)),
            Format::Csv => Self::Csv(Box::new(text::CsvWriter::new(output, &schema)?)),
            Format::Arrow => Self::Arrow(StreamWriter::try_new(output, &schema)?),
            Format::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(output, schema, None)?)),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table(w) => w.write(batch),
            Self::Json(w) => w.write(batch),
            Self::Csv(w) => w.write(batch),
            Self::Arrow(w) => Ok(w.write(batch)?),
            Self::Parquet(w) => Ok(w.write(batch)?),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Table(w) => w.finish(),
            Self::Json(w) => w.finish(),
            Self::Csv(w) => w.finish(),
            Self::Arrow(mut w) => {
                w.finish()?;
                Ok(w.get_mut().flush()?)
            }
            Self::Parquet(w) => Ok(w.into_inner()?.flush()?),
        }
    }
}
