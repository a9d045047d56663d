//! `percentile_cont`, by the steps of PostgreSQL: the value at a fraction of the way from the first to the last, or between two.
//!
//! The engine's interpolates in steps of a millionth, which loses milliseconds of latencies that are hours apart, and takes
//! only the first of several partial results.

use super::as_the_engine;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, RecordBatch,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{exec_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, GroupsAccumulator,
};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Percentile {
    pub(super) engines: Arc<AggregateUDF>,
}

/// Which value is wanted, and of which type.
#[derive(Debug, Clone)]
struct Wanted {
    fraction: f64,
    is_descending: bool,
    is_distinct: bool,
    data_type: DataType,
}

impl Wanted {
    fn of(args: &AccumulatorArgs<'_>) -> Result<Self> {
        let nothing = RecordBatch::new_empty(Arc::new(args.schema.clone()));
        let fraction = match args.exprs.get(1).map(|fraction| fraction.evaluate(&nothing)).transpose()? {
            Some(ColumnarValue::Scalar(value)) => value.cast_to(&DataType::Float64)?,
            _ => return plan_err!("the fraction of percentile_cont is one number, not a column"),
        };
        let ScalarValue::Float64(Some(fraction)) = fraction else {
            return plan_err!("the fraction of percentile_cont is a number, not NULL");
        };
        if !(0.0..=1.0).contains(&fraction) {
            return plan_err!("the fraction of percentile_cont is between 0 and 1, not {fraction}");
        }
        Ok(Self {
            fraction,
            is_descending: args.order_bys.first().is_some_and(|by| by.options.descending),
            is_distinct: args.is_distinct,
            data_type: args.return_field.data_type().clone(),
        })
    }

    /// What is at the fraction of values, which end in order.
    fn among(&self, values: &mut Vec<f64>) -> Option<f64> {
        values.sort_unstable_by(f64::total_cmp);
        if self.is_distinct {
            // one NaN and one zero: values are plain
            values.dedup_by_key(|value| value.to_bits());
        }
        self.at(values)
    }

    /// The same of values in order.
    fn at(&self, values: &[f64]) -> Option<f64> {
        let last = values.len().checked_sub(1)?;
        let way = self.fraction * last as f64;
        // both are at most `last`
        let (below, above) = (way.floor() as usize, way.ceil() as usize);
        let nth = |n: usize| values[if self.is_descending { last - n } else { n }];
        let (low, high) = (nth(below), nth(above));
        Some(if below == above { low } else { low + (way - below as f64) * (high - low) })
    }

    fn array(&self, values: Float64Array) -> Result<ArrayRef> {
        Ok(cast(&values, &self.data_type)?)
    }

    fn scalar(&self, value: Option<f64>) -> Result<ScalarValue> {
        ScalarValue::Float64(value).cast_to(&self.data_type)
    }
}

impl AggregateUDFImpl for Percentile {
    as_the_engine!();

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let item = Arc::new(Field::new_list_field(DataType::Float64, true));
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), DataType::List(item), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Values { wanted: Wanted::of(&args)?, values: Vec::new() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(InOrder(Values { wanted: Wanted::of(&args)?, values: Vec::new() })))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { wanted: Wanted::of(&args)?, groups: Vec::new(), held: 0 }))
    }
}

/// Values of rows, NULL among them.
fn numbers(column: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// One list of values for each group.
fn lists(groups: &[Vec<f64>]) -> Result<ListArray> {
    let all = groups.iter().map(Vec::len).sum::<usize>();
    // offsets of a list are of 32 bits
    if i32::try_from(all).is_err() {
        return Err(exec_datafusion_err!(
            "percentile_cont of {all} values at once: group them, or take fewer"
        ));
    }
    let values = Float64Array::from_iter_values(groups.iter().flatten().copied());
    let offsets = OffsetBuffer::from_lengths(groups.iter().map(Vec::len));
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    Ok(ListArray::try_new(item, offsets, Arc::new(values), None)?)
}

/// Adds to values; what is too much for the machine is an error.
fn extend(values: &mut Vec<f64>, new: impl ExactSizeIterator<Item = Option<f64>>) -> Result<()> {
    let count = new.len();
    values
        .try_reserve(count)
        .map_err(|e| exec_datafusion_err!("percentile_cont of {count} more values: {e}"))?;
    values.extend(new.flatten());
    Ok(())
}

/// All values.
#[derive(Debug)]
struct Values {
    wanted: Wanted,
    values: Vec<f64>,
}

impl Accumulator for Values {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        extend(&mut self.values, numbers(&columns[0])?.iter())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.wanted.among(&mut self.values);
        self.wanted.scalar(value)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::List(Arc::new(lists(&[std::mem::take(&mut self.values)])?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            extend(&mut self.values, list.as_primitive::<Float64Type>().iter())?;
        }
        Ok(())
    }
}

/// Values of a frame that moves, always in order: a row that leaves is found at once.
#[derive(Debug)]
struct InOrder(Values);

impl Accumulator for InOrder {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = &mut self.0.values;
        let new = numbers(&columns[0])?;
        // a frame's first rows come at once, others one by one
        if new.len() > 16 {
            extend(values, new.iter())?;
            values.sort_unstable_by(f64::total_cmp);
            return Ok(());
        }
        for value in new.iter().flatten() {
            let at = values.partition_point(|kept| kept.total_cmp(&value).is_lt());
            values.insert(at, value);
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = &mut self.0.values;
        for value in numbers(&columns[0])?.iter().flatten() {
            if let Ok(at) = values.binary_search_by(|kept| kept.total_cmp(&value)) {
                values.remove(at);
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.wanted.scalar(self.0.wanted.at(&self.0.values))
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)?;
        self.0.values.sort_unstable_by(f64::total_cmp);
        Ok(())
    }
}

/// All values of each group.
#[derive(Debug)]
struct Groups {
    wanted: Wanted,
    groups: Vec<Vec<f64>>,
    /// Bytes of the groups' values.
    held: usize,
}

impl Groups {
    fn taken(&mut self, emit_to: EmitTo) -> Vec<Vec<f64>> {
        let taken = emit_to.take_needed(&mut self.groups);
        self.held -= taken.iter().map(|values| values.capacity() * size_of::<f64>()).sum::<usize>();
        taken
    }

    fn push(&mut self, group: usize, value: f64) {
        let values = &mut self.groups[group];
        let before = values.capacity();
        values.push(value);
        self.held += (values.capacity() - before) * size_of::<f64>();
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.groups.resize_with(count, Vec::new);
        for (row, (value, group)) in numbers(&columns[0])?.iter().zip(groups).enumerate() {
            // of a filter, NULL is not true
            let is_wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (Some(value), true) = (value, is_wanted) {
                self.push(*group, value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.taken(emit_to);
        let values = groups.iter_mut().map(|values| self.wanted.among(values)).collect();
        self.wanted.array(values)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(lists(&self.taken(emit_to))?)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.groups.resize_with(count, Vec::new);
        for (list, group) in states[0].as_list::<i32>().iter().zip(groups) {
            for value in list.iter().flat_map(|list| list.as_primitive::<Float64Type>().iter()).flatten() {
                self.push(*group, value);
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = numbers(&columns[0])?;
        let is_wanted = |row| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let each: Vec<Vec<f64>> = rows
            .iter()
            .enumerate()
            .map(|(row, value)| value.filter(|_| is_wanted(row)).into_iter().collect())
            .collect();
        Ok(vec![Arc::new(lists(&each)?)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held + self.groups.capacity() * size_of::<Vec<f64>>()
    }
}
