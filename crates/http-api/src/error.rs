//! Errors as HTTP answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_core::query::QueryError;
use belvedere_core::query::formats::Format;
use serde_json::{Value, json};
use uuid::Uuid;

/// The header with the query's id.
pub(super) const QUERY_ID: &str = "x-query-id";

/// The header, or trailer, with the number of blocks whose rows are missing from an answer.
pub(super) const MISSING_BLOCKS: &str = "x-missing-blocks";
/// The header of a request for an answer that lacks nothing, or an error.
pub(super) const STRICT: &str = "x-strict";

/// An error with its status.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    query_id: Option<Uuid>,
}

impl HttpError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), query_id: None }
    }

    /// The request is wrong.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The request is wrong in a way that HTTP has a status of its own for.
    pub(super) fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "bad_request", message)
    }

    /// The caller is not authenticated.
    pub(super) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "rights",
            "the caller is not authenticated: send a key as 'Authorization: Bearer KEY'; 'belvedere keys \
             create' creates one",
        )
    }

    /// The method is not POST.
    pub(super) fn wrong_method() -> Self {
        Self::refused(StatusCode::METHOD_NOT_ALLOWED, "send queries with POST")
    }

    /// The client accepts none of the formats.
    pub(super) fn not_acceptable() -> Self {
        Self::refused(
            StatusCode::NOT_ACCEPTABLE,
            "none of the media types in 'Accept' is supported: see 'acceptable'",
        )
    }

    /// The query failed.
    pub(super) fn of_query(error: &QueryError, query_id: Option<Uuid>) -> Self {
        let (status, kind) = match error {
            QueryError::Sql(_) => (StatusCode::BAD_REQUEST, "sql"),
            QueryError::Rights(_) => (StatusCode::FORBIDDEN, "rights"),
            QueryError::Denied(_) => (StatusCode::TOO_MANY_REQUESTS, "denied"),
            QueryError::Resources(_) => (StatusCode::TOO_MANY_REQUESTS, "resources"),
            QueryError::TooLong(_) => (StatusCode::GATEWAY_TIMEOUT, "too_long"),
            QueryError::Busy(_) => (StatusCode::CONFLICT, "busy"),
            QueryError::Cancelled(_) => (StatusCode::CONFLICT, "cancelled"),
            QueryError::Unsupported(_) => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
            QueryError::Incomplete(_) => (StatusCode::INTERNAL_SERVER_ERROR, "incomplete"),
            QueryError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self { query_id, ..Self::new(status, kind, error.report(query_id)) }
    }

    /// The body of an answer of its own, or the last line of one that is cut off.
    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({
            "error": {"kind": self.kind, "message": self.message, "query_id": self.query_id.map(|id| id.to_string())}
        });
        if self.status == StatusCode::NOT_ACCEPTABLE {
            json["acceptable"] = Format::ALL.map(Format::media_type).into();
        }
        json
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HttpError {}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut body = self.to_json().to_string();
        body.push('\n');
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        if let Some(id) = self.query_id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
            headers.insert(QUERY_ID, id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_a_status() {
        let text = String::from;
        for (error, status, kind) in [
            (QueryError::Sql(text("a")), 400, "sql"),
            (QueryError::Rights(text("a")), 403, "rights"),
            (QueryError::Denied(text("a")), 429, "denied"),
            (QueryError::Resources(text("a")), 429, "resources"),
            (QueryError::TooLong(text("a")), 504, "too_long"),
            (QueryError::Busy(text("a")), 409, "busy"),
            (QueryError::Cancelled(text("a")), 409, "cancelled"),
            (QueryError::Unsupported(text("a")), 501, "unsupported"),
            (QueryError::Incomplete(text("a")), 500, "incomplete"),
            (QueryError::Internal(text("a")), 500, "internal"),
        ] {
            let id = "00000000-0000-0000-0000-000000000000";
            let message = match error {
                QueryError::Internal(_) => {
                    format!("the lake failed: the server's log has the reason as error {id}")
                }
                _ => error.to_string(),
            };
            let error = HttpError::of_query(&error, Some(Uuid::nil()));
            assert_eq!(error.status.as_u16(), status);
            let expected = json!({"error": {"kind": kind, "message": message, "query_id": id}});
            assert_eq!(error.to_json(), expected);
        }
    }
}
