//! Queries over HTTP: `POST /api/query`, and the form of the micromegas gateway for clients that use it already.
//!
//! Rows are sent as they are made. A slow reader makes the query wait, and a reader that disconnects ends it. A query that
//! fails before its first row gets a status and JSON. One that fails later cuts the answer off, so that nobody takes a
//! part of it for the whole.

mod accept;
mod body;
mod error;
mod gateway;
mod parameters;
mod request;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use belvedere_core::query::{ClientInfo, QueryRequest};
use belvedere_core::service::{Answer, QueryService};
use belvedere_lake::Routes;
use belvedere_lake::access::Caller;
use belvedere_view::Registration;
use error::HttpError;
use request::{QueryBody, QueryString};
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Where queries are answered.
const QUERY: &str = "/api/query";
/// Where that is described.
const DESCRIPTION: &str = "/api/openapi.json";
/// Where queries are answered in the form of the gateway.
const GATEWAY_QUERY: &str = "/gateway/query";
/// The health check of the gateway.
const GATEWAY_HEALTH: &str = "/gateway/health";

/// The description of the routes, as OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

belvedere_core::register_query_routes! {
    Routes::new("query-api", router).about(
        "SQL over HTTP: POST /api/query returns Arrow, Parquet, CSV or JSON, and GET /api/openapi.json \
         describes it",
    )
}

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&REGISTRATION]
}

type Service = State<Arc<QueryService>>;

fn router(service: Arc<QueryService>) -> Router {
    Router::new()
        .route(QUERY, post(query).fallback(other_method))
        .route(DESCRIPTION, get(description))
        .route(GATEWAY_QUERY, post(gateway::query).fallback(other_method))
        .route(GATEWAY_HEALTH, get(gateway::health))
        .with_state(service)
}

async fn query(State(service): Service, request: Request) -> Response {
    answer(&service, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(service: &QueryService, request: Request) -> Result<Response, HttpError> {
    let (parts, body) = request.into_parts();
    let caller = caller(&parts)?;
    let query_string = QueryString::read(parts.uri.query())?;
    let format = match query_string.format {
        Some(format) => format,
        None => accept::negotiate(&parts.headers).ok_or_else(HttpError::not_acceptable)?,
    };
    let body = QueryBody::read(&parts.headers, query_string, body).await?;
    let mut client = client_from(&parts);
    client.client.get_or_insert_with(|| "http".to_owned());
    let answer = run_query(service, body, caller, client, is_strict(&parts)).await?;
    body::send(answer, format).await
}

async fn run_query(
    service: &QueryService,
    body: QueryBody,
    caller: Arc<Caller>,
    client: ClientInfo,
    is_strict: bool,
) -> Result<Answer, HttpError> {
    let query_id = Uuid::new_v4();
    let mut request = QueryRequest::new(body.sql, caller);
    request.parameters = body.parameters;
    request.range = body.range;
    request.limit = body.limit;
    request.client = client;
    request.is_strict = is_strict;
    // set here so that an error from before the query runs has it too
    request.query_id = Some(query_id);
    service.run(request).await.map_err(|e| HttpError::of_query(&e, Some(query_id)))
}

/// Whether an answer that lacks something is to be an error.
fn is_strict(parts: &Parts) -> bool {
    parts.headers.get(error::STRICT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The caller, as the listener authenticated it.
fn caller(parts: &Parts) -> Result<Arc<Caller>, HttpError> {
    parts.extensions.get::<Arc<Caller>>().cloned().ok_or_else(HttpError::unauthenticated)
}

fn client_from(parts: &Parts) -> ClientInfo {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    ClientInfo::from_headers(&parts.headers, peer)
}

async fn other_method() -> HttpError {
    HttpError::wrong_method()
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
