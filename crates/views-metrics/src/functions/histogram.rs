//! The value type of histograms, one by one and as columns.

use belvedere_core::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray, UInt64Array,
};
use belvedere_core::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, UInt64Type};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use std::sync::Arc;

/// Bins of one histogram: half a megabyte.
pub(super) const MAX_BINS: usize = 65_536;

/// The members that are numbers, in their order.
const NUMBERS: [&str; 6] = ["start", "end", "min", "max", "sum", "sum_sq"];

fn bin() -> FieldRef {
    Arc::new(Field::new("bin", DataType::UInt64, false))
}

fn fields() -> Fields {
    let numbers = NUMBERS.map(|name| Field::new(name, DataType::Float64, false));
    let others =
        [Field::new("count", DataType::UInt64, false), Field::new("bins", DataType::List(bin()), false)];
    numbers.into_iter().chain(others).collect()
}

/// The type of histograms.
pub(super) fn data_type() -> DataType {
    DataType::Struct(fields())
}

/// Whether the argument of a function is a histogram, whatever the exact types of its members.
pub(super) fn check_type(function: &str, found: &DataType) -> Result<()> {
    let names = || NUMBERS.into_iter().chain(["count", "bins"]);
    let is_histogram = match found {
        DataType::Null => true,
        DataType::Struct(fields) => names().all(|name| fields.find(name).is_some()),
        _ => false,
    };
    match is_histogram {
        true => Ok(()),
        false => Err(DataFusionError::Plan(format!(
            "{function} takes a histogram from make_histogram, not {found}"
        ))),
    }
}

/// Where the bins of a histogram lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) bins: usize,
}

impl Bounds {
    pub(super) fn new(start: f64, end: f64, bins: i64) -> Result<Self> {
        if start > end || start.is_nan() || end.is_nan() {
            return Err(DataFusionError::Execution(format!(
                "make_histogram: start must not be greater than end, they are {start} and {end}"
            )));
        }
        if bins < 1 {
            return Err(DataFusionError::Execution(format!(
                "make_histogram: the number of bins must be at least 1, not {bins}"
            )));
        }
        match usize::try_from(bins) {
            Ok(bins) if bins <= MAX_BINS => Ok(Self { start, end, bins }),
            _ => Err(DataFusionError::Plan(format!(
                "make_histogram: {bins} bins are too many, at most {MAX_BINS} are allowed"
            ))),
        }
    }
}

/// A histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    pub(super) sum_sq: f64,
    pub(super) count: u64,
    pub(super) bins: Vec<u64>,
}

impl Histogram {
    /// A histogram of nothing.
    pub(super) fn empty(bounds: &Bounds) -> Self {
        Self {
            start: bounds.start,
            end: bounds.end,
            min: f64::MAX,
            max: f64::MIN,
            sum: 0.0,
            sum_sq: 0.0,
            count: 0,
            bins: vec![0; bounds.bins],
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        let bins = self.bins.len();
        let place = (value - self.start) / (self.end - self.start) * bins as f64;
        // what is below, or not a number, is 0; what is above is the greatest number that there is
        let place = (place.floor() as usize).min(bins.saturating_sub(1));
        if let Some(bin) = self.bins.get_mut(place) {
            *bin += 1;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.sum_sq += value * value;
        self.count += 1;
    }

    /// Whether its bins lie there.
    pub(super) fn is_within(&self, start: f64, end: f64, bins: usize) -> bool {
        self.start == start && self.end == end && self.bins.len() == bins
    }

    /// Adds the values of another one with the same bounds, of which bins from `first` on are given.
    pub(super) fn merge(&mut self, other: &HistogramRow<'_>, first: usize) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.sum_sq += other.sum_sq;
        self.count = self.count.saturating_add(other.count);
        for (bin, more) in self.bins.iter_mut().skip(first).zip(other.bins) {
            *bin = bin.saturating_add(*more);
        }
    }

    /// The bins from the first to the last one with a value, and the position of the first.
    pub(super) fn filled(&self) -> (usize, &[u64]) {
        let is_filled = |bin: &u64| *bin > 0;
        match (self.bins.iter().position(is_filled), self.bins.iter().rposition(is_filled)) {
            (Some(first), Some(last)) => (first, &self.bins[first..=last]),
            _ => (0, &[]),
        }
    }
}

/// A histogram in a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HistogramRow<'a> {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    pub(super) sum_sq: f64,
    pub(super) count: u64,
    pub(super) bins: &'a [u64],
}

/// A column of histograms.
#[derive(Debug)]
pub(super) struct Histograms {
    length: usize,
    /// `None` if all of them are NULL.
    members: Option<Members>,
}

#[derive(Debug)]
struct Members {
    nulls: Option<NullBuffer>,
    numbers: Vec<Float64Array>,
    counts: UInt64Array,
    lists: ListArray,
    bins: UInt64Array,
}

impl Histograms {
    /// Takes a column that [`check_type`] lets in.
    pub(super) fn new(function: &str, column: &ArrayRef) -> Result<Self> {
        check_type(function, column.data_type())?;
        let Some(structs) = column.as_struct_opt() else {
            return Ok(Self { length: column.len(), members: None });
        };
        let member = |name: &str, wanted: DataType| -> Result<ArrayRef> {
            let found = structs.column_by_name(name).ok_or_else(|| {
                DataFusionError::Execution(format!("{function}: the histogram has no member '{name}'"))
            })?;
            Ok(cast(found, &wanted)?)
        };
        let numbers = NUMBERS
            .into_iter()
            .map(|name| Ok(member(name, DataType::Float64)?.as_primitive::<Float64Type>().clone()));
        let lists = member("bins", DataType::List(Arc::new(Field::new("bin", DataType::UInt64, true))))?;
        let lists = lists.as_list::<i32>().clone();
        Ok(Self {
            length: column.len(),
            members: Some(Members {
                nulls: structs.nulls().cloned(),
                numbers: numbers.collect::<Result<_>>()?,
                counts: member("count", DataType::UInt64)?.as_primitive::<UInt64Type>().clone(),
                bins: lists.values().as_primitive::<UInt64Type>().clone(),
                lists,
            }),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The histogram in that row; `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Result<Option<HistogramRow<'_>>> {
        let Some(members) = &self.members else { return Ok(None) };
        if members.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let number = |i: usize| members.numbers[i].value(row);
        let bins = match members.lists.is_null(row) {
            true => &[],
            false => {
                let offsets = members.lists.value_offsets();
                &members.bins.values()[offsets[row] as usize..offsets[row + 1] as usize]
            }
        };
        if bins.len() > MAX_BINS {
            return Err(DataFusionError::Execution(format!(
                "a histogram has {} bins, at most {MAX_BINS} are allowed",
                bins.len()
            )));
        }
        Ok(Some(HistogramRow {
            start: number(0),
            end: number(1),
            min: number(2),
            max: number(3),
            sum: number(4),
            sum_sq: number(5),
            count: members.counts.value(row),
            bins,
        }))
    }
}

/// A column of histograms; of each, `bins_of` tells the bins that stand there.
pub(super) fn to_array<'a>(
    rows: impl Iterator<Item = Option<&'a Histogram>> + Clone,
    bins_of: impl Fn(&'a Histogram) -> &'a [u64],
) -> Result<ArrayRef> {
    let number = |f: fn(&Histogram) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| row.map_or(0.0, f))))
    };
    let mut bins: Vec<u64> = Vec::new();
    let mut offsets = vec![0_i32];
    for row in rows.clone() {
        bins.extend(row.map(&bins_of).unwrap_or_default());
        offsets.push(i32::try_from(bins.len()).map_err(|_| {
            DataFusionError::ResourcesExhausted(
                "the histograms of one batch have too many bins together: make fewer bins or groups"
                    .to_owned(),
            )
        })?);
    }
    let lists = ListArray::try_new(
        bin(),
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        Arc::new(UInt64Array::from(bins)),
        None,
    )?;
    let counts = UInt64Array::from_iter_values(rows.clone().map(|row| row.map_or(0, |h| h.count)));
    let columns: Vec<ArrayRef> = vec![
        number(|h| h.start),
        number(|h| h.end),
        number(|h| h.min),
        number(|h| h.max),
        number(|h| h.sum),
        number(|h| h.sum_sq),
        Arc::new(counts),
        Arc::new(lists),
    ];
    let nulls: NullBuffer = rows.map(|row| row.is_some()).collect();
    Ok(Arc::new(StructArray::try_new(fields(), columns, Some(nulls))?))
}
