//! What an address answers beside the routes of protocols: health over gRPC, and help where nothing is.

use crate::access::{grpc_error, is_grpc};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// gRPC's codes.
const NOT_FOUND: u8 = 5;
const UNIMPLEMENTED: u8 = 12;

/// Bytes of a question about health.
const QUESTION: usize = 1 << 10;

/// Adds the health service of gRPC, and an answer to whoever asks for what is not here. `about` says what is.
pub(super) fn with_help(router: Router, about: Vec<&'static str>) -> Router {
    let about: Arc<[&'static str]> = about.into();
    router.route("/grpc.health.v1.Health/Check", post(check)).fallback(move |request: Request| {
        let about = about.clone();
        async move { nothing_here(&request, &about) }
    })
}

fn nothing_here(request: &Request, about: &[&str]) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    if is_grpc(request.headers()) {
        let text = format!("{path} is no method of this server; it has {}", about.join("; "));
        return grpc_error(UNIMPLEMENTED, &text);
    }
    tracing::debug!("404: {method} {path}");
    let mut text = format!("there is nothing at {method} {path}\n");
    let (first, second) = path.split_at(path.floor_char_boundary(path.len() / 2));
    if path.len() > 1 && first == second {
        text += "the path is there twice: exporters add it to the address that they are given\n";
    }
    for line in about {
        text += &format!("- {line}\n");
    }
    (StatusCode::NOT_FOUND, text).into_response()
}

/// `grpc.health.v1.Health/Check`: whoever gets here is served.
async fn check(request: Request) -> Response {
    let Ok(question) = to_bytes(request.into_body(), QUESTION).await else {
        return grpc_error(3, "the question is too long, or did not arrive");
    };
    // a head of five bytes, and a message with one field: the name of a service, which is left out if it is empty
    if question.len() > 5 && question.get(5..7) != Some(&[0x0a, 0]) {
        return grpc_error(
            NOT_FOUND,
            "ask without the name of a service: the server is healthy as a whole or not at all",
        );
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // a message of two bytes: its first field is 1, SERVING
    let message = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 0x08, 1]));
    let mut response = Response::new(Body::new(Frames([message, Frame::trailers(trailers)].into())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A body that is there already, with trailers.
struct Frames(VecDeque<Frame<Bytes>>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceExt;

    async fn ask(path: &str, content_type: &str, body: &'static [u8]) -> (u16, HeaderMap, Bytes) {
        let router =
            with_help(Router::new().route("/v1/logs", post(async || "taken")), vec!["POST /v1/logs"]);
        let request = Request::post(path).header("content-type", content_type).body(Body::from(body));
        let response = router.oneshot(request.unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status.as_u16(), head.headers, to_bytes(body, 1 << 16).await.unwrap())
    }

    #[tokio::test]
    async fn who_asks_for_what_is_not_here_is_told_what_is() {
        for path in ["/v1/log", "/", "/v1/logs/v1/logs", "/x"] {
            let (status, _, body) = ask(path, "application/json", b"{}").await;
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(status == 404 && text.contains("POST /v1/logs"), "{path}: {status} {text}");
            assert_eq!(text.contains("there twice"), path == "/v1/logs/v1/logs", "{text}");
        }
        assert_eq!(ask("/v1/logs", "application/json", b"{}").await.2, "taken");
    }

    #[tokio::test]
    async fn services_of_grpc_that_are_not_here_are_unimplemented_and_health_is_served() {
        let (status, headers, _) = ask("/a.b.C/Do", "application/grpc+proto", b"").await;
        assert_eq!((status, &headers["grpc-status"]), (200, &HeaderValue::from_static("12")));
        assert!(headers["grpc-message"].to_str().unwrap().contains("POST /v1/logs"), "{headers:?}");
        let health = "/grpc.health.v1.Health/Check";
        for question in [&[0, 0, 0, 0, 0][..], &[0, 0, 0, 0, 2, 0x0a, 0]] {
            let (status, headers, body) = ask(health, "application/grpc", question).await;
            assert!(status == 200 && !headers.contains_key("grpc-status"), "{headers:?}");
            assert_eq!(&body[..], [0, 0, 0, 0, 2, 0x08, 1]);
        }
        let (_, headers, _) = ask(health, "application/grpc", &[0, 0, 0, 0, 3, 0x0a, 1, b'x']).await;
        assert_eq!(headers["grpc-status"], "5");
    }
}
