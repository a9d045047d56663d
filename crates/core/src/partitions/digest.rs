//! Rows in short: two sets of rows with the same digest are the same.

use crate::error::Result;
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::row::{RowConverter, SortField};
use datafusion::execution::SendableRecordBatchStream;
use foldhash::fast::FixedState;
use futures::TryStreamExt;
use std::hash::BuildHasher;

/// Rows, whatever their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u64,
}

impl Digest {
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        // a dictionary is no part of the value
        let columns = batch.columns().iter().map(|column| match column.data_type() {
            arrow::datatypes::DataType::Dictionary(_, value) => cast(column, value),
            _ => Ok(column.clone()),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let hasher = FixedState::default();
        for row in &RowConverter::new(fields)?.convert_columns(&columns)? {
            self.rows += 1;
            self.sum = self.sum.wrapping_add(hasher.hash_one(row.as_ref()));
        }
        Ok(())
    }
}

pub(super) async fn digest(mut rows: SendableRecordBatchStream) -> Result<Digest> {
    let mut digest = Digest::default();
    while let Some(batch) = rows.try_next().await? {
        digest.add(&batch)?;
    }
    Ok(digest)
}
