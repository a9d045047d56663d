//! OTLP's three signals.

use crate::proto::{
    EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES, Message, RESOURCE_LOGS, RESOURCE_METRICS, RESOURCE_SPANS,
};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Format of streams of spans: each block is one `ResourceSpans`.
pub(crate) const TRACES_FORMAT: &str = "otlp/v1/traces";
/// Format of streams of logs: each block is one `ResourceLogs`.
pub(crate) const LOGS_FORMAT: &str = "otlp/v1/logs";
/// Format of streams of metrics: each block is one `ResourceMetrics`.
pub(crate) const METRICS_FORMAT: &str = "otlp/v1/metrics";

/// Tag of streams of spans.
pub(crate) const TRACES_TAG: &str = "trace";
/// Tag of streams of logs, native ones too.
pub(crate) const LOGS_TAG: &str = "log";
/// Tag of streams of metrics, native ones too.
pub(crate) const METRICS_TAG: &str = "metrics";

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// As in URLs and in stream ids.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Traces => TRACES_TAG,
            Self::Logs => LOGS_TAG,
            Self::Metrics => METRICS_TAG,
        }
    }

    pub(crate) fn format(self) -> &'static str {
        match self {
            Self::Traces => TRACES_FORMAT,
            Self::Logs => LOGS_FORMAT,
            Self::Metrics => METRICS_FORMAT,
        }
    }

    /// The message that a request is.
    pub(crate) fn request(self) -> &'static Message {
        match self {
            Self::Traces => &EXPORT_TRACES,
            Self::Logs => &EXPORT_LOGS,
            Self::Metrics => &EXPORT_METRICS,
        }
    }

    /// The message of one resource, of which a request has many: what a block is.
    pub(crate) fn of_resource(self) -> &'static Message {
        match self {
            Self::Traces => &RESOURCE_SPANS,
            Self::Logs => &RESOURCE_LOGS,
            Self::Metrics => &RESOURCE_METRICS,
        }
    }

    /// What the answer calls records that were not taken.
    pub(crate) fn rejected_name(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }

    /// The gRPC method.
    pub(crate) fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}
