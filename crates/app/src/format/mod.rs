//! Output formats of rows: tables here, the others by core.

mod table;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_core::query::formats;
use std::io::Write;
use std::path::Path;

/// Formats of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people; long values are truncated
    Table,
    /// One array of objects
    Json,
    /// One object per line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

impl Format {
    /// The format of a file, by its extension.
    pub(crate) fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "arrow" | "arrows" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether it must not be written to a terminal.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// Writes the rows of an answer as they come, in bounded memory.
#[allow(clippy::large_enum_variant, reason = "there is one for each answer")]
pub(crate) enum RowWriter<W: Write + Send> {
    Table(table::TableWriter<W>),
    Data(formats::RowWriter<W>),
}

impl<W: Write + Send> RowWriter<W> {
    pub(crate) fn new(format: Format, output: W, schema: SchemaRef) -> Result<Self> {
        let format = match format {
            Format::Table => return Ok(Self::Table(table::TableWriter::new(output, schema))),
            Format::Json => formats::Format::Json,
            Format::Ndjson => formats::Format::Ndjson,
            Format::Csv => formats::Format::Csv,
            Format::Arrow => formats::Format::Arrow,
            Format::Parquet => formats::Format::Parquet,
        };
        Ok(Self::Data(formats::RowWriter::new(format, output, schema)?))
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table(w) => w.write(batch),
            Self::Data(w) => Ok(w.write(batch)?),
        }
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Table(w) => w.finish(),
            Self::Data(w) => Ok(w.finish()?),
        }
    }
}
