//! The histograms of all groups side by side.
//!
//! What is handed from one step of an aggregation to the next has only the bins between the first and the last one with
//! a value: where nearly every row is a group of its own, histograms are nearly empty.

use super::histogram::{Bounds, Histogram, Histograms, to_array};
use belvedere_core::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, UInt64Array};
use belvedere_core::arrow::compute::concat;
use belvedere_core::arrow::datatypes::{ArrowPrimitiveType, Float64Type, Int64Type, UInt64Type};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use belvedere_core::datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// What is aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Of {
    Values,
    Histograms,
}

impl Of {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Values => "make_histogram",
            Self::Histograms => "sum_histograms",
        }
    }

    fn incompatible(self) -> DataFusionError {
        DataFusionError::Execution(match self {
            Self::Values => {
                "make_histogram: start, end and the number of bins must be the same in all rows of a \
                             group: group by them, or aggregate them first"
                    .to_owned()
            }
            Self::Histograms => {
                "Error merging incompatible histograms: start, end and the number of bins must be \
                                 the same in all histograms of a group"
                    .to_owned()
            }
        })
    }
}

/// The histograms of all groups.
#[derive(Debug)]
pub(super) struct Groups {
    of: Of,
    /// What a group without rows has.
    fallback: Option<Histogram>,
    groups: Vec<Option<Histogram>>,
    /// Bins of all of them.
    bins: usize,
}

fn numbers<T: ArrowPrimitiveType>(values: &[ArrayRef], i: usize) -> Result<&PrimitiveArray<T>> {
    values.get(i).and_then(|v| v.as_primitive_opt::<T>()).ok_or_else(|| {
        DataFusionError::Internal(format!(
            "argument {i} of a histogram is not of the type that it was cast to"
        ))
    })
}

impl Groups {
    pub(super) fn new(of: Of, fallback: Option<Bounds>) -> Self {
        Self { of, fallback: fallback.as_ref().map(Histogram::empty), groups: Vec::new(), bins: 0 }
    }

    fn make_room(&mut self, groups: usize) {
        if self.groups.len() < groups {
            self.groups.resize_with(groups, || None);
        }
    }

    fn slot(&mut self, group: usize) -> Result<&mut Option<Histogram>> {
        self.groups
            .get_mut(group)
            .ok_or_else(|| DataFusionError::Internal(format!("there is no group {group}")))
    }

    fn add_values(&mut self, values: &[ArrayRef], rows: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let starts = numbers::<Float64Type>(values, 0)?;
        let ends = numbers::<Float64Type>(values, 1)?;
        let counts = numbers::<Int64Type>(values, 2)?;
        let numbers = numbers::<Float64Type>(values, 3)?;
        for (row, group) in rows {
            if starts.is_null(row) || ends.is_null(row) || counts.is_null(row) {
                if numbers.is_null(row) {
                    continue;
                }
                return Err(DataFusionError::Execution(
                    "make_histogram: start, end and the number of bins must not be NULL where there is a value"
                        .to_owned(),
                ));
            }
            let (start, end, bins) = (starts.value(row), ends.value(row), counts.value(row));
            let of = self.of;
            let slot = self.slot(group)?;
            let (histogram, new_bins) = match slot {
                Some(histogram) => {
                    if !usize::try_from(bins).is_ok_and(|bins| histogram.is_within(start, end, bins)) {
                        return Err(of.incompatible());
                    }
                    (histogram, 0)
                }
                None => {
                    let bounds = Bounds::new(start, end, bins)?;
                    (slot.insert(Histogram::empty(&bounds)), bounds.bins)
                }
            };
            if numbers.is_valid(row) {
                histogram.add(numbers.value(row));
            }
            self.bins += new_bins;
        }
        Ok(())
    }

    /// Adds histograms, of each the bins from `parts` on: the first bin that is given, and the number of all.
    fn add_histograms(
        &mut self,
        column: &ArrayRef,
        parts: Option<(&UInt64Array, &UInt64Array)>,
        rows: impl Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let histograms = Histograms::new(self.of.name(), column)?;
        for (row, group) in rows {
            let Some(other) = histograms.get(row)? else { continue };
            let (first, bins) = match parts {
                Some((first, bins)) => (first.value(row) as usize, bins.value(row) as usize),
                None => (0, other.bins.len()),
            };
            let of = self.of;
            let slot = self.slot(group)?;
            match slot {
                Some(histogram) => {
                    if !histogram.is_within(other.start, other.end, bins) {
                        return Err(of.incompatible());
                    }
                    histogram.merge(&other, first);
                }
                None => {
                    let bounds = Bounds { start: other.start, end: other.end, bins };
                    slot.insert(Histogram::empty(&bounds)).merge(&other, first);
                    self.bins += bins;
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.make_room(groups);
        let counts = |row: usize| filter.is_none_or(|f| f.is_valid(row) && f.value(row));
        let rows = group_indices.iter().copied().enumerate().filter(|(row, _)| counts(*row));
        match (self.of, values) {
            (Of::Values, values) => self.add_values(values, rows),
            (Of::Histograms, [column]) => self.add_histograms(column, None, rows),
            (Of::Histograms, _) => {
                Err(DataFusionError::Internal("sum_histograms has one argument".to_owned()))
            }
        }
    }

    fn add_states(&mut self, states: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        let Some(column) = states.first() else {
            return Err(DataFusionError::Internal("a state of a histogram is missing".to_owned()));
        };
        self.make_room(groups);
        let parts = (numbers::<UInt64Type>(states, 1)?, numbers::<UInt64Type>(states, 2)?);
        self.add_histograms(column, Some(parts), group_indices.iter().copied().enumerate())
    }

    fn values(&self, groups: &[Option<Histogram>]) -> Result<ArrayRef> {
        to_array(groups.iter().map(|g| g.as_ref().or(self.fallback.as_ref())), |h| &h.bins)
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Option<Histogram>> {
        let groups = emit_to.take_needed(&mut self.groups);
        let bins: usize = groups.iter().flatten().map(|h| h.bins.len()).sum();
        self.bins = self.bins.saturating_sub(bins);
        groups
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.groups.capacity() * size_of::<Option<Histogram>>()
            + self.bins * size_of::<u64>()
    }
}

/// What is handed on: the histograms with the bins that are filled, which is the first of these, and how many there are.
fn states(groups: &[Option<Histogram>]) -> Result<Vec<ArrayRef>> {
    let rows = groups.iter().map(Option::as_ref);
    let firsts = rows.clone().map(|row| row.map_or(0, |h| h.filled().0 as u64));
    let bins = rows.clone().map(|row| row.map_or(0, |h| h.bins.len() as u64));
    Ok(vec![
        to_array(rows.clone(), |h| h.filled().1)?,
        Arc::new(UInt64Array::from_iter_values(firsts)),
        Arc::new(UInt64Array::from_iter_values(bins)),
    ])
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.add(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit_to);
        self.values(&groups)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        states(&self.take(emit_to))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.add_states(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |v| v.len());
        // a few at a time: each is a whole histogram until its empty bins are left out
        let mut parts: Vec<Vec<ArrayRef>> = Vec::new();
        for begin in (0..rows.max(1)).step_by(ROWS_AT_ONCE) {
            let length = ROWS_AT_ONCE.min(rows - begin);
            let slice: Vec<ArrayRef> = values.iter().map(|v| v.slice(begin, length)).collect();
            let filter = opt_filter.map(|f| f.slice(begin, length));
            let mut groups = Self::new(self.of, None);
            groups.add(&slice, &(0..length).collect::<Vec<_>>(), filter.as_ref(), length)?;
            parts.push(states(&groups.groups)?);
        }
        (0..3)
            .map(|i| {
                let columns: Vec<&dyn Array> =
                    parts.iter().filter_map(|p| p.get(i).map(|c| c.as_ref())).collect();
                Ok(concat(&columns)?)
            })
            .collect()
    }

    fn size(&self) -> usize {
        self.memory()
    }
}

/// Rows that become histograms of their own at once.
const ROWS_AT_ONCE: usize = 64;

/// The histogram of one group.
#[derive(Debug)]
pub(super) struct Single(pub(super) Groups);

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |v| v.len());
        self.0.add(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |v| v.len());
        self.0.add_states(states, &vec![0; rows], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.make_room(1);
        ScalarValue::try_from_array(&self.0.values(&self.0.groups)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.make_room(1);
        states(&self.0.groups)?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn size(&self) -> usize {
        self.0.memory()
    }
}
