//! The form of the micromegas gateway, for programs that are written for it.

use super::compression::Compression;
use super::error::HttpError;
use super::request::{QueryBody, bound, from_json, media_type, read_body, wrong_media_type};
use super::{Api, body, caller, client_from, run_query};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use belvedere_core::query::AnswerTypes;
use belvedere_core::query::formats::Format;
use belvedere_model::time::{TimeRange, now, to_rfc3339};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayBody {
    pub(super) sql: String,
    pub(super) time_range_begin: Option<String>,
    pub(super) time_range_end: Option<String>,
}

/// `POST /gateway/query`: one array of objects.
pub(super) async fn query(State(api): State<Arc<Api>>, request: Request) -> Response {
    answer(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(api: &Api, request: Request) -> Result<Response, HttpError> {
    let (parts, body) = request.into_parts();
    let caller = caller(&parts)?;
    let media_type = media_type(&parts.headers);
    if media_type.as_deref() != Some("application/json") {
        return Err(wrong_media_type(media_type.as_deref(), "application/json"));
    }
    let body = read(&read_body(&parts.headers, body).await?)?;
    let mut client = client_from(&parts);
    client.client = Some(format!("{}+gateway", client.client.as_deref().unwrap_or("unknown")));
    let answer = run_query(api, body, caller, client, &parts).await?;
    body::send(answer, Format::Json, Compression::negotiate(&parts.headers, Format::Json)).await
}

pub(super) fn read(body: &[u8]) -> Result<QueryBody, HttpError> {
    let GatewayBody { sql, time_range_begin, time_range_end } = from_json(body)?;
    let range = TimeRange {
        begin: bound("time_range_begin", time_range_begin)?,
        end: bound("time_range_end", time_range_end)?,
    };
    match (range.begin, range.end) {
        (Some(begin), Some(end)) if begin > end => {
            Err(HttpError::bad_request("'time_range_begin' is after 'time_range_end'"))
        }
        _ => Ok(QueryBody { sql, parameters: None, range, limit: None, types: AnswerTypes::default() }),
    }
}

/// `GET /gateway/health`.
pub(super) async fn health() -> Response {
    let json = serde_json::json!({"status": "healthy", "timestamp": to_rfc3339(now())});
    ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}
