//! The columns under construction.

use super::DecodeError;
use crate::column::{Column, Origin};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray, UInt32Array, new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use belvedere_model::BlockRecord;
use belvedere_model::jsonb::Jsonb;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo};
use std::sync::Arc;

/// Values of a column. [`Rows::put`] makes them of vectors and of arrays.
#[derive(Debug)]
#[non_exhaustive]
pub enum Values {
    /// Integers, or times in nanoseconds since the Unix epoch.
    Int64(Vec<i64>),
    /// Integers.
    Int32(Vec<i32>),
    /// Integers.
    UInt32(Vec<u32>),
    /// Floats.
    Float64(Vec<f64>),
    /// Flags.
    Boolean(Vec<bool>),
    /// Anything else, in the column's documented type or the engine's.
    Array(ArrayRef),
}

macro_rules! values_from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Values {
            fn from(values: $type) -> Self {
                Self::$variant(values)
            }
        }
    )*};
}

values_from! {
    Vec<i64> => Int64,
    Vec<i32> => Int32,
    Vec<u32> => UInt32,
    Vec<f64> => Float64,
    Vec<bool> => Boolean,
    ArrayRef => Array,
}

impl From<Vec<Vec<u8>>> for Values {
    /// Bytes, or JSONB.
    fn from(values: Vec<Vec<u8>>) -> Self {
        Self::Array(Arc::new(BinaryArray::from_iter_values(values)))
    }
}

impl From<Vec<String>> for Values {
    fn from(values: Vec<String>) -> Self {
        Self::Array(Arc::new(StringArray::from(values)))
    }
}

/// Events that gave no row although they are of a kind that should: why, and how many.
pub type Ignored = Vec<(&'static str, u64)>;

/// Rows, and what could not become one.
#[derive(Debug, Clone)]
pub struct Decoded {
    rows: RecordBatch,
    ignored: Ignored,
}

impl Decoded {
    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows alone.
    pub fn into_rows(self) -> RecordBatch {
        self.rows
    }

    /// The rows, and the events that gave none.
    pub fn into_parts(self) -> (RecordBatch, Ignored) {
        (self.rows, self.ignored)
    }
}

impl From<RecordBatch> for Decoded {
    /// Rows of events of which none was ignored.
    fn from(rows: RecordBatch) -> Self {
        Self { rows, ignored: Ignored::new() }
    }
}

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsOf<'a> {
    pub(crate) process: &'a ProcessInfo,
    pub(crate) stream: &'a StreamInfo,
    /// `None` if they are not of one block.
    pub(crate) block: Option<&'a BlockInfo>,
}

impl<'a> RowsOf<'a> {
    pub(crate) fn block(record: &'a BlockRecord) -> Self {
        Self { process: &record.process, stream: &record.stream, block: Some(&record.info) }
    }
}

/// Takes the columns of one block's rows. Columns that the query does not want are dropped.
#[derive(Debug)]
pub struct Rows<'a> {
    columns: &'a [Column],
    projection: &'a [usize],
    arrays: Vec<Option<ArrayRef>>,
    text_limit: usize,
    ignored: Ignored,
}

impl<'a> Rows<'a> {
    pub(super) fn new(columns: &'a [Column], projection: &'a [usize], text_limit: usize) -> Self {
        Self { columns, projection, arrays: vec![None; columns.len()], text_limit, ignored: Vec::new() }
    }

    /// Whether the query wants that column.
    pub fn wants(&self, column: &Column) -> bool {
        self.projection.iter().any(|i| self.columns[*i].name == column.name)
    }

    /// Bytes of text that the rows may be made of.
    pub fn text_limit(&self) -> usize {
        self.text_limit
    }

    /// Counts events that give no row although they should: they are part of what a query reports.
    pub fn ignore(&mut self, reason: &'static str, events: u64) {
        if events == 0 {
            return;
        }
        match self.ignored.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += events,
            None => self.ignored.push((reason, events)),
        }
    }

    /// Puts a column: one value for each row.
    pub fn put(&mut self, column: &Column, values: impl Into<Values>) -> Result<(), DecodeError> {
        let Some(i) = self.columns.iter().position(|c| c.name == column.name) else {
            return Err(DecodeError::mistake(format!("there is no column '{}'", column.name)));
        };
        if self.projection.contains(&i) {
            self.arrays[i] = Some(to_array(&self.columns[i], values.into())?);
        }
        Ok(())
    }

    /// Puts a column whose values are made only if the query wants it. What reads events, and can find them damaged,
    /// belongs before.
    pub fn put_with<V: Into<Values>>(
        &mut self,
        column: &Column,
        values: impl FnOnce() -> Result<V, DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.wants(column) { self.put(column, values()?) } else { Ok(()) }
    }

    /// Puts a column of few distinct texts: for each row the position of its text.
    pub fn put_labels<T: AsRef<str>>(
        &mut self,
        column: &Column,
        keys: Vec<i32>,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<(), DecodeError> {
        self.put_with(column, || {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
            let labels =
                DictionaryArray::try_new(Int32Array::from(keys), texts).map_err(DecodeError::mistake)?;
            Ok(Arc::new(labels) as ArrayRef)
        })
    }

    pub(super) fn finish(
        mut self,
        of: RowsOf<'_>,
        count: usize,
        schema: SchemaRef,
    ) -> Result<Decoded, DecodeError> {
        // one buffer serves as keys of all columns that are the same in each row
        let zeros = Int32Array::from(vec![0; count]);
        let mut arrays = Vec::with_capacity(self.projection.len());
        for i in self.projection {
            let column = &self.columns[*i];
            let array = match column.origin {
                Origin::Decoder => match self.arrays[*i].take() {
                    Some(array) => array,
                    // without rows there is nothing to fill
                    None if column.nullable || count == 0 => {
                        new_null_array(&column.column_type.engine(), count)
                    }
                    None => {
                        return Err(DecodeError::mistake(format!(
                            "the column '{}' was not filled",
                            column.name
                        )));
                    }
                },
                origin => constant(origin, of, &zeros)?,
            };
            if array.len() != count {
                return Err(DecodeError::mistake(format!(
                    "the column '{}' has {} values for {count} rows",
                    column.name,
                    array.len()
                )));
            }
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let rows =
            RecordBatch::try_new_with_options(schema, arrays, &options).map_err(DecodeError::mistake)?;
        Ok(Decoded { rows, ignored: self.ignored })
    }
}

fn to_array(column: &Column, values: Values) -> Result<ArrayRef, DecodeError> {
    let wanted = column.column_type.engine();
    let array: ArrayRef = match values {
        Values::Int64(v) if matches!(wanted, DataType::Timestamp(..)) => {
            Arc::new(TimestampNanosecondArray::from(v).with_timezone("+00:00"))
        }
        Values::Int64(v) => Arc::new(Int64Array::from(v)),
        Values::Int32(v) => Arc::new(Int32Array::from(v)),
        Values::UInt32(v) => Arc::new(UInt32Array::from(v)),
        Values::Float64(v) => Arc::new(Float64Array::from(v)),
        Values::Boolean(v) => Arc::new(BooleanArray::from(v)),
        Values::Array(array) => array,
    };
    if *array.data_type() == wanted {
        return Ok(array);
    }
    let is_value_of = |dictionary: &DataType| match dictionary {
        DataType::Dictionary(_, value) => **value == *array.data_type(),
        _ => false,
    };
    if *array.data_type() == column.column_type.documented() || is_value_of(&wanted) {
        return cast(&array, &wanted).map_err(DecodeError::mistake);
    }
    Err(DecodeError::mistake(format!(
        "the column '{}' is {wanted}, its values are {}",
        column.name,
        array.data_type()
    )))
}

/// A column that follows from the block alone.
fn constant(origin: Origin, of: RowsOf<'_>, zeros: &Int32Array) -> Result<ArrayRef, DecodeError> {
    let process = of.process;
    let block = || of.block.ok_or_else(|| DecodeError::mistake("the rows are not of one block"));
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let value: ArrayRef = match origin {
        Origin::ProcessId => text(&process.process_id.to_string()),
        Origin::StreamId => text(&of.stream.stream_id.to_string()),
        Origin::BlockId => text(&block()?.block_id.to_string()),
        Origin::Exe => text(&process.exe),
        Origin::Username => text(&process.username),
        Origin::Computer => text(&process.computer),
        Origin::ProcessProperties => {
            let pairs = process.properties.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            Arc::new(BinaryArray::from(vec![Jsonb::encode_texts(pairs).as_slice()]))
        }
        Origin::InsertTime => {
            let times = vec![block()?.insert_time; zeros.len()];
            return Ok(Arc::new(TimestampNanosecondArray::from(times).with_timezone("+00:00")));
        }
        Origin::Decoder => {
            return Err(DecodeError::mistake("a decoder's column has no constant"));
        }
    };
    DictionaryArray::try_new(zeros.clone(), value)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(DecodeError::mistake)
}
