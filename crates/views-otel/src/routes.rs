//! What this crate serves.

use crate::accept::Receiver;
use crate::{grpc, http};
use belvedere_core::register_routes;
use belvedere_core::registry::{MakeRoutes, Routes};
use std::sync::Arc;

register_routes! {
    Routes {
        name: "otlp",
        about: "OpenTelemetry: OTLP over HTTP in protobuf and JSON (POST /v1/traces, /v1/logs, /v1/metrics, also \
                below /ingestion/otlp), OTLP over gRPC",
        listeners: &["http", "otlp-http", "otlp-grpc"],
        make: MakeRoutes::Ingest(|service| {
            http::routes().merge(grpc::routes()).with_state(Arc::new(Receiver::new(service)))
        }),
    }
}
