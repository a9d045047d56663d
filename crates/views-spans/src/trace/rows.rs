//! Rows of a query's answer, by the names that the exporter gives its columns.

use super::writer::Label;
use belvedere_core::arrow::array::{
    Array, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use belvedere_core::arrow::compute::{
    SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch,
};
use belvedere_core::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt32Type};
use belvedere_core::arrow::error::ArrowError;

/// One row: what a query does not have is zero or empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(super) id: i64,
    pub(super) parent: i64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) depth: i64,
    pub(super) bits: Option<i64>,
    pub(super) value: f64,
    name: &'a str,
    target: &'a str,
    filename: &'a str,
    line: u32,
    /// A JSONB object.
    properties: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) fn properties(&self) -> &'a [u8] {
        self.properties
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn label(&self) -> Label<'a> {
        let place = (!self.filename.is_empty()).then_some((self.filename, self.line));
        Label { name: self.name, category: self.target, place }
    }
}

/// The columns of a batch in plain types.
pub(crate) struct Columns {
    numbers: [Option<Int64Array>; 6],
    texts: [Option<StringArray>; 3],
    line: Option<UInt32Array>,
    value: Option<Float64Array>,
    properties: Option<BinaryArray>,
    rows: usize,
}

const NUMBERS: [&str; 6] = ["id", "parent", "begin", "end", "depth", "bit_size"];
const TEXTS: [&str; 3] = ["name", "target", "filename"];

/// The columns of a batch.
pub(crate) fn columns(batch: &RecordBatch) -> Result<Columns, ArrowError> {
    let column = |name: &str, to: &DataType| match batch.column_by_name(name) {
        Some(column) => cast(column, to).map(Some),
        None => Ok(None),
    };
    let mut found = Columns {
        numbers: [const { None }; 6],
        texts: [const { None }; 3],
        line: column("line", &DataType::UInt32)?.map(|c| c.as_primitive::<UInt32Type>().clone()),
        value: column("value", &DataType::Float64)?.map(|c| c.as_primitive::<Float64Type>().clone()),
        properties: column("properties", &DataType::Binary)?.map(|c| c.as_binary::<i32>().clone()),
        rows: batch.num_rows(),
    };
    for (i, name) in NUMBERS.iter().enumerate() {
        found.numbers[i] = column(name, &DataType::Int64)?.map(|c| c.as_primitive::<Int64Type>().clone());
    }
    for (i, name) in TEXTS.iter().enumerate() {
        found.texts[i] = column(name, &DataType::Utf8)?.map(|c| c.as_string::<i32>().clone());
    }
    Ok(found)
}

impl Columns {
    /// The rows, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows).map(|row| {
            let number = |i: usize| self.numbers[i].as_ref().map(|c| c.value(row));
            let text = |i: usize| match &self.texts[i] {
                Some(column) if column.is_valid(row) => column.value(row),
                _ => "",
            };
            Row {
                id: number(0).unwrap_or(0),
                parent: number(1).unwrap_or(0),
                begin: number(2).unwrap_or(0),
                end: number(3).unwrap_or(0),
                depth: number(4).unwrap_or(0),
                bits: number(5),
                value: self.value.as_ref().map_or(0.0, |c| c.value(row)),
                name: text(0),
                target: text(1),
                filename: text(2),
                line: self.line.as_ref().map_or(0, |c| c.value(row)),
                properties: self.properties.as_ref().map_or(&[], |c| c.value(row)),
            }
        })
    }
}

/// Rows that are held back at most because they begin at the same instant.
const MOST: usize = 1 << 20;

/// Brings rows that come in the order of `begin` into that of `begin` and `id`: a span's id is greater than that of what
/// it is part of, so it comes behind it although both begin at the same instant.
#[derive(Default)]
pub(crate) struct PreOrder {
    held: Option<RecordBatch>,
}

impl PreOrder {
    /// Adds a batch, `None` at the end; the rows that are known to be in order now.
    pub(crate) fn add(&mut self, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>, ArrowError> {
        let (Some(rows), is_last) = (
            match (self.held.take(), &batch) {
                (Some(held), Some(new)) => Some(concat_batches(&new.schema(), [&held, new])?),
                (held, new) => held.or_else(|| new.clone()),
            },
            batch.is_none(),
        ) else {
            return Ok(None);
        };
        let key = |name: &str| -> Result<SortColumn, ArrowError> {
            let missing = || ArrowError::SchemaError(format!("there is no column {name}"));
            let column = rows.column_by_name(name).ok_or_else(missing)?;
            Ok(SortColumn { values: column.clone(), options: None })
        };
        let order = lexsort_to_indices(&[key("begin")?, key("id")?], None)?;
        let sorted = take_record_batch(&rows, &order)?;
        if is_last || sorted.num_rows() >= MOST {
            return Ok(Some(sorted));
        }
        // those of the last instant may get company
        let begins = cast(&key("begin")?.values, &DataType::Int64)?;
        let begins = begins.as_primitive::<Int64Type>();
        let last = begins.values().iter().max().copied();
        let ready = begins.values().iter().filter(|begin| Some(**begin) != last).count();
        self.held = Some(sorted.slice(ready, sorted.num_rows() - ready));
        Ok((ready > 0).then(|| sorted.slice(0, ready)))
    }
}
