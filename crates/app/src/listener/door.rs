//! What a server answers before its lake is open: probes, and to all others that they should come again.

use crate::access;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use belvedere_lake::OpenProgress;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt;

/// The routes of an address: none until the door is opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door {
    routes: Arc<OnceLock<Router>>,
    progress: OpenProgress,
}

impl Door {
    /// A closed door, which tells how far the lake is.
    pub(crate) fn closed(progress: &OpenProgress) -> Self {
        Self { routes: Arc::default(), progress: progress.clone() }
    }

    /// From now on requests reach these routes. Only the first call does anything.
    pub(crate) fn open(&self, routes: Router) {
        // whoever opened it before was first
        let _ = self.routes.set(routes);
    }

    /// What to serve from the beginning.
    pub(crate) fn router(&self) -> Router {
        let door = self.clone();
        Router::new().fallback(move |request: Request| {
            let door = door.clone();
            async move {
                match door.routes.get() {
                    // never fails
                    Some(routes) => routes.clone().oneshot(without_slash(request)).await.into_response(),
                    None => door.answer(&request),
                }
            }
        })
    }

    fn answer(&self, request: &Request) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/health") => StatusCode::OK.into_response(),
            (&Method::GET, "/ready") => {
                let p = &self.progress;
                let text = format!(
                    "starting: {} of {} record files read back, {} blocks\n",
                    p.objects_done(),
                    p.objects(),
                    p.blocks()
                );
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
            }
            _ => access::starting(request.headers()),
        }
    }
}

/// The request without slashes that are too many: the base address that a sender is given is often written with one, and a
/// sender adds its path with another.
/// What is read keeps its address: a page's own links are relative to it.
fn without_slash(mut request: Request) -> Request {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return request;
    }
    let (path, query) = (request.uri().path(), request.uri().query());
    let parts = path.split('/').filter(|part| !part.is_empty());
    let single: String = parts.flat_map(|part| ["/", part]).collect();
    if single.is_empty() || single == path {
        return request;
    }
    let target = query.map_or_else(|| single.clone(), |query| format!("{single}?{query}"));
    let mut parts = request.uri().clone().into_parts();
    // what was part of a target is one
    if let Ok(target) = target.parse() {
        parts.path_and_query = Some(target);
        if let Ok(uri) = axum::http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::HeaderMap;
    use axum::routing::get;

    async fn ask(router: &Router, method: &str, path: &str) -> (u16, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn before_the_lake_is_open_only_probes_are_answered_and_afterwards_everything() {
        let door = Door::closed(&OpenProgress::default());
        let router = door.router();
        assert_eq!(ask(&router, "GET", "/health").await.0, 200);
        let (status, _, body) = ask(&router, "GET", "/ready").await;
        assert_eq!((status, body.as_str()), (503, "starting: 0 of 0 record files read back, 0 blocks\n"));
        for (method, path) in
            [("POST", "/ingestion/insert_block"), ("POST", "/api/query"), ("POST", "/health"), ("GET", "/x")]
        {
            let (status, headers, body) = ask(&router, method, path).await;
            assert!(status == 503 && headers.contains_key("retry-after"), "{path}: {status}");
            assert!(body.contains("the server is starting"), "{body}");
        }
        door.open(Router::new().route("/x", get(async || "here").post(async || "here")));
        assert_eq!(ask(&router, "GET", "/x").await.2, "here");
        assert_eq!(ask(&router, "GET", "/health").await.0, 404);
        for path in ["/x/", "/x//", "/x/?y=1", "http://lake:9000/x/", "//x", "///x//?y=//"] {
            assert_eq!(ask(&router, "POST", path).await.2, "here", "{path}");
            assert_eq!(ask(&router, "GET", path).await.0, 404, "{path}");
        }
        for path in ["/", "//", "/x/y/", "/x//y"] {
            assert_eq!(ask(&router, "POST", path).await.0, 404, "{path}");
        }
    }
}
