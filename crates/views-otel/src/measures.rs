//! OTLP metrics as rows of `measures`: what is one number. Histograms are in `otel_metrics`, as is everything else.

use crate::attributes::{AttributeList, AttributeSets, Extra, Labels, changed_attributes, corrupt, scopes};
use crate::points::{EXPONENTIAL, GAUGE, HISTOGRAM, Point, SUM, SUMMARY, metric, point};
use crate::request::message_of;
use crate::signal::{METRICS_FORMAT, METRICS_TAG, Signal};
use crate::values::AnyValue;
use belvedere_view::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;

columns! {
    COLUMNS:
    TIME = Column::of_another_crate("time", ColumnType::Time),
    TARGET = Column::of_another_crate("target", ColumnType::Label),
    NAME = Column::of_another_crate("name", ColumnType::Label),
    UNIT = Column::of_another_crate("unit", ColumnType::Label),
    VALUE = Column::of_another_crate("value", ColumnType::Float64),
    PROPERTIES = Column::of_another_crate("properties", ColumnType::Jsonb),
}

register_block_source! {
    BlockSourceRegistration::new("measures", COLUMNS, BlockSource::new(METRICS_FORMAT, METRICS_TAG, &MeasureDecoder)).optional()
}

/// Decodes blocks of metrics.
#[derive(Debug)]
struct MeasureDecoder;

/// Texts of a column as keys; some are made here.
#[derive(Debug, Default)]
struct Names<'a> {
    keys: HashMap<Cow<'a, str>, i32, foldhash::fast::FixedState>,
    texts: Vec<String>,
}

impl<'a> Names<'a> {
    fn key(&mut self, name: Cow<'a, str>) -> i32 {
        let texts = &mut self.texts;
        *self.keys.entry(name).or_insert_with_key(|name| {
            texts.push(Labels::cut(name).to_owned());
            texts.len() as i32 - 1
        })
    }
}

/// The rows that a summary's point gives: what is appended to the name, and the value.
fn summary_rows(point: &Point<'_>) -> impl Iterator<Item = (&'static str, f64)> {
    let quantile = |q: f64| point.quantiles.iter().find(|(known, _)| *known == q).map(|(_, value)| *value);
    [
        ("_count", point.count.map(|count| count as f64)),
        ("_sum", point.sum),
        ("_min", quantile(0.0)),
        ("_max", quantile(1.0)),
    ]
    .into_iter()
    .filter_map(|(suffix, value)| Some((suffix, value?)))
}

impl BlockDecoder for MeasureDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let objects = block.objects()?;
        let message = message_of(Signal::Metrics, &objects).map_err(DecodeError::corrupt)?;
        let changed = changed_attributes(&message, block.process())?;
        let changed_bytes: usize = changed.iter().map(|(name, value)| name.len() + value.len()).sum();
        let limit = rows.text_limit();
        let mut scopes = scopes(&message, 0, limit)?;
        for scope in &mut scopes {
            // measures have the scope as their target; its attributes are in `otel_metrics`
            scope.extras.clear();
        }
        let wants_properties = rows.wants(&PROPERTIES);
        let mut attributes = AttributeList::default();
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let (mut targets, mut target_keys) = (Labels::default(), Vec::new());
        let (mut names, mut name_keys) = (Names::default(), Vec::new());
        let (mut units, mut unit_keys) = (Labels::default(), Vec::new());
        let (mut sets, mut set_keys) =
            (AttributeSets::new(if wants_properties { message.len() } else { 0 }, limit), Vec::new());
        let (mut without_time, mut repeated) = (0, 0);
        for scope in &scopes {
            let target = targets.key(scope.name);
            for record in &scope.records {
                let Some(metric) = metric(record).map_err(corrupt)? else { continue };
                if metric.kind == HISTOGRAM || metric.kind == EXPONENTIAL {
                    continue;
                }
                let (name, unit) = (names.key(Cow::Borrowed(metric.name)), units.key(metric.unit));
                for message in &metric.points {
                    let point = point(metric.kind, message, &mut attributes).map_err(corrupt)?;
                    repeated += changed_bytes;
                    if repeated > limit {
                        return Err(DecodeError::TooLarge { limit });
                    }
                    if point.time == 0 {
                        without_time += 1;
                        continue;
                    }
                    if point.is_empty() {
                        // `otel_metrics` has it
                        continue;
                    }
                    let mut push = |name: i32, unit: i32, value: f64, set: i32| {
                        times.push(point.time as i64);
                        target_keys.push(target);
                        name_keys.push(name);
                        unit_keys.push(unit);
                        values.push(value);
                        set_keys.push(set);
                    };
                    let changed = changed.iter().map(|(key, value)| (key.as_str(), Extra::text(value)));
                    if metric.kind == SUMMARY {
                        let set = match wants_properties {
                            true => sets.own_key(scope, &attributes, changed)?,
                            false => 0,
                        };
                        for (suffix, value) in summary_rows(&point) {
                            let name = names.key(Cow::Owned(format!("{}{suffix}", metric.name)));
                            let unit = if suffix == "_count" { units.key("") } else { unit };
                            push(name, unit, value, set);
                        }
                        continue;
                    }
                    let Some(value) = point.value else { continue };
                    let set = if wants_properties {
                        let kind = match metric.kind {
                            GAUGE => "gauge",
                            _ => "sum",
                        };
                        let kind = ("otel.metric.kind", Extra::text(kind));
                        let of_sum = (metric.kind == SUM).then_some([
                            (
                                "otel.metric.aggregation_temporality",
                                Extra::Value(AnyValue::Int(metric.temporality as i64)),
                            ),
                            ("otel.metric.is_monotonic", Extra::Value(AnyValue::Bool(metric.is_monotonic))),
                        ]);
                        let extras = changed.chain([kind]).chain(of_sum.into_iter().flatten());
                        sets.own_key(scope, &attributes, extras)?
                    } else {
                        0
                    };
                    push(name, unit, value.as_f64(), set);
                }
            }
        }
        rows.ignore("a data point without a time", without_time);

        let count = times.len();
        rows.put(&TIME, times)?;
        rows.put_labels(&TARGET, target_keys, targets.texts())?;
        rows.put_labels(&NAME, name_keys, names.texts)?;
        rows.put_labels(&UNIT, unit_keys, units.texts())?;
        rows.put(&VALUE, values)?;
        if wants_properties {
            rows.put(&PROPERTIES, sets.finish(set_keys)?)?;
        }
        Ok(count)
    }
}
