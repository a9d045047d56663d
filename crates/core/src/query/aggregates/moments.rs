//! Variances, covariances and regressions, by the steps of PostgreSQL (`float8_accum`, `float8_regr_accum`): sums of squares
//! of differences from the mean, which NaN and infinities make NaN.

use super::{as_the_engine, frames};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::cast::as_list_array;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator};
use datafusion::scalar::ScalarValue;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is made of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Figure {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    Corr,
    CovarPop,
    CovarSamp,
    AvgX,
    AvgY,
    R2,
    Slope,
    Intercept,
    Sxx,
    Syy,
    Sxy,
}

impl Figure {
    /// The one of the engine's function with this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "var_pop" => Self::VarPop,
            "var" | "var_samp" => Self::VarSamp,
            "stddev_pop" => Self::StddevPop,
            "stddev" | "stddev_samp" => Self::StddevSamp,
            "corr" => Self::Corr,
            "covar_pop" => Self::CovarPop,
            "covar" | "covar_samp" => Self::CovarSamp,
            "regr_avgx" => Self::AvgX,
            "regr_avgy" => Self::AvgY,
            "regr_r2" => Self::R2,
            "regr_slope" => Self::Slope,
            "regr_intercept" => Self::Intercept,
            "regr_sxx" => Self::Sxx,
            "regr_syy" => Self::Syy,
            "regr_sxy" => Self::Sxy,
            _ => return None,
        })
    }
}

/// One of these functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Moments {
    pub(super) engines: Arc<AggregateUDF>,
    pub(super) figure: Figure,
}

impl AggregateUDFImpl for Moments {
    as_the_engine!();

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field =
            |name: &str, data_type| Arc::new(Field::new(format!("{}[{name}]", args.name), data_type, true));
        if args.is_distinct {
            let item = Arc::new(Field::new_list_field(DataType::Float64, true));
            return Ok(vec![field("x", DataType::List(item.clone())), field("y", DataType::List(item))]);
        }
        Ok(["n", "sx", "sxx", "sy", "syy", "sxy"].map(|name| field(name, DataType::Float64)).to_vec())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(if args.is_distinct {
            Box::new(DistinctAccumulator { figure: self.figure, pairs: BTreeSet::new() })
        } else {
            Box::new(SumsAccumulator { figure: self.figure, sums: Sums::default() })
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupsOfSums { figure: self.figure, groups: Vec::new() }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let function = AggregateUDF::from(Self { engines: self.engines.clone(), figure: self.figure });
        Ok(Box::new(frames::Frame::new(Arc::new(function), &args)))
    }
}

/// The sums of pairs. Functions of one argument have the same in `x` and `y`.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) {
        let before = self.n;
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if before > 0.0 {
            let (dx, dy) = (x * self.n - self.sx, y * self.n - self.sy);
            let scale = 1.0 / (self.n * before);
            self.sxx += dx * dx * scale;
            self.syy += dy * dy * scale;
            self.sxy += dx * dy * scale;
        } else {
            let nothing = |value: f64| if value.is_finite() { 0.0 } else { f64::NAN };
            (self.sxx, self.syy, self.sxy) = (nothing(x), nothing(y), nothing(x) + nothing(y));
        }
        self.without_overflow();
    }

    fn merge(&mut self, other: Self) {
        if self.n == 0.0 {
            *self = other;
        } else if other.n > 0.0 {
            let n = self.n + other.n;
            let (dx, dy) = (self.sx / self.n - other.sx / other.n, self.sy / self.n - other.sy / other.n);
            let scale = self.n * other.n / n;
            *self = Self {
                n,
                sx: self.sx + other.sx,
                sxx: self.sxx + other.sxx + scale * dx * dx,
                sy: self.sy + other.sy,
                syy: self.syy + other.syy + scale * dy * dy,
                sxy: self.sxy + other.sxy + scale * dx * dy,
            };
            self.without_overflow();
        }
    }

    /// A sum of squares that is infinite says nothing: of numbers that were infinite PostgreSQL makes NaN, too. Of finite
    /// ones that are too large for their squares it refuses the statement.
    fn without_overflow(&mut self) {
        for sum in [&mut self.sxx, &mut self.syy, &mut self.sxy] {
            if sum.is_infinite() {
                *sum = f64::NAN;
            }
        }
    }

    fn figure(&self, figure: Figure) -> Option<f64> {
        let Self { n, sx, sxx, sy, syy, sxy } = *self;
        let least = match figure {
            Figure::VarSamp | Figure::StddevSamp | Figure::CovarSamp => 2.0,
            _ => 1.0,
        };
        if n < least {
            return None;
        }
        match figure {
            Figure::VarPop => Some(sxx / n),
            Figure::VarSamp => Some(sxx / (n - 1.0)),
            Figure::StddevPop => Some((sxx / n).sqrt()),
            Figure::StddevSamp => Some((sxx / (n - 1.0)).sqrt()),
            Figure::Corr if sxx == 0.0 || syy == 0.0 => None,
            Figure::Corr => Some(sxy / (sxx * syy).sqrt()),
            Figure::CovarPop => Some(sxy / n),
            Figure::CovarSamp => Some(sxy / (n - 1.0)),
            Figure::AvgX => Some(sx / n),
            Figure::AvgY => Some(sy / n),
            Figure::R2 | Figure::Slope | Figure::Intercept if sxx == 0.0 => None,
            Figure::R2 if syy == 0.0 => Some(1.0),
            Figure::R2 => Some(sxy * sxy / (sxx * syy)),
            Figure::Slope => Some(sxy / sxx),
            Figure::Intercept => Some((sy - sx * sxy / sxx) / n),
            Figure::Sxx => Some(sxx),
            Figure::Syy => Some(syy),
            Figure::Sxy => Some(sxy),
        }
    }
}

/// Pairs `(x, y)` of rows, `None` where one is missing. Regressions have y first.
fn all_pairs(values: &[ArrayRef]) -> Result<Vec<Option<(f64, f64)>>> {
    let (y, x) = match values {
        [both] => (both, both),
        [y, x] => (y, x),
        other => return internal_err!("one or two arguments, not {}", other.len()),
    };
    let (x, y) = (cast(x, &DataType::Float64)?, cast(y, &DataType::Float64)?);
    let (x, y) = (x.as_primitive::<Float64Type>(), y.as_primitive::<Float64Type>());
    Ok(x.iter().zip(y.iter()).map(|(x, y)| x.zip(y)).collect())
}

/// Pairs of rows that have both.
fn pairs(values: &[ArrayRef]) -> Result<impl Iterator<Item = (f64, f64)>> {
    Ok(all_pairs(values)?.into_iter().flatten())
}

/// Partial sums, as columns.
fn columns_of(sums: &[Sums]) -> Vec<ArrayRef> {
    let parts: [fn(&Sums) -> f64; 6] = [|s| s.n, |s| s.sx, |s| s.sxx, |s| s.sy, |s| s.syy, |s| s.sxy];
    parts.map(|part| Arc::new(sums.iter().map(part).collect::<Float64Array>()) as ArrayRef).to_vec()
}

/// Partial sums, from columns.
fn of_columns(states: &[ArrayRef]) -> Result<Vec<Sums>> {
    let columns: Vec<&[f64]> =
        states.iter().map(|state| state.as_primitive::<Float64Type>().values().as_ref()).collect();
    let [n, sx, sxx, sy, syy, sxy] = columns.as_slice() else {
        return internal_err!("six sums, not {}", columns.len());
    };
    let at = |i: usize| Sums { n: n[i], sx: sx[i], sxx: sxx[i], sy: sy[i], syy: syy[i], sxy: sxy[i] };
    Ok((0..n.len()).map(at).collect())
}

#[derive(Debug)]
struct SumsAccumulator {
    figure: Figure,
    sums: Sums,
}

impl Accumulator for SumsAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (x, y) in pairs(values)? {
            self.sums.add(x, y);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.sums.figure(self.figure)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        columns_of(&[self.sums]).iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for sums in of_columns(states)? {
            self.sums.merge(sums);
        }
        Ok(())
    }
}

/// The sums of many groups.
#[derive(Debug)]
struct GroupsOfSums {
    figure: Figure,
    groups: Vec<Sums>,
}

impl GroupsAccumulator for GroupsOfSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Sums::default());
        for (row, (pair, group)) in all_pairs(values)?.into_iter().zip(groups).enumerate() {
            // of a filter, NULL is not true
            let is_wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (Some((x, y)), true) = (pair, is_wanted) {
                self.groups[*group].add(x, y);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        Ok(Arc::new(groups.iter().map(|sums| sums.figure(self.figure)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(columns_of(&emit_to.take_needed(&mut self.groups)))
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.groups.resize(count, Sums::default());
        for (sums, group) in of_columns(states)?.into_iter().zip(groups) {
            self.groups[*group].merge(sums);
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut rows = Self { figure: self.figure, groups: Vec::new() };
        let length = values.first().map_or(0, |column| column.len());
        let each: Vec<usize> = (0..length).collect();
        rows.update_batch(values, &each, filter, length)?;
        rows.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<Sums>()
    }
}

/// Of each pair one. The numbers are plain already, so equal ones have equal bits.
#[derive(Debug)]
struct DistinctAccumulator {
    figure: Figure,
    pairs: BTreeSet<(u64, u64)>,
}

impl DistinctAccumulator {
    fn list(&self, of: fn(&(u64, u64)) -> u64) -> ScalarValue {
        let values: Vec<_> =
            self.pairs.iter().map(|pair| ScalarValue::Float64(Some(f64::from_bits(of(pair))))).collect();
        ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Float64))
    }
}

impl Accumulator for DistinctAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.pairs.extend(pairs(values)?.map(|(x, y)| (x.to_bits(), y.to_bits())));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sums = Sums::default();
        for (x, y) in &self.pairs {
            sums.add(f64::from_bits(*x), f64::from_bits(*y));
        }
        Ok(ScalarValue::Float64(sums.figure(self.figure)))
    }

    fn size(&self) -> usize {
        // with what a tree takes beside its items
        size_of_val(self) + self.pairs.len() * size_of::<(u64, u64)>() * 2
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.list(|(x, _)| *x), self.list(|(_, y)| *y)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [x, y] = states else { return internal_err!("two lists, not {}", states.len()) };
        let (x, y) = (as_list_array(x)?, as_list_array(y)?);
        for i in (0..x.len()).filter(|i| x.is_valid(*i) && y.is_valid(*i)) {
            // `pairs` has y first
            self.update_batch(&[y.value(i), x.value(i)])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    const NUMBERS: &[f64] =
        &[1e200, -1e200, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, 1.0, -2.5, 60.0];

    fn of(pairs: &[(f64, f64)]) -> Sums {
        let mut sums = Sums::default();
        pairs.iter().for_each(|(x, y)| sums.add(*x, *y));
        sums
    }

    /// Equal but for rounding.
    fn is_close(a: f64, b: f64, size: f64) -> bool {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * size
    }

    proptest! {
        #[test]
        fn sums_are_the_same_however_rows_are_split(
            pairs in prop::collection::vec((select(NUMBERS), select(NUMBERS)), 1..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(&pairs);
            let (front, back) = pairs.split_at(cut.index(pairs.len()));
            let mut merged = of(front);
            merged.merge(of(back));
            let most = pairs.iter().flat_map(|(x, y)| [x.abs(), y.abs()]).filter(|x| x.is_finite()).fold(1.0, f64::max);
            for (a, b, size) in [
                (whole.n, merged.n, 0.0),
                (whole.sx, merged.sx, most),
                (whole.sy, merged.sy, most),
                (whole.sxx, merged.sxx, most * most),
                (whole.syy, merged.syy, most * most),
                (whole.sxy, merged.sxy, most * most),
            ] {
                prop_assert!(is_close(a, b, size), "{whole:?} and {merged:?}");
                prop_assert!(a != f64::INFINITY || pairs.iter().any(|(x, y)| x.is_infinite() || y.is_infinite()));
            }
        }
    }
}
