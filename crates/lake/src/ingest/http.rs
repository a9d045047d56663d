//! The native protocol: `POST /ingestion/insert_process`, `insert_stream` and `insert_block`.
//!
//! 200 means durable and visible. 4xx means that the request is wrong and that a retry is no use: clients drop the data.
//! Everything that is the server's fault is 503, which clients retry.

use super::{Body, IngestError, IngestionService};
use crate::{Routes, register_ingestion_routes};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::sync::Arc;

register_ingestion_routes! {
    Routes::new("native", routes)
    .about(
        "CBOR over HTTP, as the native client libraries send it: POST /ingestion/insert_process, \
         /ingestion/insert_stream, /ingestion/insert_block",
    )
}

pub(super) fn routes(service: Arc<IngestionService>) -> Router {
    Router::new()
        .route("/ingestion/insert_process", post(insert_process))
        .route("/ingestion/insert_stream", post(insert_stream))
        .route("/ingestion/insert_block", post(insert_block))
        .with_state(service)
}

type Service = State<Arc<IngestionService>>;

async fn insert_process(State(service): Service, request: Request) -> Response {
    let outcome = match read_native(&service, request).await {
        Ok(body) => service.insert_process(body).await,
        Err(e) => Err(e),
    };
    answer(&service, "insert_process", outcome)
}

async fn insert_stream(State(service): Service, request: Request) -> Response {
    let outcome = match read_native(&service, request).await {
        Ok(body) => service.insert_stream(body).await,
        Err(e) => Err(e),
    };
    answer(&service, "insert_stream", outcome)
}

async fn insert_block(State(service): Service, request: Request) -> Response {
    let outcome = match read_native(&service, request).await {
        Ok(body) => service.insert_block(body).await,
        Err(e) => Err(e),
    };
    answer(&service, "insert_block", outcome)
}

async fn read_native(service: &IngestionService, request: Request) -> Result<Body, IngestError> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(IngestError::BadRequest(
            "the native protocol has no content encoding: payloads are compressed already".into(),
        ));
    }
    let body = service.read_body(request.into_body(), service.limits().body_bytes).await?;
    if body.bytes.is_empty() {
        return Err(IngestError::BadRequest("the body is empty".into()));
    }
    Ok(body)
}

fn answer(service: &IngestionService, route: &'static str, outcome: Result<(), IngestError>) -> Response {
    let status = match &outcome {
        Ok(()) => StatusCode::OK,
        Err(IngestError::BadRequest(_)) => StatusCode::BAD_REQUEST,
        Err(IngestError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
        Err(IngestError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
    };
    service.count_request(route, status.as_str());
    match outcome {
        Ok(()) => status.into_response(),
        Err(e) => {
            let body = format!("{}\n", e.report(route));
            match e {
                IngestError::Unavailable(_) => (status, [(header::RETRY_AFTER, "5")], body).into_response(),
                IngestError::BadRequest(_) | IngestError::TooLarge(_) => (status, body).into_response(),
            }
        }
    }
}
