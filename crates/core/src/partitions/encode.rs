//! Rows to Parquet: plain files that anybody reads, small and quick to read.
//!
//! Encodings follow from what a column is: instants and ids in sequence are small differences, measured values
//! share their high bytes, names come from small sets. zstd takes what is left.

use super::dictionary_column::DictionaryColumn;
use crate::error::{Context, Result};
use crate::scan::{FileSums, SumsWriter, row_bytes};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampNanosecondType};
use belvedere_view::{ColumnType, Origin, ViewSet};
use parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, ArrowWriter, encode_arrow_schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

/// Rows of a row group: small enough for one thread's share of a query, large enough for its dictionaries.
const ROW_GROUP_ROWS: usize = 1 << 18;
/// A row group is also closed when its encoded columns take this many bytes.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Or when its rows take that many before they are encoded: a batch of a reader is never larger than a row group, however
/// well large rows are compressed.
const ROW_GROUP_RAW_BYTES: usize = 128 << 20;
/// Beyond this a dictionary is given up. Ids and names of a row group fit.
const DICTIONARY_BYTES: usize = 4 << 20;

/// How often a row group is read for a value that it does not have.
const BLOOM_FILTER_ERRORS: f64 = 0.001;

/// The quickest level: the encodings before it have done most of the work.
const ZSTD_LEVEL: i32 = 1;

/// What a finished file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) rows: i64,
    /// Bounds of the rows' events; `None` if the view set has no time of events.
    pub(crate) events: Option<(i64, i64)>,
    /// What the catalog is to know of its checksums.
    pub(crate) sums: Option<(i64, i64)>,
}

/// A Parquet file under construction. What is ready is to be taken away as it grows.
pub(crate) struct Encoder {
    file: SerializedFileWriter<Vec<u8>>,
    columns: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The same columns as Parquet has them.
    leaves: SchemaDescriptor,
    zstd: zstd::bulk::Compressor<'static>,
    group: Option<RowGroup>,
    groups: usize,
    rows: i64,
    /// Positions of the columns with the begin and the end of a row's event.
    event_columns: Option<(usize, usize)>,
    events: Option<(i64, i64)>,
    sums: SumsWriter,
}

/// The columns of the row group under construction.
struct RowGroup {
    columns: Vec<ColumnWriter>,
    rows: usize,
    /// About what they take before they are encoded.
    raw_bytes: usize,
}

enum ColumnWriter {
    /// Texts or bytes that come as keys of a dictionary, and leave so.
    Dictionary(DictionaryColumn),
    /// Anything else, by the Parquet library: one for each leaf.
    Other(Vec<ArrowColumnWriter>),
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
        let (file, columns) = writer.into_serialized_writer()?;
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        let leaves = ArrowSchemaConverter::new().convert(&schema)?;
        Ok(Self {
            file,
            columns,
            schema,
            leaves,
            zstd,
            group: None,
            groups: 0,
            rows: 0,
            event_columns,
            events: None,
            sums: SumsWriter::default(),
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some((begin, end)) = self.event_columns {
            let times = |i: usize| batch.column(i).as_primitive::<TimestampNanosecondType>();
            // a span may end before it begins
            if let (Some(from), Some(to)) = (min(times(begin)), max(times(end)).max(max(times(begin)))) {
                let (a, b) = self.events.unwrap_or((from, to));
                self.events = Some((a.min(from), b.max(to)));
            }
        }
        self.rows += batch.num_rows() as i64;
        // the same types, whatever an engine's plan says of nullability and metadata
        let batch = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())?;
        let row_bytes = (row_bytes(&batch) / batch.num_rows().max(1)).max(1);
        let mut offset = 0;
        while offset < batch.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                None => {
                    let group = RowGroup::new(self)?;
                    self.groups += 1;
                    self.group.insert(group)
                }
            };
            let room = (ROW_GROUP_RAW_BYTES.saturating_sub(group.raw_bytes) / row_bytes).max(1);
            let count = (batch.num_rows() - offset).min(ROW_GROUP_ROWS - group.rows).min(room);
            group.write(&self.schema, &batch.slice(offset, count))?;
            group.raw_bytes = group.raw_bytes.saturating_add(count.saturating_mul(row_bytes));
            offset += count;
            if group.is_full() {
                self.close_group()?;
            }
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut writer = self.file.next_row_group()?;
        for column in group.columns {
            match column {
                ColumnWriter::Dictionary(column) => {
                    let (chunk, close) = column.finish(&mut self.zstd, ZSTD_LEVEL)?;
                    writer.append_column(&chunk, close)?;
                }
                ColumnWriter::Other(leaves) => {
                    for leaf in leaves {
                        leaf.close()?.append_to_row_group(&mut writer)?;
                    }
                }
            }
        }
        writer.close()?;
        Ok(())
    }

    /// Bytes that are final.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(self.file.inner_mut());
        self.sums.add(&bytes);
        bytes
    }

    /// Bytes that the rows take that are not final yet.
    pub(crate) fn memory(&self) -> usize {
        self.group.as_ref().map_or(0, RowGroup::memory)
    }

    /// The last bytes, and what the file holds.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, FileFacts)> {
        self.close_group()?;
        self.file.finish()?;
        let mut bytes = std::mem::take(self.file.inner_mut());
        let sums = self.sums.finish(&mut bytes).map(FileSums::to_record);
        Ok((bytes, FileFacts { rows: self.rows, events: self.events, sums }))
    }
}

impl RowGroup {
    fn new(encoder: &Encoder) -> Result<Self> {
        let (schema, parquet_schema) = (&encoder.schema, &encoder.leaves);
        let writers = encoder.columns.create_column_writers(encoder.groups)?;
        let mut leaves = writers.into_iter().enumerate().peekable();
        let mut columns = Vec::new();
        for (i, field) in schema.fields().iter().enumerate() {
            let mut own = Vec::new();
            let mut first = None;
            while let Some((leaf, writer)) =
                leaves.next_if(|(leaf, _)| parquet_schema.get_column_root_idx(*leaf) == i)
            {
                first.get_or_insert(leaf);
                own.push(writer);
            }
            let can_be_ours = match field.data_type() {
                DataType::Dictionary(key, value) => {
                    **key == DataType::Int32 && matches!(**value, DataType::Utf8 | DataType::Binary)
                }
                _ => false,
            };
            columns.push(match first {
                Some(leaf) if can_be_ours && !field.is_nullable() => {
                    let descr = parquet_schema.column(leaf);
                    let properties = encoder.file.properties();
                    let has_statistics =
                        properties.statistics_enabled(descr.path()) != EnabledStatistics::None;
                    ColumnWriter::Dictionary(DictionaryColumn::new(descr, has_statistics))
                }
                _ => ColumnWriter::Other(own),
            });
        }
        Ok(Self { columns, rows: 0, raw_bytes: 0 })
    }

    fn write(&mut self, schema: &Schema, rows: &RecordBatch) -> Result<()> {
        for ((column, array), field) in self.columns.iter_mut().zip(rows.columns()).zip(schema.fields()) {
            match column {
                ColumnWriter::Dictionary(column) => column.push(array.as_dictionary::<Int32Type>())?,
                ColumnWriter::Other(writers) => {
                    for (leaf, writer) in compute_leaves(field, array)?.iter().zip(writers) {
                        writer.write(leaf)?;
                    }
                }
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }

    fn is_full(&self) -> bool {
        // a group with a dictionary that is too large ends here: the next one begins with an empty one
        let is_crowded = |column: &ColumnWriter| match column {
            ColumnWriter::Dictionary(column) => column.dictionary_bytes() > DICTIONARY_BYTES,
            ColumnWriter::Other(_) => false,
        };
        self.rows >= ROW_GROUP_ROWS
            || self.raw_bytes >= ROW_GROUP_RAW_BYTES
            || self.memory() > ROW_GROUP_BYTES
            || self.columns.iter().any(is_crowded)
    }

    fn memory(&self) -> usize {
        let memory = |column: &ColumnWriter| match column {
            ColumnWriter::Dictionary(column) => column.memory(),
            ColumnWriter::Other(writers) => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.columns.iter().map(memory).sum()
    }
}

/// The Arrow types that readers of files are told: those of the engine, without what only few readers know. The metadata of
/// fields must be that of the engine's schema: where it differs, the engine (DataFusion 55.2) casts each column that it
/// reads, and then uses neither Bloom filters nor bounds of casted columns.
fn hinted_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|f| {
        let data_type = match f.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        Field::new(f.name(), data_type, f.is_nullable()).with_metadata(f.metadata().clone())
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
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
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
        let is_sequence = matches!(column.column_type, ColumnType::Time | ColumnType::Int64);
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
        if column.has_bloom_filter {
            // sized for a full row group; folded down to what is in it
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FILTER_ERRORS)
                .set_column_bloom_filter_max_ndv(path.clone(), ROW_GROUP_ROWS as u64);
        }
        if matches!(column.column_type, ColumnType::FixedBinary(_)) && !column.has_bloom_filter {
            // ids that are different in each row
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
        }
        properties = properties.set_column_statistics_enabled(path, statistics);
    }
    Ok(properties.build())
}
