//! OpenTelemetry: OTLP over HTTP and gRPC, the view sets `otel_spans` and `otel_metrics`, and OTLP as a source of
//! `log_entries` and `measures`, and a page of traces for the web application.
//!
//! Linked in by `use belvedere_views_otel as _;`.

mod accept;
mod attributes;
#[cfg(test)]
mod conformance;
mod dropped;
mod encoding;
#[doc(hidden)]
pub mod fuzzed;
mod grpc;
mod http;
mod identity;
mod ids;
mod json;
pub mod log_entries;
pub mod measures;
pub mod objects;
#[cfg(test)]
mod optional_fields;
pub mod otel_metrics;
pub mod otel_spans;
mod points;
mod proto;
mod request;
mod routes;
mod signal;
mod spans;
#[cfg(test)]
mod tests;
pub mod traces_page;
mod values;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![
        &otel_spans::REGISTRATION,
        &otel_metrics::REGISTRATION,
        &log_entries::REGISTRATION,
        &measures::REGISTRATION,
        &objects::traces::REGISTRATION,
        &objects::logs::REGISTRATION,
        &objects::metrics::REGISTRATION,
        &routes::REGISTRATION,
        &traces_page::PAGE,
    ]
}
