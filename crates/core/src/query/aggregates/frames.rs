//! An aggregate over a frame that moves with the row, such as the last ten rows.
//!
//! The engine takes rows that leave out of the sum again. Infinity less infinity is NaN, and what rounding did remains. Here
//! each frame is computed anew, as PostgreSQL does for numbers with a fraction: that takes a time that grows with the frame.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use std::sync::Arc;

/// The rows of the frame, and how they are taken.
#[derive(Debug)]
pub(super) struct Frame {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
    rows: Vec<ArrayRef>,
}

impl Frame {
    /// An empty frame; `function` makes what takes its rows.
    pub(super) fn new(function: Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        Self {
            function,
            return_field: args.return_field.clone(),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
            rows: Vec::new(),
        }
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.rows.is_empty() {
            self.rows = values.to_vec();
            return Ok(());
        }
        for (kept, new) in self.rows.iter_mut().zip(values) {
            *kept = concat(&[kept.as_ref(), new.as_ref()])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (kept, gone) in self.rows.iter_mut().zip(values) {
            let gone = gone.len().min(kept.len());
            *kept = kept.slice(gone, kept.len() - gone);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut accumulator = self.function.accumulator(AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })?;
        if !self.rows.is_empty() {
            accumulator.update_batch(&self.rows)?;
        }
        accumulator.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.iter().map(|rows| rows.get_array_memory_size()).sum::<usize>()
    }

    // frames are not put together
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }
}
