//! Rows to Parquet: plain files that anybody reads, small and quick to read.
//!
//! Encodings follow from what a column is: instants and ids in sequence are small differences, measured values
//! share their high bytes, names come from small sets. zstd takes what is left.

use crate::registry::{ColumnType, Origin, ViewSet};
use anyhow::{Context, Result};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampNanosecondType};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowWriter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// Rows of a row group: small enough for one thread's share of a query, large enough for its dictionaries.
const ROW_GROUP_ROWS: usize = 1 << 18;
/// A row group is also closed when its encoded columns take this many bytes.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Beyond this a dictionary is given up. Ids and names of a row group fit.
const DICTIONARY_BYTES: usize = 4 << 20;

/// What a finished file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) rows: i64,
    /// Bounds of the rows' events; `None` if the view set has no time of events.
    pub(crate) events: Option<(i64, i64)>,
}

/// A Parquet file under construction. What is ready is to be taken away as it grows.
pub(crate) struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    rows: i64,
    /// Positions of the columns with the begin and the end of a row's event.
    event_columns: Option<(usize, usize)>,
    events: Option<(i64, i64)>,
}

impl Encoder {
    /// A file for rows of the view set, which will come in ascending order of `sort`.
    pub(crate) fn new(view_set: &ViewSet, sort: &[&str]) -> Result<Self> {
        let schema = view_set.engine_schema();
        let properties = properties(view_set, &schema, sort)?;
        // our own hint for Arrow readers stands in the file's metadata
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let position = |name: &str| schema.index_of(name);
        let event_columns = match view_set.event_time_columns() {
            Some((begin, end)) => Some((position(begin)?, position(end)?)),
            None => None,
        };
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)
            .with_context(|| format!("a file for {} can't be begun", view_set.name))?;
        Ok(Self { writer, schema, rows: 0, event_columns, events: None })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some((begin, end)) = self.event_columns {
            let times = |i: usize| batch.column(i).as_primitive::<TimestampNanosecondType>();
            if let (Some(from), Some(to)) = (min(times(begin)), max(times(end))) {
                let (a, b) = self.events.unwrap_or((from, to));
                self.events = Some((a.min(from), b.max(to)));
            }
        }
        self.rows += batch.num_rows() as i64;
        // the same types, whatever an engine's plan says of nullability and metadata
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())?;
        self.writer.write(&batch)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Bytes that are final.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Bytes that the rows take that are not final yet.
    pub(crate) fn memory(&self) -> usize {
        self.writer.memory_size()
    }

    /// The last bytes, and what the file holds.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, FileFacts)> {
        self.writer.finish()?;
        let bytes = self.take();
        Ok((bytes, FileFacts { rows: self.rows, events: self.events }))
    }
}

/// The Arrow types that readers of files are told: those of the engine, without what only few readers know.
fn hinted_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|f| {
        let data_type = match f.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        Field::new(f.name(), data_type, f.is_nullable())
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn properties(view_set: &ViewSet, schema: &Schema, sort: &[&str]) -> Result<WriterProperties> {
    let note = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut sorting = Vec::new();
    for name in sort {
        let column_idx = schema.index_of(name)? as i32;
        sorting.push(SortingColumn { column_idx, descending: false, nulls_first: false });
    }
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("belvedere ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_key_value_metadata(Some(vec![
            note(ARROW_SCHEMA_META_KEY, encode_arrow_schema(&hinted_schema(schema))),
            note("belvedere.view_set", view_set.name.to_owned()),
            note(
                "belvedere.schema_hash",
                view_set.schema_hash().iter().map(|b| format!("{b:02x}")).collect(),
            ),
        ]));
    for column in view_set.columns {
        let path = ColumnPath::from(vec![column.name.to_owned()]);
        // an instant or an id differs little from the one before
        let is_sequence = match column.column_type {
            ColumnType::Time => column.origin == Origin::Decoder,
            ColumnType::Int64 => true,
            _ => false,
        };
        if is_sequence {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if column.column_type == ColumnType::Float64 {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT);
        }
        let statistics = match (column.column_type, column.origin) {
            // what says nothing that the ids don't say
            (_, Origin::Exe | Origin::Username | Origin::Computer | Origin::ProcessProperties) => {
                EnabledStatistics::None
            }
            (ColumnType::Label | ColumnType::Dictionary, _) => EnabledStatistics::Chunk,
            (
                ColumnType::Time
                | ColumnType::Int32
                | ColumnType::Int64
                | ColumnType::UInt32
                | ColumnType::Float64
                | ColumnType::Boolean,
                _,
            ) => EnabledStatistics::Page,
            _ => EnabledStatistics::None,
        };
        properties = properties.set_column_statistics_enabled(path, statistics);
    }
    Ok(properties.build())
}

/// Reads the schema of the engine from files: see `hinted_schema`.
pub(crate) fn engine_schema_of_files(view_set: &ViewSet) -> SchemaRef {
    Arc::new(Schema::new(view_set.engine_schema().fields().clone()))
}
