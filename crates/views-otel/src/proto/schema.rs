//! What OTLP's messages consist of: opentelemetry-proto 1.x, without the signal of profiles.
//!
//! A table instead of generated types: it says how bytes are checked and how JSON becomes bytes.

/// A message's definition.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) fields: &'static [Field],
}

/// A field's definition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Its name in JSON.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether there may be several.
    pub(crate) is_repeated: bool,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bool,
    /// 32 or 64 bits, without a sign.
    Unsigned,
    /// 64 bits, with a sign, as a varint.
    Signed,
    /// 32 bits, with a sign, zigzag.
    ZigZag,
    /// A number or, in JSON, one of these names.
    Enum(&'static [(&'static str, i32)]),
    Fixed64,
    SignedFixed64,
    Fixed32,
    Double,
    Text,
    /// Bytes: base64 in JSON.
    Bytes,
    /// Bytes of an id: hexadecimal digits in JSON.
    Id,
    Message(&'static Message),
}

impl Message {
    /// The field of that number.
    #[inline]
    pub(crate) fn field(&self, number: u32) -> Option<&'static Field> {
        // most fields stand where their number says
        match self.fields.get(number as usize - 1) {
            Some(field) if field.number == number => Some(field),
            _ => self.fields.iter().find(|f| f.number == number),
        }
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_repeated: false }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_repeated: true }
}

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Signed, SignedFixed64, Text, Unsigned, ZigZag};

const SPAN_KINDS: Kind = Enum(&[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
]);
const STATUS_CODES: Kind = Enum(&[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)]);
const TEMPORALITIES: Kind = Enum(&[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
]);
const SEVERITIES: Kind = Enum(&[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
]);

/// Messages by their fields: `NAME: number name kind`, with a star where there may be several.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($field:tt)* })*) => {$(
        $(#[$doc])*
        pub(crate) static $name: Message = Message { fields: messages!(@ [] $($field)*) };
    )*};
    (@ [$($done:expr,)*]) => { &[$($done,)*] };
    (@ [$($done:expr,)*] $number:literal $json:literal * $kind:expr; $($rest:tt)*) => {
        messages!(@ [$($done,)* many($number, $json, $kind),] $($rest)*)
    };
    (@ [$($done:expr,)*] $number:literal $json:literal $kind:expr; $($rest:tt)*) => {
        messages!(@ [$($done,)* one($number, $json, $kind),] $($rest)*)
    };
}

messages! {
    /// Body of a request with spans.
    EXPORT_TRACES { 1 "resourceSpans" * Kind::Message(&RESOURCE_SPANS); }
    /// Body of a request with logs.
    EXPORT_LOGS { 1 "resourceLogs" * Kind::Message(&RESOURCE_LOGS); }
    /// Body of a request with metrics.
    EXPORT_METRICS { 1 "resourceMetrics" * Kind::Message(&RESOURCE_METRICS); }

    /// Spans of one resource.
    RESOURCE_SPANS {
        1 "resource" Kind::Message(&RESOURCE);
        2 "scopeSpans" * Kind::Message(&SCOPE_SPANS);
        3 "schemaUrl" Text;
    }
    SCOPE_SPANS {
        1 "scope" Kind::Message(&SCOPE);
        2 "spans" * Kind::Message(&SPAN);
        3 "schemaUrl" Text;
    }
    SPAN {
        1 "traceId" Id;
        2 "spanId" Id;
        3 "traceState" Text;
        4 "parentSpanId" Id;
        5 "name" Text;
        6 "kind" SPAN_KINDS;
        7 "startTimeUnixNano" Fixed64;
        8 "endTimeUnixNano" Fixed64;
        9 "attributes" * Kind::Message(&KEY_VALUE);
        10 "droppedAttributesCount" Unsigned;
        11 "events" * Kind::Message(&SPAN_EVENT);
        12 "droppedEventsCount" Unsigned;
        13 "links" * Kind::Message(&SPAN_LINK);
        14 "droppedLinksCount" Unsigned;
        15 "status" Kind::Message(&STATUS);
        16 "flags" Fixed32;
    }
    SPAN_EVENT {
        1 "timeUnixNano" Fixed64;
        2 "name" Text;
        3 "attributes" * Kind::Message(&KEY_VALUE);
        4 "droppedAttributesCount" Unsigned;
    }
    SPAN_LINK {
        1 "traceId" Id;
        2 "spanId" Id;
        3 "traceState" Text;
        4 "attributes" * Kind::Message(&KEY_VALUE);
        5 "droppedAttributesCount" Unsigned;
        6 "flags" Fixed32;
    }
    STATUS { 2 "message" Text; 3 "code" STATUS_CODES; }

    /// Logs of one resource.
    RESOURCE_LOGS {
        1 "resource" Kind::Message(&RESOURCE);
        2 "scopeLogs" * Kind::Message(&SCOPE_LOGS);
        3 "schemaUrl" Text;
    }
    SCOPE_LOGS {
        1 "scope" Kind::Message(&SCOPE);
        2 "logRecords" * Kind::Message(&LOG_RECORD);
        3 "schemaUrl" Text;
    }
    LOG_RECORD {
        1 "timeUnixNano" Fixed64;
        2 "severityNumber" SEVERITIES;
        3 "severityText" Text;
        5 "body" Kind::Message(&ANY_VALUE);
        6 "attributes" * Kind::Message(&KEY_VALUE);
        7 "droppedAttributesCount" Unsigned;
        8 "flags" Fixed32;
        9 "traceId" Id;
        10 "spanId" Id;
        11 "observedTimeUnixNano" Fixed64;
        12 "eventName" Text;
    }

    /// Metrics of one resource.
    RESOURCE_METRICS {
        1 "resource" Kind::Message(&RESOURCE);
        2 "scopeMetrics" * Kind::Message(&SCOPE_METRICS);
        3 "schemaUrl" Text;
    }
    SCOPE_METRICS {
        1 "scope" Kind::Message(&SCOPE);
        2 "metrics" * Kind::Message(&METRIC);
        3 "schemaUrl" Text;
    }
    METRIC {
        1 "name" Text;
        2 "description" Text;
        3 "unit" Text;
        5 "gauge" Kind::Message(&GAUGE);
        7 "sum" Kind::Message(&SUM);
        9 "histogram" Kind::Message(&HISTOGRAM);
        10 "exponentialHistogram" Kind::Message(&EXPONENTIAL_HISTOGRAM);
        11 "summary" Kind::Message(&SUMMARY);
        12 "metadata" * Kind::Message(&KEY_VALUE);
    }
    GAUGE { 1 "dataPoints" * Kind::Message(&NUMBER_POINT); }
    SUM {
        1 "dataPoints" * Kind::Message(&NUMBER_POINT);
        2 "aggregationTemporality" TEMPORALITIES;
        3 "isMonotonic" Bool;
    }
    HISTOGRAM {
        1 "dataPoints" * Kind::Message(&HISTOGRAM_POINT);
        2 "aggregationTemporality" TEMPORALITIES;
    }
    EXPONENTIAL_HISTOGRAM {
        1 "dataPoints" * Kind::Message(&EXPONENTIAL_POINT);
        2 "aggregationTemporality" TEMPORALITIES;
    }
    SUMMARY { 1 "dataPoints" * Kind::Message(&SUMMARY_POINT); }
    NUMBER_POINT {
        2 "startTimeUnixNano" Fixed64;
        3 "timeUnixNano" Fixed64;
        4 "asDouble" Double;
        5 "exemplars" * Kind::Message(&EXEMPLAR);
        6 "asInt" SignedFixed64;
        7 "attributes" * Kind::Message(&KEY_VALUE);
        8 "flags" Unsigned;
    }
    HISTOGRAM_POINT {
        2 "startTimeUnixNano" Fixed64;
        3 "timeUnixNano" Fixed64;
        4 "count" Fixed64;
        5 "sum" Double;
        6 "bucketCounts" * Fixed64;
        7 "explicitBounds" * Double;
        8 "exemplars" * Kind::Message(&EXEMPLAR);
        9 "attributes" * Kind::Message(&KEY_VALUE);
        10 "flags" Unsigned;
        11 "min" Double;
        12 "max" Double;
    }
    EXPONENTIAL_POINT {
        1 "attributes" * Kind::Message(&KEY_VALUE);
        2 "startTimeUnixNano" Fixed64;
        3 "timeUnixNano" Fixed64;
        4 "count" Fixed64;
        5 "sum" Double;
        6 "scale" ZigZag;
        7 "zeroCount" Fixed64;
        8 "positive" Kind::Message(&BUCKETS);
        9 "negative" Kind::Message(&BUCKETS);
        10 "flags" Unsigned;
        11 "exemplars" * Kind::Message(&EXEMPLAR);
        12 "min" Double;
        13 "max" Double;
        14 "zeroThreshold" Double;
    }
    BUCKETS { 1 "offset" ZigZag; 2 "bucketCounts" * Unsigned; }
    SUMMARY_POINT {
        2 "startTimeUnixNano" Fixed64;
        3 "timeUnixNano" Fixed64;
        4 "count" Fixed64;
        5 "sum" Double;
        6 "quantileValues" * Kind::Message(&QUANTILE);
        7 "attributes" * Kind::Message(&KEY_VALUE);
        8 "flags" Unsigned;
    }
    QUANTILE { 1 "quantile" Double; 2 "value" Double; }
    EXEMPLAR {
        2 "timeUnixNano" Fixed64;
        3 "asDouble" Double;
        4 "spanId" Id;
        5 "traceId" Id;
        6 "asInt" SignedFixed64;
        7 "filteredAttributes" * Kind::Message(&KEY_VALUE);
    }

    RESOURCE {
        1 "attributes" * Kind::Message(&KEY_VALUE);
        2 "droppedAttributesCount" Unsigned;
        3 "entityRefs" * Kind::Message(&ENTITY_REF);
    }
    ENTITY_REF {
        1 "schemaUrl" Text;
        2 "type" Text;
        3 "idKeys" * Text;
        4 "descriptionKeys" * Text;
    }
    SCOPE {
        1 "name" Text;
        2 "version" Text;
        3 "attributes" * Kind::Message(&KEY_VALUE);
        4 "droppedAttributesCount" Unsigned;
    }
    KEY_VALUE { 1 "key" Text; 2 "value" Kind::Message(&ANY_VALUE); }
    ANY_VALUE {
        1 "stringValue" Text;
        2 "boolValue" Bool;
        3 "intValue" Signed;
        4 "doubleValue" Double;
        5 "arrayValue" Kind::Message(&ARRAY_VALUE);
        6 "kvlistValue" Kind::Message(&KEY_VALUE_LIST);
        7 "bytesValue" Bytes;
    }
    ARRAY_VALUE { 1 "values" * Kind::Message(&ANY_VALUE); }
    KEY_VALUE_LIST { 1 "values" * Kind::Message(&KEY_VALUE); }
}
