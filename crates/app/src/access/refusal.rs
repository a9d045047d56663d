//! Refusals, as HTTP or as gRPC answers.

use super::origin::Foreign;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_lake::access::Refused;
use serde_json::json;
use std::fmt::Write;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No valid credential. Whether there was none or an invalid one is not told.
    Unknown,
    /// The caller lacks the right.
    Forbidden(Refused),
    /// Callers are not authenticated, and the request may come from a foreign web page.
    Foreign(Foreign),
    /// Authentication is not possible now.
    Unavailable,
    /// The server is starting: nothing is known of keys yet.
    Starting,
}

/// The answer to a request with these headers while the lake is being opened.
pub(crate) fn starting(request: &HeaderMap) -> Response {
    Refusal::Starting.answer(request)
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Self::Unknown => "a valid key is required: 'Authorization: Bearer KEY'".to_owned(),
            Self::Forbidden(refused) => refused.to_string(),
            Self::Foreign(Foreign::Page) => {
                "this request comes from a web page of another origin, and this server requires no keys: \
                 '--allow-origin ORIGIN' lets pages of an origin send telemetry"
                    .to_owned()
            }
            Self::Foreign(Foreign::Name(name)) => format!(
                "'{name}' is not a local host name, and this server requires no keys: use localhost or an IP \
                 address, or start the server with --require-keys, or with --insecure to accept any name"
            ),
            Self::Unavailable => "your key can't be checked at the moment: try again".to_owned(),
            Self::Starting => "the server is starting: try again in a moment".to_owned(),
        }
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        if is_grpc(request) { self.grpc() } else { self.http() }
    }

    /// An error in the form of the query API.
    fn http(&self) -> Response {
        let (status, kind) = match self {
            Self::Unknown => (StatusCode::UNAUTHORIZED, "rights"),
            Self::Forbidden(_) | Self::Foreign(_) => (StatusCode::FORBIDDEN, "rights"),
            Self::Unavailable | Self::Starting => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let error = json!({"error": {"kind": kind, "message": self.text(), "query_id": null}});
        let mut response = (status, format!("{error}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Unknown => {
                drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::Forbidden(_) | Self::Foreign(_) => {}
            Self::Unavailable | Self::Starting => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5")))
            }
        }
        response
    }

    /// A trailers-only response: the trailers are among the headers.
    fn grpc(&self) -> Response {
        let code = match self {
            Self::Unknown => 16,
            Self::Forbidden(_) | Self::Foreign(_) => 7,
            Self::Unavailable | Self::Starting => 14,
        };
        grpc_error(code, &self.text())
    }
}

/// An error of gRPC as a trailers-only response: the trailers are among the headers.
pub(crate) fn grpc_error(code: u8, text: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(text)) {
        headers.insert("grpc-message", message);
    }
    response
}

/// Whether it is a gRPC request.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Encodes a message for the header `grpc-message`: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // writing to a string never fails
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_grpc_stay_printable() {
        assert_eq!(percent_encoded("100 % für\n"), "100 %25 f%C3%BCr%0A");
    }

    #[test]
    fn grpc_is_refused_with_trailers_only() {
        let mut request = HeaderMap::new();
        assert_eq!(Refusal::Unknown.answer(&request).status(), 401);
        request.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        for (refusal, code) in [(Refusal::Unknown, "16"), (Refusal::Unavailable, "14")] {
            let response = refusal.answer(&request);
            assert_eq!(
                (response.status(), &response.headers()["grpc-status"]),
                (StatusCode::OK, &HeaderValue::from_static(code))
            );
        }
    }
}
