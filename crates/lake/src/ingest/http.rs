//! The native protocol: `POST /ingestion/insert_process`, `insert_stream` and `insert_block`.
//!
//! 200 means durable and visible. 4xx means that the request is wrong and that a retry is no use: clients drop the data.
//! Everything that is the server's fault is 503, which clients retry.

use super::{Body, IngestError, IngestionService};
use crate::{Cause, Routes, register_ingestion_routes};
use axum::Router;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::LengthLimitError;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

register_ingestion_routes! {
    Routes::new("native", |service| {
        Router::new()
            .route("/ingestion/insert_process", post(insert_process))
            .route("/ingestion/insert_stream", post(insert_stream))
            .route("/ingestion/insert_block", post(insert_block))
            .with_state(service)
    })
    .about(
        "CBOR over HTTP, as the native client libraries send it: POST /ingestion/insert_process, \
         /ingestion/insert_stream, /ingestion/insert_block",
    )
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
    let body = service.read_body(request, 1).await?;
    if body.bytes.is_empty() {
        return Err(IngestError::BadRequest("the body is empty".into()));
    }
    Ok(body)
}

impl IngestionService {
    /// Reads the body of a request within the service's limits, after reserving memory for `times` its size. Use a larger
    /// `times` for compressed bodies.
    pub async fn read_body(&self, request: Request, times: usize) -> Result<Body, IngestError> {
        let body = request.into_body();
        // without a length the body may be as long as the limit
        let limit = self.limits().body_bytes;
        let expected = body.size_hint().exact().map_or(limit, |n| usize::try_from(n).unwrap_or(usize::MAX));
        // such a reservation is large already: one for what it may expand to would block all others
        let times = if body.size_hint().exact().is_some() { times } else { 1 };
        let mut reserved = self.reserve(expected, times).await?;
        let mut read = pin!(axum::body::to_bytes(body, limit));
        // a timer wakes a thread: a body that has arrived already gets none
        let read = match futures::poll!(&mut read) {
            Poll::Ready(read) => Ok(read),
            Poll::Pending => tokio::time::timeout(self.limits().timeout, read).await,
        };
        match read {
            Err(_) => Err(IngestError::Unavailable("the body took too long to arrive".into())),
            Ok(Err(e)) if Self::is_length_limit(&e) => {
                Err(IngestError::TooLarge(Cause::new(format!("the body has more than {limit} bytes"), e)))
            }
            Ok(Err(e)) => {
                Err(IngestError::BadRequest(Cause::new(format!("the body could not be read: {e}"), e)))
            }
            Ok(Ok(bytes)) => {
                self.count_bytes(bytes.len());
                Self::shrink(&mut reserved, bytes.len().saturating_mul(times));
                Ok(Body { bytes, reserved: Some(reserved) })
            }
        }
    }

    /// Whether reading a body failed because it is longer than the limit.
    pub fn is_length_limit(error: &axum::Error) -> bool {
        let first: &(dyn std::error::Error + 'static) = error;
        std::iter::successors(Some(first), |e| e.source()).any(|e| e.is::<LengthLimitError>())
    }
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
