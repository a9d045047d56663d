//! Metrics and their data points.

use crate::attributes::AttributeList;
use crate::proto::{Fields, ProtoError};
use crate::values::{sound, utf8};

/// The kinds of metrics, in the order of their numbers here.
pub(crate) const KINDS: [&str; 5] = ["gauge", "sum", "histogram", "exponential_histogram", "summary"];

/// Position of a kind in [`KINDS`].
pub(crate) const GAUGE: usize = 0;
pub(crate) const SUM: usize = 1;
pub(crate) const HISTOGRAM: usize = 2;
pub(crate) const EXPONENTIAL: usize = 3;
pub(crate) const SUMMARY: usize = 4;

/// The bit of a point's flags that says that there is no value.
pub(crate) const NO_VALUE: u64 = 1;

/// A metric with its points, which are still bytes.
#[derive(Debug, Default)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) kind: usize,
    /// 1 delta, 2 cumulative, 0 not said. Of sums and histograms.
    pub(crate) temporality: u64,
    /// Of sums.
    pub(crate) is_monotonic: bool,
    pub(crate) points: Vec<&'a [u8]>,
}

/// Reads a metric; `None` if it has no data of a kind that is known.
pub(crate) fn metric(message: &[u8]) -> Result<Option<Metric<'_>>, ProtoError> {
    let mut metric = Metric::default();
    let mut data = None;
    for field in Fields::new(message) {
        match field? {
            (1, v) => metric.name = utf8(1, v.bytes())?,
            (2, v) => metric.description = utf8(2, v.bytes())?,
            (3, v) => metric.unit = utf8(3, v.bytes())?,
            (5, v) => data = Some((GAUGE, v.bytes())),
            (7, v) => data = Some((SUM, v.bytes())),
            (9, v) => data = Some((HISTOGRAM, v.bytes())),
            (10, v) => data = Some((EXPONENTIAL, v.bytes())),
            (11, v) => data = Some((SUMMARY, v.bytes())),
            _ => {}
        }
    }
    let Some((kind, data)) = data else { return Ok(None) };
    metric.kind = kind;
    for field in Fields::new(data) {
        match field? {
            (1, point) => metric.points.push(point.bytes()),
            (2, v) if kind != GAUGE && kind != SUMMARY => metric.temporality = v.number(),
            (3, v) if kind == SUM => metric.is_monotonic = v.number() != 0,
            _ => {}
        }
    }
    Ok(Some(metric))
}

/// A value that was sent as a whole number or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// A data point of any kind; what its kind does not have is absent.
#[derive(Debug, Default)]
pub(crate) struct Point<'a> {
    pub(crate) start_time: u64,
    pub(crate) time: u64,
    pub(crate) value: Option<Number>,
    pub(crate) count: Option<u64>,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) flags: u64,
    /// Counts by bucket, and the bounds between buckets.
    pub(crate) buckets: Vec<u64>,
    pub(crate) bounds: Vec<f64>,
    pub(crate) exponential: Exponential,
    pub(crate) quantiles: Vec<(f64, f64)>,
    pub(crate) exemplars: Vec<&'a [u8]>,
}

impl Point<'_> {
    /// Whether the point says that nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.flags & NO_VALUE != 0
    }
}

/// What only an exponential histogram has.
#[derive(Debug, Default)]
pub(crate) struct Exponential {
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    /// Offset and counts.
    pub(crate) positive: (i32, Vec<u64>),
    pub(crate) negative: (i32, Vec<u64>),
}

fn double(value: u64) -> f64 {
    f64::from_bits(value)
}

pub(crate) fn zigzag(value: u64) -> i32 {
    ((value as u32 >> 1) as i32) ^ -((value & 1) as i32)
}

/// Numbers of 64 bits, one or packed.
fn fixed64s(value: crate::proto::Value<'_>, mut push: impl FnMut(u64)) {
    match value {
        crate::proto::Value::Bytes(packed) => {
            packed.as_chunks().0.iter().for_each(|bytes| push(u64::from_le_bytes(*bytes)));
        }
        one => push(one.number()),
    }
}

/// Reads a point of a metric of that kind.
pub(crate) fn point<'a>(
    kind: usize,
    message: &'a [u8],
    attributes: &mut AttributeList<'a>,
) -> Result<Point<'a>, ProtoError> {
    attributes.clear();
    let mut point = Point::default();
    let mut fields = Fields::new(message);
    let mut begin = 0;
    while let Some(field) = fields.next() {
        let end = message.len() - fields.rest().len();
        let (number, v) = field?;
        match (kind, number) {
            (_, 2) => point.start_time = v.number(),
            (_, 3) => point.time = v.number(),
            (GAUGE | SUM, 4) => point.value = Some(Number::Double(double(v.number()))),
            (GAUGE | SUM, 6) => point.value = Some(Number::Int(v.number() as i64)),
            (GAUGE | SUM, 5) | (HISTOGRAM, 8) | (EXPONENTIAL, 11) => point.exemplars.push(v.bytes()),
            (GAUGE | SUM | SUMMARY, 7) | (HISTOGRAM, 9) | (EXPONENTIAL, 1) => {
                attributes.add(message, begin, end, v.bytes());
            }
            (GAUGE | SUM | SUMMARY, 8) | (HISTOGRAM | EXPONENTIAL, 10) => point.flags = v.number(),
            (HISTOGRAM | EXPONENTIAL | SUMMARY, 4) => point.count = Some(v.number()),
            (HISTOGRAM | EXPONENTIAL | SUMMARY, 5) => point.sum = Some(double(v.number())),
            (HISTOGRAM, 6) => fixed64s(v, |count| point.buckets.push(count)),
            (HISTOGRAM, 7) => fixed64s(v, |bound| point.bounds.push(double(bound))),
            (HISTOGRAM, 11) | (EXPONENTIAL, 12) => point.min = Some(double(v.number())),
            (HISTOGRAM, 12) | (EXPONENTIAL, 13) => point.max = Some(double(v.number())),
            (EXPONENTIAL, 6) => point.exponential.scale = zigzag(v.number()),
            (EXPONENTIAL, 7) => point.exponential.zero_count = v.number(),
            (EXPONENTIAL, 8) => point.exponential.positive = buckets(v.bytes())?,
            (EXPONENTIAL, 9) => point.exponential.negative = buckets(v.bytes())?,
            (EXPONENTIAL, 14) => point.exponential.zero_threshold = double(v.number()),
            (SUMMARY, 6) => point.quantiles.push(quantile(v.bytes())?),
            _ => {}
        }
        begin = end;
    }
    if kind == HISTOGRAM || kind == EXPONENTIAL || kind == SUMMARY {
        // proto3 leaves out what is zero
        point.count.get_or_insert(0);
    }
    if kind == SUMMARY {
        point.sum.get_or_insert(0.0);
    }
    if point.is_empty() {
        // what stands there means nothing: some senders leave the zeros of their language
        point =
            Point { start_time: point.start_time, time: point.time, flags: point.flags, ..Point::default() };
    }
    Ok(point)
}

fn buckets(message: &[u8]) -> Result<(i32, Vec<u64>), ProtoError> {
    let (mut offset, mut counts) = (0, Vec::new());
    for field in Fields::new(message) {
        match field? {
            (1, v) => offset = zigzag(v.number()),
            (2, crate::proto::Value::Bytes(packed)) => {
                let mut numbers = Fields::new(packed);
                while !numbers.rest().is_empty() {
                    counts.push(numbers.varint()?);
                }
            }
            (2, v) => counts.push(v.number()),
            _ => {}
        }
    }
    Ok((offset, counts))
}

fn quantile(message: &[u8]) -> Result<(f64, f64), ProtoError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    for field in Fields::new(message) {
        match field? {
            (1, v) => quantile = double(v.number()),
            (2, v) => value = double(v.number()),
            _ => {}
        }
    }
    Ok((quantile, value))
}

/// An example of what was measured, and the span that it was measured in.
#[derive(Debug, Default)]
pub(crate) struct Exemplar<'a> {
    pub(crate) time: u64,
    pub(crate) value: Option<Number>,
    pub(crate) span_id: &'a [u8],
    pub(crate) trace_id: &'a [u8],
    pub(crate) attributes: Vec<&'a [u8]>,
}

/// Reads an exemplar.
pub(crate) fn exemplar(message: &[u8]) -> Exemplar<'_> {
    let mut exemplar = Exemplar::default();
    for field in sound(message) {
        match field {
            (2, v) => exemplar.time = v.number(),
            (3, v) => exemplar.value = Some(Number::Double(double(v.number()))),
            (4, v) => exemplar.span_id = v.bytes(),
            (5, v) => exemplar.trace_id = v.bytes(),
            (6, v) => exemplar.value = Some(Number::Int(v.number() as i64)),
            (7, v) => exemplar.attributes.push(v.bytes()),
            _ => {}
        }
    }
    exemplar
}
