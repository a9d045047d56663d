//! Histograms by hand, and in queries.

use super::accumulate::{Groups, Of, Single};
use super::figures::{quantile, variance};
use super::histogram::{Bounds, Histogram, HistogramRow, Histograms, MAX_BINS, to_array};
use belvedere_core::Lake;
use belvedere_core::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt64Array,
};
use belvedere_core::arrow::datatypes::{Float64Type, UInt64Type};
use belvedere_core::datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use proptest::prelude::*;
use std::sync::Arc;

const BOUNDS: Bounds = Bounds { start: 0.0, end: 10.0, bins: 5 };

fn of(values: &[f64]) -> Histogram {
    let mut histogram = Histogram::empty(&BOUNDS);
    values.iter().for_each(|value| histogram.add(*value));
    histogram
}

fn row(h: &Histogram) -> HistogramRow<'_> {
    HistogramRow {
        start: h.start,
        end: h.end,
        min: h.min,
        max: h.max,
        sum: h.sum,
        sum_sq: h.sum_sq,
        count: h.count,
        bins: &h.bins,
    }
}

/// The arguments of `make_histogram`, a row for each value.
fn arguments(values: &[Option<f64>]) -> Vec<ArrayRef> {
    let count = values.len();
    vec![
        Arc::new(Float64Array::from(vec![BOUNDS.start; count])),
        Arc::new(Float64Array::from(vec![BOUNDS.end; count])),
        Arc::new(Int64Array::from(vec![BOUNDS.bins as i64; count])),
        Arc::new(Float64Array::from(values.to_vec())),
    ]
}

/// The counts in the bins of each group; `None` for NULL.
fn bins(column: &ArrayRef) -> Vec<Option<Vec<u64>>> {
    let histograms = Histograms::new("test", column).unwrap();
    (0..histograms.len()).map(|i| histograms.get(i).unwrap().map(|h| h.bins.to_vec())).collect()
}

#[test]
fn values_outside_count_at_the_ends_and_nan_in_the_first_bin() {
    let histogram = of(&[-1.0, 0.0, 1.9, 2.0, 9.9, 10.0, 1e300, f64::NEG_INFINITY, f64::INFINITY]);
    assert_eq!(histogram.bins, [4, 1, 0, 0, 4]);
    assert_eq!((histogram.count, histogram.min, histogram.max), (9, f64::NEG_INFINITY, f64::INFINITY));
    let histogram = of(&[f64::NAN, 3.0]);
    assert_eq!(histogram.bins, [1, 1, 0, 0, 0]);
    assert_eq!((histogram.count, histogram.min, histogram.max), (2, 3.0, 3.0));
    assert!(histogram.sum.is_nan());
}

#[test]
fn a_histogram_without_width_has_all_values_at_its_ends() {
    let mut histogram = Histogram::empty(&Bounds { start: 5.0, end: 5.0, bins: 2 });
    [4.0, 5.0, 6.0].iter().for_each(|value| histogram.add(*value));
    assert_eq!(histogram.bins, [2, 1]);
}

#[test]
fn bounds_that_make_no_sense_are_refused() {
    assert!(Bounds::new(2.0, 1.0, 5).is_err());
    assert!(Bounds::new(f64::NAN, 1.0, 5).is_err());
    assert!(Bounds::new(0.0, 1.0, 0).is_err());
    assert!(Bounds::new(0.0, 1.0, MAX_BINS as i64).is_ok());
    let error = Bounds::new(0.0, 1.0, MAX_BINS as i64 + 1).unwrap_err().to_string();
    assert!(error.contains("65537 bins are too many, at most 65536 are allowed"), "{error}");
}

#[test]
fn quantiles_are_linear_in_their_bin() {
    let histogram = of(&[1.0, 1.0, 5.0, 5.0]);
    for (ratio, value) in
        [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (0.75, 5.0), (1.0, 6.0), (2.0, 6.0), (-1.0, 0.0)]
    {
        assert_eq!(quantile(&row(&histogram), ratio), value, "{ratio}");
    }
    assert_eq!(quantile(&row(&of(&[])), 0.5), 10.0);
    assert!(quantile(&row(&histogram), f64::NAN).is_nan());
}

#[test]
fn the_variance_is_that_of_a_sample() {
    assert_eq!(variance(&row(&of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]))), 32.0 / 7.0);
    assert!(variance(&row(&of(&[3.0]))).is_nan());
    assert!(variance(&row(&of(&[]))).is_nan());
}

#[test]
fn groups_pass_over_nulls_and_rows_that_are_filtered_out() {
    let mut groups = Groups::new(Of::Values, None);
    let values = arguments(&[Some(1.0), None, Some(3.0), Some(5.0), None]);
    let filter = BooleanArray::from(vec![Some(true), Some(true), Some(false), None, Some(true)]);
    groups.update_batch(&values, &[0, 0, 0, 1, 2], Some(&filter), 4).unwrap();
    let made = groups.evaluate(EmitTo::All).unwrap();
    // the second and the last group have no rows, the third one has no values
    assert_eq!(bins(&made), [Some(vec![1, 0, 0, 0, 0]), None, Some(vec![0; 5]), None]);
    assert_eq!(groups.size(), size_of::<Groups>());
}

#[test]
fn groups_without_rows_are_empty_if_the_bounds_are_known() {
    let mut group = Single(Groups::new(Of::Values, Some(BOUNDS)));
    let value = group.evaluate().unwrap().to_array().unwrap();
    let histograms = Histograms::new("test", &value).unwrap();
    let empty = histograms.get(0).unwrap().unwrap();
    assert_eq!((empty.min, empty.max, empty.count), (f64::MAX, f64::MIN, 0));
    assert_eq!(empty.bins, [0; 5]);
    assert!(Single(Groups::new(Of::Values, None)).evaluate().unwrap().is_null());
    assert!(Single(Groups::new(Of::Histograms, None)).evaluate().unwrap().is_null());
}

#[test]
fn other_bounds_in_a_later_row_of_a_group_are_refused() {
    for i in 0..3 {
        let mut values = arguments(&[Some(1.0), Some(2.0)]);
        values[i] = match i {
            0 => Arc::new(Float64Array::from(vec![0.0, 1.0])),
            1 => Arc::new(Float64Array::from(vec![10.0, 11.0])),
            _ => Arc::new(Int64Array::from(vec![5, 6])),
        };
        let error = Groups::new(Of::Values, None).update_batch(&values, &[0, 0], None, 1).unwrap_err();
        assert!(error.to_string().contains("must be the same in all rows of a group"), "{error}");
        // of another group they may differ
        Groups::new(Of::Values, None).update_batch(&values, &[0, 1], None, 2).unwrap();
    }
}

#[test]
fn histograms_of_other_bounds_are_not_added_up() {
    let other = Histogram::empty(&Bounds { bins: 4, ..BOUNDS });
    let column = to_array([Some(&of(&[1.0])), Some(&other)].into_iter(), |h| &h.bins).unwrap();
    let error = Groups::new(Of::Histograms, None).update_batch(&[column], &[0, 0], None, 1).unwrap_err();
    assert!(error.to_string().contains("Error merging incompatible histograms"), "{error}");
}

#[test]
fn the_first_groups_can_be_taken_and_the_others_go_on() {
    let mut groups = Groups::new(Of::Values, None);
    groups.update_batch(&arguments(&[Some(1.0), Some(3.0), Some(5.0)]), &[0, 1, 2], None, 3).unwrap();
    assert_eq!(bins(&groups.evaluate(EmitTo::First(2)).unwrap()).len(), 2);
    groups.update_batch(&arguments(&[Some(9.0)]), &[0], None, 1).unwrap();
    assert_eq!(bins(&groups.evaluate(EmitTo::All).unwrap()), [Some(vec![0, 0, 1, 0, 1])]);
}

#[test]
fn a_state_has_no_empty_bins_at_its_ends() {
    let groups = Groups::new(Of::Values, None);
    let states = groups.convert_to_state(&arguments(&[Some(5.0), None, Some(9.0)]), None).unwrap();
    assert_eq!(bins(&states[0]), [Some(vec![1]), Some(vec![]), Some(vec![1])]);
    assert_eq!(states[1].as_primitive::<UInt64Type>().values(), &[2, 0, 4]);
    assert_eq!(states[2].as_primitive::<UInt64Type>(), &UInt64Array::from(vec![5, 5, 5]));
}

proptest! {
    #[test]
    fn however_rows_are_divided_the_histograms_are_the_same(
        rows in prop::collection::vec((0usize..4, prop::option::of(-50i32..150)), 0..200),
        cuts in prop::collection::vec(0usize..200, 0..4),
    ) {
        let values: Vec<Option<f64>> = rows.iter().map(|(_, v)| v.map(|v| f64::from(v) / 8.0)).collect();
        let indices: Vec<usize> = rows.iter().map(|(group, _)| *group).collect();
        let mut whole = Groups::new(Of::Values, None);
        whole.update_batch(&arguments(&values), &indices, None, 4).unwrap();
        let whole = whole.evaluate(EmitTo::All).unwrap();

        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < rows.len()).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let (mut merged, mut added) = (Groups::new(Of::Values, None), Groups::new(Of::Histograms, None));
        merged.merge_batch(&Groups::new(Of::Values, None).convert_to_state(&arguments(&[]), None).unwrap(), &[], 4)
            .unwrap();
        for (i, cut) in cuts.windows(2).enumerate() {
            let (part, groups) = (arguments(&values[cut[0]..cut[1]]), &indices[cut[0]..cut[1]]);
            if i % 2 == 0 {
                let mut some = Groups::new(Of::Values, None);
                some.update_batch(&part, groups, None, 4).unwrap();
                merged.merge_batch(&some.state(EmitTo::All).unwrap(), &[0, 1, 2, 3], 4).unwrap();
            } else {
                let states = Groups::new(Of::Values, None).convert_to_state(&part, None).unwrap();
                merged.merge_batch(&states, groups, 4).unwrap();
            }
            let mut some = Groups::new(Of::Values, None);
            some.update_batch(&part, groups, None, 4).unwrap();
            added.update_batch(&[some.evaluate(EmitTo::All).unwrap()], &[0, 1, 2, 3], None, 4).unwrap();
        }
        // eighths are added without rounding
        prop_assert_eq!(&merged.evaluate(EmitTo::All).unwrap(), &whole);
        if cuts.len() > 1 {
            added.update_batch(&[whole.slice(0, 0)], &[], None, 4).unwrap();
            prop_assert_eq!(&added.evaluate(EmitTo::All).unwrap(), &whole);
        }
    }
}

async fn rows(sql: &str) -> Vec<RecordBatch> {
    Lake::in_memory().await.unwrap().sql(sql).await.unwrap()
}

async fn error(sql: &str) -> String {
    Lake::in_memory().await.unwrap().sql(sql).await.unwrap_err().to_string()
}

#[tokio::test]
async fn bins_are_expanded_and_what_is_null_is_not() {
    let sql = "SELECT * FROM expand_histogram((SELECT make_histogram(0, 4, 2, x) FROM (VALUES (1), (3), (3)) AS t(x)))";
    let bins = rows(sql).await;
    assert_eq!(bins[0].column(0).as_primitive::<Float64Type>().values(), &[1.0, 3.0]);
    assert_eq!(bins[0].column(1).as_primitive::<UInt64Type>().values(), &[1, 2]);
    let none = rows("SELECT * FROM expand_histogram(NULL)").await;
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    let error = error(
        "SELECT * FROM expand_histogram((SELECT h FROM (SELECT make_histogram(0, 1, 1, 1) AS h) WHERE count_from_histogram(h) = 5))",
    );
    assert!(error.await.contains("the subquery returned no rows"));
}

#[tokio::test]
async fn what_is_no_histogram_is_refused_when_the_query_is_planned() {
    for sql in [
        "SELECT count_from_histogram(1)",
        "SELECT sum_histograms('x')",
        "SELECT * FROM expand_histogram(7)",
        "SELECT quantile_from_histogram('x', 0.5)",
    ] {
        let error = error(sql).await;
        assert!(error.contains("takes a histogram from make_histogram"), "{sql}: {error}");
    }
}
