//! An aggregate over a frame that moves with the row, such as the last ten rows.
//!
//! The engine takes rows that leave out of the sum again. Infinity less infinity is NaN, and what rounding did remains. Here
//! nothing is taken out: rows are kept in chunks, and each full chunk is aggregated once. A frame is put together from its
//! chunks and the rows at its two ends, so a row costs a little more than two chunks, however long the frame is.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows of a chunk. A row costs up to two chunks of rows, and a state for each chunk between: with this many, the second
/// becomes the larger part only for frames of over 100,000 rows. Tests have small frames, which are to have many chunks.
const CHUNK: usize = if cfg!(test) { 4 } else { 256 };

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
    chunks: VecDeque<Chunk>,
}

/// Rows that follow each other, the arguments of each.
#[derive(Debug)]
struct Chunk {
    rows: Vec<ArrayRef>,
    /// What the function makes of all of them, once there are enough and none has left.
    state: Option<Vec<ArrayRef>>,
}

impl Chunk {
    fn len(&self) -> usize {
        self.rows.first().map_or(0, |column| column.len())
    }
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
            chunks: VecDeque::new(),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: self.return_field.clone(),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }

    fn state_of(&self, rows: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let mut accumulator = self.accumulator()?;
        accumulator.update_batch(rows)?;
        accumulator.state()?.iter().map(|value| value.to_array()).collect()
    }
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let added = values.first().map_or(0, |column| column.len());
        let mut taken = 0;
        while taken < added {
            if self.chunks.back().is_none_or(|chunk| chunk.state.is_some()) {
                let rows = values.iter().map(|column| column.slice(0, 0)).collect();
                self.chunks.push_back(Chunk { rows, state: None });
            }
            let Some(mut last) = self.chunks.pop_back() else { break };
            let room = CHUNK.saturating_sub(last.len()).clamp(1, added - taken);
            for (kept, new) in last.rows.iter_mut().zip(values) {
                let new = new.slice(taken, room);
                *kept = concat(&[kept.as_ref(), new.as_ref()])?;
            }
            taken += room;
            if last.len() >= CHUNK {
                last.state = Some(self.state_of(&last.rows)?);
            }
            self.chunks.push_back(last);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut gone = values.first().map_or(0, |column| column.len());
        while gone > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            let length = first.len();
            if gone >= length {
                gone -= length;
                self.chunks.pop_front();
            } else {
                first.rows = first.rows.iter().map(|column| column.slice(gone, length - gone)).collect();
                // there is a state, if not a right one: such a chunk takes no more rows
                if first.state.is_some() {
                    first.state = Some(Vec::new());
                }
                gone = 0;
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut accumulator = self.accumulator()?;
        let whole: Vec<&Vec<ArrayRef>> = self
            .chunks
            .iter()
            .filter_map(|chunk| chunk.state.as_ref())
            .filter(|state| !state.is_empty())
            .collect();
        for chunk in &self.chunks {
            if chunk.state.as_ref().is_none_or(Vec::is_empty) && chunk.len() > 0 {
                accumulator.update_batch(&chunk.rows)?;
            }
        }
        if let Some(first) = whole.first() {
            let states = (0..first.len()).map(|i| {
                let column: Vec<&dyn Array> = whole.iter().map(|state| state[i].as_ref()).collect();
                Ok(concat(&column)?)
            });
            accumulator.merge_batch(&states.collect::<Result<Vec<_>>>()?)?;
        }
        accumulator.evaluate()
    }

    fn size(&self) -> usize {
        let arrays = |arrays: &[ArrayRef]| arrays.iter().map(|a| a.get_array_memory_size()).sum::<usize>();
        let chunk = |chunk: &Chunk| {
            size_of::<Chunk>() + arrays(&chunk.rows) + chunk.state.as_deref().map_or(0, arrays)
        };
        size_of_val(self) + self.chunks.iter().map(chunk).sum::<usize>()
    }

    // frames are not put together
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }
}
