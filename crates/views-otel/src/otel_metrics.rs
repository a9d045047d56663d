//! `otel_metrics`: one row for each data point, with all that was sent of it.

use crate::attributes::{AttributeList, AttributeSets, BinaryColumn, Labels, corrupt, scopes};
use crate::points;
use crate::points::{EXPONENTIAL, Exemplar, KINDS, Metric, Number, Point, exemplar, metric, point};
use crate::request::message_of;
use crate::signal::{METRICS_FORMAT, METRICS_TAG, Signal};
use crate::spans::{Objects, put_ids, resource_column};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Float64Builder, Int32Array, Int64Array, Int64Builder, ListBuilder,
    TimestampNanosecondArray,
};
use belvedere_model::jsonb::Entry;
use belvedere_view::arrow;
use belvedere_view::prelude::*;
use std::sync::Arc;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id().as_dictionary(),
    STREAM_ID = Column::stream_id().as_dictionary(),
    BLOCK_ID = Column::block_id().as_dictionary(),
    INSERT_TIME = Column::insert_time(),
    EXE = Column::exe(),
    USERNAME = Column::username(),
    COMPUTER = Column::computer(),
    PROCESS_PROPERTIES = Column::process_properties(),
    TIME = Column::time("time", "when the value was measured").event_time(),
    START_TIME = Column::time("start_time", "start of the time that the value covers; NULL if it was not sent").nullable(),
    SCOPE_NAME = Column::label("scope_name", "library that reported the metric; empty if it has no name").role(Role::Group),
    NAME = Column::label("name", "name of the metric").role(Role::Name),
    DESCRIPTION = Column::label("description", "description of the metric"),
    UNIT = Column::label("unit", "unit of the values, as sent").role(Role::UnitOfValue),
    KIND = Column::label("kind", "gauge, sum, histogram, exponential_histogram or summary").as_dictionary(),
    TEMPORALITY = Column::label(
        "temporality",
        "of sums and histograms: delta (since the previous point), cumulative (since start_time), or empty",
    )
    .as_dictionary(),
    IS_MONOTONIC = Column::boolean("is_monotonic", "of sums: whether the value never decreases; NULL for other kinds").nullable(),
    VALUE = Column::float64("value", "value of gauges and sums; NULL for other kinds, or if there is no value").nullable(),
    INT_VALUE = Column::int64("int_value", "exact value of gauges and sums that was sent as an integer; else NULL").nullable(),
    COUNT = Column::int64("count", "of histograms and summaries: number of values").unit(Unit::Count).nullable(),
    SUM = Column::float64("sum", "of histograms and summaries: sum of the values; NULL if it was not sent").nullable(),
    MIN = Column::float64("min", "of histograms: smallest value; NULL if it was not sent").nullable(),
    MAX = Column::float64("max", "of histograms: largest value; NULL if it was not sent").nullable(),
    BOUNDS = Column::float64_list("bounds", "of histograms: inclusive upper bounds of all buckets except the last")
        .nullable(),
    BUCKET_COUNTS = Column::int64_list("bucket_counts", "of histograms: number of values in each bucket").nullable(),
    SCALE = Column::int32("scale", "of exponential histograms: bucket i covers base^i to base^(i+1), with base = 2^(2^-scale)")
        .nullable(),
    ZERO_COUNT = Column::int64("zero_count", "of exponential histograms: number of values in the zero bucket").nullable(),
    ZERO_THRESHOLD = Column::float64("zero_threshold", "of exponential histograms: largest absolute value in the zero bucket").nullable(),
    POSITIVE_OFFSET = Column::int32("positive_offset", "of exponential histograms: index of the first positive bucket").nullable(),
    POSITIVE_COUNTS = Column::int64_list("positive_counts", "of exponential histograms: number of values in each").nullable(),
    NEGATIVE_OFFSET = Column::int32("negative_offset", "of exponential histograms: index of the first negative bucket").nullable(),
    NEGATIVE_COUNTS = Column::int64_list("negative_counts", "of exponential histograms: number of values in each").nullable(),
    QUANTILES = Column::float64_list("quantiles", "of summaries: quantiles, from 0 (minimum) to 1 (maximum)").nullable(),
    QUANTILE_VALUES = Column::float64_list("quantile_values", "of summaries: the values at the quantiles").nullable(),
    EXEMPLARS = Column::binary(
        "exemplars",
        "exemplars: JSONB array of {attributes, time, value, span_id, trace_id}, single values with the span in which they were measured",
    ),
    FLAGS = Column::uint32("flags", "1 if the point has no recorded value"),
    PROPERTIES = Column::jsonb(
        "properties",
        "attributes of the point, and otel.scope.… of its scope, a JSONB object; read one with \
         property_get(properties, 'name')",
    ),
    RESOURCE = Column::jsonb("resource", "attributes of the resource as sent with this record, a JSONB object"),
}

register_view_set! {
    ViewSet::new("otel_metrics")
        .about("Data points of OpenTelemetry metrics of every kind, including histograms, of all processes or of one process")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::new(METRICS_FORMAT, METRICS_TAG, &PointDecoder))
        .version(2)
        .example("SELECT name, unit, sum(count) AS count, sum(sum) / sum(count) AS mean \
                  FROM otel_metrics WHERE kind = 'histogram' AND temporality = 'delta' GROUP BY name, unit ORDER BY name")
}

/// Decodes blocks of metrics.
#[derive(Debug)]
struct PointDecoder;

const TEMPORALITIES: [&str; 3] = ["", "delta", "cumulative"];

/// The columns of what is a number or a list of numbers.
#[derive(Default)]
struct Numbers {
    times: Vec<i64>,
    start_times: Vec<Option<i64>>,
    is_monotonic: Vec<Option<bool>>,
    values: Vec<Option<f64>>,
    int_values: Vec<Option<i64>>,
    counts: Vec<Option<i64>>,
    sums: Vec<Option<f64>>,
    mins: Vec<Option<f64>>,
    maxs: Vec<Option<f64>>,
    bounds: ListBuilder<Float64Builder>,
    bucket_counts: ListBuilder<Int64Builder>,
    scales: Vec<Option<i32>>,
    zero_counts: Vec<Option<i64>>,
    zero_thresholds: Vec<Option<f64>>,
    offsets: [Vec<Option<i32>>; 2],
    side_counts: [ListBuilder<Int64Builder>; 2],
    quantiles: ListBuilder<Float64Builder>,
    quantile_values: ListBuilder<Float64Builder>,
    flags: Vec<u32>,
}

fn push_doubles<'a>(
    list: &mut ListBuilder<Float64Builder>,
    is_there: bool,
    values: impl IntoIterator<Item = f64> + 'a,
) {
    for value in values {
        list.values().append_value(value);
    }
    list.append(is_there);
}

fn push_counts(list: &mut ListBuilder<Int64Builder>, is_there: bool, values: &[u64]) {
    for value in values {
        list.values().append_value(*value as i64);
    }
    list.append(is_there);
}

impl Numbers {
    fn push(&mut self, metric: &Metric<'_>, point: &Point<'_>) {
        self.times.push(point.time as i64);
        self.start_times.push((point.start_time != 0).then_some(point.start_time as i64));
        self.is_monotonic.push((metric.kind == points::SUM).then_some(metric.is_monotonic));
        self.values.push(point.value.map(Number::as_f64));
        self.int_values.push(match point.value {
            Some(Number::Int(value)) => Some(value),
            _ => None,
        });
        self.counts.push(point.count.map(|count| count as i64));
        self.sums.push(point.sum);
        self.mins.push(point.min);
        self.maxs.push(point.max);
        let has_buckets = !point.buckets.is_empty();
        push_doubles(&mut self.bounds, has_buckets, point.bounds.iter().copied());
        push_counts(&mut self.bucket_counts, has_buckets, &point.buckets);
        let (is_exponential, e) = (metric.kind == EXPONENTIAL && !point.is_empty(), &point.exponential);
        self.scales.push(is_exponential.then_some(e.scale));
        self.zero_counts.push(is_exponential.then_some(e.zero_count as i64));
        self.zero_thresholds.push(is_exponential.then_some(e.zero_threshold));
        for (i, (offset, counts)) in [&e.positive, &e.negative].into_iter().enumerate() {
            self.offsets[i].push(is_exponential.then_some(*offset));
            push_counts(&mut self.side_counts[i], is_exponential, counts);
        }
        let has_quantiles = !point.quantiles.is_empty();
        push_doubles(&mut self.quantiles, has_quantiles, point.quantiles.iter().map(|q| q.0));
        push_doubles(&mut self.quantile_values, has_quantiles, point.quantiles.iter().map(|q| q.1));
        self.flags.push(point.flags as u32);
    }

    fn finish(mut self, rows: &mut Rows<'_>) -> Result<(), DecodeError> {
        fn doubles(values: Vec<Option<f64>>) -> ArrayRef {
            Arc::new(Float64Array::from(values))
        }
        fn integers(values: Vec<Option<i64>>) -> ArrayRef {
            Arc::new(Int64Array::from(values))
        }
        rows.put(&TIME, self.times)?;
        let start_times = TimestampNanosecondArray::from(self.start_times).with_timezone("+00:00");
        rows.put(&START_TIME, Arc::new(start_times) as ArrayRef)?;
        rows.put(&IS_MONOTONIC, Arc::new(BooleanArray::from(self.is_monotonic)) as ArrayRef)?;
        rows.put(&VALUE, doubles(self.values))?;
        rows.put(&INT_VALUE, integers(self.int_values))?;
        rows.put(&COUNT, integers(self.counts))?;
        rows.put(&SUM, doubles(self.sums))?;
        rows.put(&MIN, doubles(self.mins))?;
        rows.put(&MAX, doubles(self.maxs))?;
        rows.put(&BOUNDS, Arc::new(self.bounds.finish()) as ArrayRef)?;
        rows.put(&BUCKET_COUNTS, Arc::new(self.bucket_counts.finish()) as ArrayRef)?;
        rows.put(&SCALE, Arc::new(Int32Array::from(self.scales)) as ArrayRef)?;
        rows.put(&ZERO_COUNT, integers(self.zero_counts))?;
        rows.put(&ZERO_THRESHOLD, doubles(self.zero_thresholds))?;
        let sides = [(&POSITIVE_OFFSET, &POSITIVE_COUNTS), (&NEGATIVE_OFFSET, &NEGATIVE_COUNTS)];
        for (i, (offset, counts)) in sides.into_iter().enumerate() {
            let offsets = std::mem::take(&mut self.offsets[i]);
            rows.put(offset, Arc::new(Int32Array::from(offsets)) as ArrayRef)?;
            rows.put(counts, Arc::new(self.side_counts[i].finish()) as ArrayRef)?;
        }
        rows.put(&QUANTILES, Arc::new(self.quantiles.finish()) as ArrayRef)?;
        rows.put(&QUANTILE_VALUES, Arc::new(self.quantile_values.finish()) as ArrayRef)?;
        rows.put(&FLAGS, self.flags)
    }
}

impl BlockDecoder for PointDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let objects = block.objects()?;
        let message = message_of(Signal::Metrics, &objects).map_err(DecodeError::corrupt)?;
        let limit = rows.text_limit();
        let scopes = scopes(&message, 0, limit)?;
        let (wants_properties, wants_exemplars) = (rows.wants(&PROPERTIES), rows.wants(&EXEMPLARS));
        let mut attributes = AttributeList::default();
        let mut numbers = Numbers::default();
        let (mut scope_names, mut scope_keys) = (Labels::default(), Vec::new());
        let (mut names, mut name_keys) = (Labels::default(), Vec::new());
        let (mut descriptions, mut description_keys) = (Labels::default(), Vec::new());
        let (mut units, mut unit_keys) = (Labels::default(), Vec::new());
        let (mut kinds, mut temporalities) = (Vec::new(), Vec::new());
        let (mut sets, mut set_keys) =
            (AttributeSets::new(if wants_properties { message.len() } else { 0 }, limit), Vec::new());
        let (mut exemplars, mut members) = (BinaryColumn::default(), Objects::default());
        let (mut without_time, mut repeated) = (0, 0);
        for (number, scope) in scopes.iter().enumerate() {
            let scope_name = scope_names.key(scope.name);
            for record in &scope.records {
                let Some(metric) = metric(record).map_err(corrupt)? else { continue };
                let (name, unit) = (names.key(metric.name), units.key(metric.unit));
                let description = descriptions.key(metric.description);
                for message in &metric.points {
                    let point = point(metric.kind, message, &mut attributes).map_err(corrupt)?;
                    repeated += scope.repeated;
                    if repeated > limit {
                        return Err(DecodeError::TooLarge { limit });
                    }
                    if point.time == 0 {
                        without_time += 1;
                        continue;
                    }
                    scope_keys.push(scope_name);
                    name_keys.push(name);
                    description_keys.push(description);
                    unit_keys.push(unit);
                    kinds.push(metric.kind as i32);
                    temporalities.push(if metric.temporality < 3 { metric.temporality as i32 } else { 0 });
                    numbers.push(&metric, &point);
                    if wants_properties {
                        set_keys.push(sets.key(number, scope, &attributes)?);
                    }
                    if wants_exemplars {
                        push_exemplars(&mut exemplars.bytes, &point.exemplars, &mut members);
                        exemplars.end(limit)?;
                    }
                }
            }
        }
        rows.ignore("a data point without a time", without_time);

        let count = kinds.len();
        numbers.finish(rows)?;
        rows.put_labels(&SCOPE_NAME, scope_keys, scope_names.texts())?;
        rows.put_labels(&NAME, name_keys, names.texts())?;
        rows.put_labels(&DESCRIPTION, description_keys, descriptions.texts())?;
        rows.put_labels(&UNIT, unit_keys, units.texts())?;
        rows.put_labels(&KIND, kinds, KINDS)?;
        rows.put_labels(&TEMPORALITY, temporalities, TEMPORALITIES)?;
        if wants_properties {
            rows.put(&PROPERTIES, sets.finish(set_keys)?)?;
        }
        if wants_exemplars {
            rows.put(&EXEMPLARS, exemplars.finish()?)?;
        }
        rows.put_with(&RESOURCE, || resource_column(&message, count))?;
        Ok(count)
    }
}

fn push_exemplars<'a>(out: &mut Vec<u8>, messages: &[&'a [u8]], objects: &mut Objects<'a>) {
    Entry::array(out, messages.len(), messages, |out, message| {
        let Exemplar { time, value, span_id, trace_id, attributes } = exemplar(message);
        attributes.into_iter().for_each(|attribute| objects.attribute(attribute));
        objects.outer.put("time", |out| Entry::integer(out, time as i64));
        match value {
            Some(Number::Int(value)) => objects.outer.put("value", |out| Entry::integer(out, value)),
            Some(Number::Double(value)) => objects.outer.put("value", |out| Entry::float(out, value)),
            None => {}
        }
        put_ids(objects, trace_id, span_id);
        objects.finish(out)
    });
}
