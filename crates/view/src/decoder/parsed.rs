//! The objects of one block under way to whoever wants to see them.

use super::DecodeError;
use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::fmt;
use std::sync::Arc;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of values from which on a batch is handed on before it has all its rows.
const BATCH_BYTES: usize = 4 << 20;

/// The objects that a block's parser finds. They are handed on in batches, so that a block does not have to be in
/// memory as a whole.
pub struct ParsedObjects<'s> {
    /// Number of the block's first object in its stream.
    offset: i64,
    indexes: Vec<i64>,
    types: StringBuilder,
    values: BinaryBuilder,
    bytes: usize,
    /// Takes a batch; `false` if nobody wants more.
    hand_on: &'s mut dyn FnMut(RecordBatch) -> bool,
}

impl fmt::Debug for ParsedObjects<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedObjects").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Columns of what is handed on.
pub fn parsed_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("object_index", DataType::Int64, false),
        Field::new("type_name", DataType::Utf8, false),
        Field::new("value", DataType::Binary, false),
    ]))
}

impl<'s> ParsedObjects<'s> {
    /// Objects of a block whose first object has the number `offset` in its stream.
    pub(crate) fn new(offset: i64, hand_on: &'s mut dyn FnMut(RecordBatch) -> bool) -> Self {
        Self {
            offset,
            indexes: Vec::new(),
            types: StringBuilder::new(),
            values: BinaryBuilder::new(),
            bytes: 0,
            hand_on,
        }
    }

    /// Adds an object: its number in the block, counted from 0, the name of its type, and what it says as JSONB. An
    /// error if nobody wants more, or if the object is too large for a row.
    pub fn push(&mut self, ordinal: usize, type_name: &str, value: &[u8]) -> Result<(), DecodeError> {
        // no sum of what a batch may have and this may be more than offsets of 32 bits can say
        let limit = 1 << 30;
        if value.len() > limit || type_name.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        self.indexes.push(self.offset.saturating_add(i64::try_from(ordinal).unwrap_or(i64::MAX)));
        self.types.append_value(type_name);
        self.values.append_value(value);
        self.bytes += value.len() + type_name.len();
        if self.indexes.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            return self.finish();
        }
        Ok(())
    }

    /// Hands on what there is.
    pub(crate) fn finish(&mut self) -> Result<(), DecodeError> {
        if self.indexes.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.indexes))),
            Arc::new(self.types.finish()),
            Arc::new(self.values.finish()),
        ];
        let batch = RecordBatch::try_new(parsed_schema(), columns).map_err(DecodeError::mistake)?;
        match (self.hand_on)(batch) {
            true => Ok(()),
            false => Err(DecodeError::mistake("nobody wants the rest of the block")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_leave_in_batches_and_no_more_than_are_wanted() {
        let mut sizes = Vec::new();
        let mut take = |batch: RecordBatch| {
            sizes.push(batch.num_rows());
            sizes.len() < 3
        };
        let mut objects = ParsedObjects::new(7, &mut take);
        let outcome = (0..100_000).try_for_each(|i| objects.push(i, "t", b"v"));
        assert!(outcome.is_err());
        assert_eq!(sizes, [BATCH_ROWS; 3]);

        let mut indexes = Vec::new();
        let mut take = |batch: RecordBatch| {
            let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            indexes.extend(column.values().iter().copied());
            true
        };
        let mut objects = ParsedObjects::new(7, &mut take);
        objects.push(0, "t", b"v").unwrap();
        objects.push(2, "t", b"v").unwrap();
        objects.finish().unwrap();
        objects.finish().unwrap();
        assert_eq!(indexes, [7, 9]);
    }
}
