//! What this crate serves.

use crate::accept::Receiver;
use crate::{grpc, http};
use belvedere_lake::{Routes, register_ingestion_routes};
use std::sync::Arc;

register_ingestion_routes! {
    Routes::new("otlp", |service| {
        http::routes().merge(grpc::routes()).with_state(Arc::new(Receiver::new(service)))
    })
    .about(
        "OpenTelemetry: OTLP over HTTP in protobuf and JSON (POST /v1/traces, /v1/logs, /v1/metrics, also \
         under /ingestion/otlp), and OTLP over gRPC",
    )
    .listeners(&["http", "otlp-http", "otlp-grpc"])
}
