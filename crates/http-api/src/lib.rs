//! Queries over HTTP: `POST /api/query`, and the form of the micromegas gateway for clients that use it already.
//!
//! Rows are sent as they are made. A slow reader makes the query wait, and a reader that disconnects ends it. A query that
//! fails before its first row gets a status and JSON. One that fails later cuts the answer off, so that nobody takes a
//! part of it for the whole.

mod accept;
mod body;
mod compression;
mod error;
mod gateway;
mod inspect;
mod parameters;
mod recent;
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
use compression::Compression;
use error::HttpError;
use recent::Recent;
use request::{QueryBody, QueryString};
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// Where queries are answered.
const QUERY: &str = "/api/query";
/// Where is said who asks.
const ME: &str = "/api/me";
/// Where is said what a query would read.
const PLAN: &str = "/api/plan";
/// Where is said what a query did, and where it is ended.
const QUERY_RECORD: &str = "/api/query/{id}";
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

/// What the routes share.
#[derive(Debug)]
struct Api {
    service: Arc<QueryService>,
    recent: Recent,
}

fn router(service: Arc<QueryService>) -> Router {
    Router::new()
        .route(QUERY, post(query).fallback(other_method))
        .route(QUERY_RECORD, get(inspect::record).delete(inspect::cancel))
        .route(PLAN, post(inspect::plan).fallback(other_method))
        .route(ME, get(inspect::me))
        .route(DESCRIPTION, get(description))
        .route(GATEWAY_QUERY, post(gateway::query).fallback(other_method))
        .route(GATEWAY_HEALTH, get(gateway::health))
        .with_state(Arc::new(Api { service, recent: Recent::default() }))
}

async fn query(State(api): State<Arc<Api>>, request: Request) -> Response {
    answer(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(api: &Api, request: Request) -> Result<Response, HttpError> {
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
    let answer = run_query(api, body, caller, client, &parts).await?;
    body::send(answer, format, Compression::negotiate(&parts.headers, format)).await
}

async fn run_query(
    api: &Api,
    body: QueryBody,
    caller: Arc<Caller>,
    client: ClientInfo,
    parts: &Parts,
) -> Result<Answer, HttpError> {
    let mut request = request_of(body, caller.clone(), client);
    request.is_strict = is_strict(parts);
    // whoever may want to end it before the answer begins chose a name for it
    if let Some(id) = chosen_id(parts)? {
        request.query_id = Some(id);
    }
    let query_id = request.query_id;
    let answer = api.service.run(request).await.map_err(|e| HttpError::of_query(&e, query_id))?;
    Ok(api.recent.watch(answer, &caller))
}

/// The name that a client gives its query.
fn chosen_id(parts: &Parts) -> Result<Option<Uuid>, HttpError> {
    let Some(value) = parts.headers.get(error::QUERY_ID) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| Uuid::try_parse(text).ok());
    id.map(Some).ok_or_else(|| HttpError::bad_request(format!("'{}' is not a UUID", error::QUERY_ID)))
}

fn request_of(body: QueryBody, caller: Arc<Caller>, client: ClientInfo) -> QueryRequest {
    let mut request = QueryRequest::new(body.sql, caller);
    request.parameters = body.parameters;
    request.range = body.range;
    request.limit = body.limit;
    request.types = body.types;
    request.client = client;
    // set here so that an error from before the query runs has it too
    request.query_id = Some(Uuid::new_v4());
    request
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
