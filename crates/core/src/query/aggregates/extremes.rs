//! `min` and `max` of each group, with NaN in its place.
//!
//! NaN equals NaN and is greater than every other number, as in PostgreSQL and as the engine sorts, compares, and finds
//! extremes without GROUP BY. With GROUP BY the engine (DataFusion 55.2) lets NaN replace whatever came before it, and then
//! whatever comes next replace the NaN: of 60, 30, NaN, 58, 59 it makes 58 and 59. And it begins with the greatest finite
//! number, so that the minimum of a group of infinities is finite. Here numbers with a fraction are compared by us; all else
//! is the engine's.

use super::as_the_engine;
use datafusion::arrow::array::ArrowPrimitiveType;
use datafusion::arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;
use std::sync::Arc;

/// Ours in the place of the engine's.
pub(super) fn corrected() -> [AggregateUDF; 2] {
    [(min_udaf(), false), (max_udaf(), true)]
        .map(|(engines, is_max)| AggregateUDF::from(Extreme { engines, is_max }))
}

/// One of the two.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    engines: Arc<AggregateUDF>,
    is_max: bool,
}

/// The extreme of numbers of a type, in each group.
fn in_groups<T: ArrowPrimitiveType<Native: PartialOrd> + Send>(
    is_max: bool,
    least: T::Native,
    nan: T::Native,
    data_type: &DataType,
) -> Box<dyn GroupsAccumulator> {
    // what is not comparable with itself is NaN
    let is_nan = |x: &T::Native| x.partial_cmp(x).is_none();
    if is_max {
        let greater = move |kept: &mut T::Native, new: T::Native| {
            if is_nan(&new) || new > *kept {
                *kept = new;
            }
        };
        Box::new(PrimitiveGroupsAccumulator::<T, _>::new(data_type, greater).with_starting_value(least))
    } else {
        let less = move |kept: &mut T::Native, new: T::Native| {
            if is_nan(kept) || new < *kept {
                *kept = new;
            }
        };
        Box::new(PrimitiveGroupsAccumulator::<T, _>::new(data_type, less).with_starting_value(nan))
    }
}

impl AggregateUDFImpl for Extreme {
    as_the_engine!();

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.engines.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.engines.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.engines.inner().create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.engines.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(match data_type {
            DataType::Float16 => {
                type Half = <Float16Type as ArrowPrimitiveType>::Native;
                in_groups::<Float16Type>(self.is_max, Half::NEG_INFINITY, Half::NAN, &data_type)
            }
            DataType::Float32 => {
                in_groups::<Float32Type>(self.is_max, f32::NEG_INFINITY, f32::NAN, &data_type)
            }
            DataType::Float64 => {
                in_groups::<Float64Type>(self.is_max, f64::NEG_INFINITY, f64::NAN, &data_type)
            }
            _ => return self.engines.create_groups_accumulator(args),
        })
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        // statistics of files leave NaN out
        if args.return_type.is_floating() { None } else { self.engines.value_from_stats(args) }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;
    use datafusion::arrow::util::display::array_value_to_string;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::cmp::Ordering;

    const NUMBERS: &[f64] =
        &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.5, -1.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE];

    /// NaN equals NaN and is greater than every other number.
    fn order(a: &f64, b: &f64) -> Ordering {
        a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }

    fn literal(number: Option<f64>, data_type: &str) -> String {
        number.map_or(format!("NULL::{data_type}"), |number| format!("'{number}'::{data_type}"))
    }

    /// What the engine prints of it.
    fn shown(number: Option<f64>, data_type: &str) -> String {
        let array: datafusion::arrow::array::ArrayRef = match data_type {
            "REAL" => std::sync::Arc::new(datafusion::arrow::array::Float32Array::from(vec![
                number.map(|x| x as f32),
            ])),
            _ => std::sync::Arc::new(datafusion::arrow::array::Float64Array::from(vec![number])),
        };
        array_value_to_string(&array, 0).unwrap()
    }

    #[test]
    fn extremes_are_the_same_in_groups_without_groups_and_in_windows_whatever_the_numbers_are() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let lake = runtime.block_on(fixture::lake());
        let number = prop_oneof![1 => Just(None), 6 => select(NUMBERS).prop_map(Some), 2 => any::<f64>().prop_map(Some)];
        let cases = (prop::collection::vec(number, 1..12), select(&["REAL", "DOUBLE"][..]));
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(60)
        });
        let outcome = runner.run(&cases, |(numbers, data_type)| {
            // the two zeros are equal: which one comes out means nothing
            let narrow = |x: f64| if data_type == "REAL" { f64::from(x as f32) } else { x };
            let numbers: Vec<Option<f64>> =
                numbers.into_iter().map(|x| x.map(|x| narrow(if x.is_nan() { f64::NAN } else { x }) + 0.0)).collect();
            let least = numbers.iter().flatten().copied().min_by(order);
            let greatest = numbers.iter().flatten().copied().max_by(order);
            let rows: Vec<String> =
                numbers.iter().map(|x| format!("('a', {})", literal(*x, data_type))).collect();
            let table = format!("(VALUES {}) t(k, v)", rows.join(", "));
            for sql in [
                format!("SELECT min(v), max(v) FROM {table}"),
                format!("SELECT min(v), max(v) FROM {table} GROUP BY k"),
                format!("SELECT min(v), max(v) FROM {table} GROUP BY GROUPING SETS ((k), ()) LIMIT 1"),
                format!("SELECT min(v) OVER (PARTITION BY k), max(v) OVER (PARTITION BY k) FROM {table} LIMIT 1"),
                format!("SELECT min(DISTINCT v), max(DISTINCT v) FROM {table} GROUP BY k"),
                format!("SELECT min(v) FILTER (WHERE true), max(v) FILTER (WHERE v > -2 OR true) FROM {table} GROUP BY k"),
            ] {
                let batches = runtime.block_on(lake.sql(&sql)).unwrap();
                let row = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
                let text = |column: usize| array_value_to_string(row.column(column), 0).unwrap();
                prop_assert_eq!(text(0), shown(least, data_type), "{}", sql);
                prop_assert_eq!(text(1), shown(greatest, data_type), "{}", sql);
            }
            Ok(())
        });
        outcome.unwrap();
    }
}
