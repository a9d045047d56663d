//! The gate in front of every router: authenticates callers and checks their rights.

use super::Authenticator;
use super::credential::credential;
use super::origin;
use super::refusal::Refusal;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use belvedere_lake::access::{Caller, Right};
use std::sync::Arc;

/// Lets authenticated callers in; without an authenticator, everybody but foreign web pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    authenticator: Option<Arc<Authenticator>>,
    /// Without an authenticator: whether requests may be addressed to host names that are not the machine's own.
    any_name: bool,
    /// Web pages that may send telemetry, by their origins.
    origins: Arc<[String]>,
}

impl Gate {
    /// Authenticates all callers.
    pub(crate) fn authenticated(authenticator: Authenticator) -> Self {
        Self { authenticator: Some(Arc::new(authenticator)), any_name: true, ..Self::default() }
    }

    /// Authenticates nobody. With `any_name`, DNS rebinding is possible: only for servers that other machines reach anyway.
    pub(crate) fn open(any_name: bool) -> Self {
        Self { any_name, ..Self::default() }
    }

    /// Lets web pages of these origins send telemetry. They can read no more than that it was taken.
    pub(crate) fn allow_origins(self, origins: Vec<String>) -> Self {
        Self { origins: origins.into(), ..self }
    }

    /// The allowed origin that a request for a right comes from.
    fn allowed(&self, right: Right, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = origins.next().filter(|_| right == Right::Send && origins.next().is_none())?;
        self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// Whether callers are authenticated.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticator.is_some()
    }

    /// Puts the gate in front of a router that needs a right.
    pub(crate) fn guard(&self, router: Router, right: Right) -> Router {
        router.layer(from_fn_with_state((self.clone(), right), authorize))
    }

    async fn caller(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        is_allowed_page: bool,
    ) -> Result<Arc<Caller>, Refusal> {
        let Some(authenticator) = &self.authenticator else {
            // a foreign page has no key, so it is refused anyway
            match origin::check(uri, headers, self.any_name) {
                Err(origin::Foreign::Page) if is_allowed_page => {}
                checked => checked.map_err(Refusal::Foreign)?,
            }
            return Ok(Caller::anybody());
        };
        let credential = credential(headers).ok_or(Refusal::Unknown)?;
        match authenticator.authenticate(&credential).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => Err(Refusal::Unknown),
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}

async fn authorize(State((gate, right)): State<(Gate, Right)>, mut request: Request, next: Next) -> Response {
    remove_claims(request.headers_mut());
    if is_probe(&request) {
        return next.run(request).await;
    }
    let Some(origin) = gate.allowed(right, request.headers()) else {
        return authenticated(&gate, right, false, request, next).await;
    };
    // browsers ask before they send, without a key
    let mut answer = match is_preflight(&request) {
        true => StatusCode::NO_CONTENT.into_response(),
        false => authenticated(&gate, right, true, request, next).await,
    };
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-encoding, content-type, traceparent"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

async fn authenticated(
    gate: &Gate,
    right: Right,
    is_allowed_page: bool,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match gate.caller(request.uri(), request.headers(), is_allowed_page).await {
        Ok(caller) => caller.check(right).map_err(Refusal::Forbidden).map(|()| caller),
        Err(refusal) => Err(refusal),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => {
            tracing::debug!(path = request.uri().path(), ?right, "refused: {refusal:?}");
            refusal.answer(request.headers())
        }
    }
}

/// Whether it is a health check, which needs no rights. Decided by the route, which is ours, not by the path, which is the
/// client's.
fn is_probe(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    request.method() == Method::GET && route.is_some_and(|route| route.as_str().ends_with("/health"))
}

/// Removes headers by which other servers pass on an authentication, and keeps secrets out of logs.
fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-auth-")).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    if let Some(value) = headers.get_mut(header::AUTHORIZATION) {
        value.set_sensitive(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Extension;
    use axum::body::{Body, to_bytes};
    use axum::routing::{get, post};
    use belvedere_lake::access::Keys;
    use belvedere_lake::{LakeConnection, LakeOptions};
    use tower::ServiceExt;

    async fn name(Extension(caller): Extension<Arc<Caller>>, headers: HeaderMap) -> String {
        assert!(headers.keys().all(|name| !name.as_str().starts_with("x-auth-")));
        caller.name.clone()
    }

    fn routes() -> Router {
        Router::new()
            .route("/name", post(name))
            .route("/part/health", get(async || "well"))
            .route("/any/{*path}", get(name))
            .fallback(name)
    }

    async fn ask(router: &Router, method: &str, path: &str, key: Option<&str>) -> (u16, String) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        request = request.header("x-auth-is-admin", "true").header("X-Auth-Subject", "root");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_router_is_reached_with_the_right_and_with_nothing_less() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let keys = Keys::new(connection);
        let (_, reader) = keys.create("reader", "read".parse().unwrap(), None).await.unwrap();
        let (_, sender) = keys.create("sender", "send".parse().unwrap(), None).await.unwrap();
        let authenticator = Authenticator::new(
            keys,
            #[cfg(feature = "oidc")]
            None,
        );
        let router = Gate::authenticated(authenticator).guard(routes(), Right::Read);
        assert_eq!(ask(&router, "POST", "/name", Some(reader.reveal())).await, (200, "reader".to_owned()));
        let (status, body) = ask(&router, "POST", "/name", Some(sender.reveal())).await;
        assert!(status == 403 && body.contains("'sender' lacks the right 'read'"), "{status} {body}");
        for path in
            ["/name", "/any/x", "/any/x/health", "/any/health", "/nothing", "/health", "//part/health"]
        {
            for method in ["GET", "POST"] {
                assert_eq!(ask(&router, method, path, None).await.0, 401, "{method} {path}");
                assert_eq!(ask(&router, method, path, Some("bvk_no")).await.0, 401, "{method} {path}");
            }
        }
        assert_eq!(ask(&router, "GET", "/part/health", None).await, (200, "well".to_owned()));
        assert_eq!(ask(&router, "POST", "/part/health", None).await.0, 401);
    }

    #[tokio::test]
    async fn where_nobody_is_asked_everybody_is_anonymous_whatever_they_claim() {
        let router = Gate::default().guard(routes(), Right::Administer);
        assert_eq!(ask(&router, "POST", "/name", Some("root")).await, (200, "anonymous".to_owned()));
    }

    /// The answer to a page of example.com: HTTP status, gRPC status if it is among the headers, and body.
    async fn page(gate: &Gate, host: &str, content_type: &str) -> (u16, Option<String>, String) {
        let router = gate.guard(routes(), Right::Administer);
        let request = axum::http::Request::post("/name")
            .header("host", host)
            .header("origin", "http://example.com")
            .header("content-type", content_type);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let code = response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn where_nobody_is_asked_pages_from_elsewhere_and_names_of_others_are_refused() {
        let (status, _, body) = page(&Gate::default(), "localhost:9000", "text/plain").await;
        assert!(status == 403 && body.contains("a web page of another origin"), "{status} {body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
        // a page that made its name lead here
        let (status, _, body) = page(&Gate::default(), "example.com", "text/plain").await;
        assert!(status == 403 && body.contains("'example.com' is not a local host name"), "{status} {body}");
        let (status, code, _) = page(&Gate::default(), "localhost:9000", "application/grpc-web").await;
        assert_eq!((status, code.as_deref()), (200, Some("7")));
        let (status, ..) = page(&Gate::open(true), "example.com", "text/plain").await;
        assert_eq!(status, 200);
        let (status, ..) = page(&Gate::open(true), "localhost:9000", "text/plain").await;
        assert_eq!(status, 403);
    }

    #[tokio::test]
    async fn pages_of_allowed_origins_may_send_and_browsers_are_told_so() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let authenticator = Authenticator::new(
            Keys::new(connection),
            #[cfg(feature = "oidc")]
            None,
        );
        let page = "http://localhost:3000";
        for (gate, without_key) in [(Gate::default(), 200), (Gate::authenticated(authenticator), 401)] {
            let gate = gate.allow_origins(vec![page.to_owned()]);
            let ask = async |right: Right, method: &str, origin: &str| {
                let request = axum::http::Request::builder()
                    .method(method)
                    .uri("/name")
                    .header("host", "localhost:4318")
                    .header("origin", origin)
                    .header("sec-fetch-site", "cross-site")
                    .header("access-control-request-method", "POST")
                    .header("access-control-request-headers", "content-type");
                let request = request.body(Body::empty()).unwrap();
                let response = gate.guard(routes(), right).oneshot(request).await.unwrap();
                let allowed = response.headers().get("access-control-allow-origin").cloned();
                (response.status().as_u16(), allowed.map(|origin| origin.to_str().unwrap().to_owned()))
            };
            let allowed = Some(page.to_owned());
            assert_eq!(ask(Right::Send, "OPTIONS", page).await, (204, allowed.clone()));
            assert_eq!(ask(Right::Send, "POST", page).await, (without_key, allowed));
            // another page, and another right
            let refused = if without_key == 200 { 403 } else { 401 };
            for method in ["OPTIONS", "POST"] {
                let other = "http://localhost:3001";
                assert_eq!(ask(Right::Send, method, other).await, (refused, None));
                assert_eq!(ask(Right::Read, method, page).await, (refused, None));
            }
        }
    }
}
