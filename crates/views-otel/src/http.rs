//! OTLP over HTTP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>.

use crate::accept::{Accepted, Receiver};
use crate::encoding::{ACCEPTED, Coding, ExpandError, expand};
use crate::proto::{WireType, put_bytes, put_tag, put_varint};
use crate::request::Form;
use crate::signal::Signal;
use belvedere_lake::Cause;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::extract::{Request, State};
use belvedere_lake::axum::http::{HeaderMap, StatusCode, header};
use belvedere_lake::axum::response::{IntoResponse, Response};
use belvedere_lake::axum::routing::post;
use belvedere_lake::ingest::{Body, IngestError, IngestionService};
use std::sync::Arc;

/// What a compressed body is expected to expand to, at most.
pub(crate) const EXPANSION: usize = 12;

/// Seconds after which a client should try again.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 5;

/// The routes of all signals: where SDKs send by themselves, and where those send that were set up for the platform
/// whose clients we serve.
pub(crate) fn routes() -> Router<Arc<Receiver>> {
    let mut router = Router::new();
    for signal in Signal::ALL {
        for prefix in ["/v1", "/ingestion/otlp/v1"] {
            let handler = move |State(receiver): State<Arc<Receiver>>, request: Request| async move {
                answer(signal, &receiver, request).await
            };
            router = router.route(&format!("{prefix}/{}", signal.name()), post(handler));
        }
    }
    router
}

/// Why a request was refused before anybody looked into its body.
enum Refusal {
    ContentType,
    ContentEncoding,
    Ingest(IngestError),
}

impl From<IngestError> for Refusal {
    fn from(e: IngestError) -> Self {
        Self::Ingest(e)
    }
}

async fn answer(signal: Signal, receiver: &Receiver, request: Request) -> Response {
    let form = form(request.headers());
    let outcome = handle(signal, form, receiver, request).await;
    // who can't be told in their own encoding is told in protobuf
    let form = form.unwrap_or(Form::Protobuf);
    let response = match outcome {
        Ok(accepted) => success(signal, form, &accepted),
        Err(refusal) => failure(signal, form, refusal),
    };
    receiver.service().count_request(&format!("otlp/{}", signal.name()), response.status().as_str());
    response
}

async fn handle(
    signal: Signal,
    form: Option<Form>,
    receiver: &Receiver,
    request: Request,
) -> Result<Accepted, Refusal> {
    let form = form.ok_or(Refusal::ContentType)?;
    let codings = match request.headers().get(header::CONTENT_ENCODING) {
        Some(value) => value.to_str().ok().and_then(Coding::parse).ok_or(Refusal::ContentEncoding)?,
        None => Vec::new(),
    };
    let service = receiver.service();
    let body = service.read_body(request.into_body(), service.limits().body_bytes).await?;
    if codings.is_empty() {
        return Ok(receiver.accept(signal, form, body).await?);
    }
    let body = expanded(service, codings, body).await?;
    Ok(receiver.accept(signal, form, body).await?)
}

/// Expands a body, within memory for what is expected or, if that is too little, for the largest body.
async fn expanded(service: &IngestionService, codings: Vec<Coding>, body: Body) -> Result<Body, IngestError> {
    let limit = service.limits().body_bytes;
    let Body { bytes, mut reserved, .. } = body;
    // who waits for memory here may hold some: a body that grows always gets it in the end
    let grown = service.reserve(reserved.take(), bytes.len().saturating_mul(EXPANSION)).await?;
    let mut room = grown.bytes().saturating_sub(bytes.len());
    reserved = Some(grown);
    loop {
        let (codings, body) = (codings.clone(), bytes.clone());
        // the work goes on if nobody waits for it any more, and so does what is reserved for it
        let work = move || (expand(&codings, &body, room), reserved);
        let (expanded, held) = tokio::task::spawn_blocking(work).await.map_err(|e| {
            IngestError::Unavailable(Cause::new(format!("the body could not be expanded: {e}"), e))
        })?;
        reserved = held;
        match expanded {
            Ok(bytes) => {
                if let Some(reserved) = &mut reserved {
                    reserved.shrink(bytes.len());
                }
                return Ok(Body::new(bytes, reserved));
            }
            Err(ExpandError::TooLarge(_)) if room < limit => {
                // the few compressed bytes are not counted beside it
                reserved = Some(service.reserve(reserved.take(), limit).await?);
                room = limit;
            }
            Err(e @ ExpandError::TooLarge(_)) => return Err(IngestError::TooLarge(e.to_string().into())),
            Err(e @ ExpandError::Damaged { .. }) => {
                return Err(IngestError::BadRequest(e.to_string().into()));
            }
        }
    }
}

/// How the body is encoded, and so is the answer.
fn form(headers: &HeaderMap) -> Option<Form> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next()?.trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Form::Protobuf),
        "application/json" => Some(Form::Json),
        _ => None,
    }
}

fn success(signal: Signal, form: Form, accepted: &Accepted) -> Response {
    match form {
        Form::Protobuf => typed(StatusCode::OK, form, export_response(accepted)),
        Form::Json => {
            let body = match accepted.dropped.message() {
                None => serde_json::json!({}),
                Some(message) => serde_json::json!({
                    "partialSuccess": {
                        signal.rejected_name(): accepted.dropped.records().to_string(),
                        "errorMessage": message,
                    }
                }),
            };
            typed(StatusCode::OK, form, body.to_string().into_bytes())
        }
    }
}

/// An `Export…ServiceResponse`: empty, or with a partial success. The same for all signals.
pub(crate) fn export_response(accepted: &Accepted) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(message) = accepted.dropped.message() {
        let mut partial = Vec::new();
        // with none, the message is a warning
        if accepted.dropped.records() > 0 {
            put_tag(&mut partial, 1, WireType::Varint);
            put_varint(&mut partial, accepted.dropped.records());
        }
        put_bytes(&mut partial, 2, message.as_bytes());
        put_bytes(&mut body, 1, &partial);
    }
    body
}

/// gRPC's codes, which `google.rpc.Status` has.
const INVALID_ARGUMENT: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;

fn failure(signal: Signal, form: Form, refusal: Refusal) -> Response {
    let name = signal.name();
    match refusal {
        Refusal::ContentType => {
            let text = "Content-Type must be application/x-protobuf or application/json";
            status(StatusCode::UNSUPPORTED_MEDIA_TYPE, form, INVALID_ARGUMENT, text)
        }
        Refusal::ContentEncoding => {
            let text = format!("Content-Encoding must be one of {ACCEPTED}");
            let mut response = status(StatusCode::UNSUPPORTED_MEDIA_TYPE, form, INVALID_ARGUMENT, &text);
            response
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static(ACCEPTED));
            response
        }
        Refusal::Ingest(error) => {
            let text = error.report(&format!("otlp/{name}"));
            match error {
                IngestError::BadRequest(_) => status(StatusCode::BAD_REQUEST, form, INVALID_ARGUMENT, &text),
                IngestError::TooLarge(_) => {
                    status(StatusCode::PAYLOAD_TOO_LARGE, form, RESOURCE_EXHAUSTED, &text)
                }
                IngestError::Unavailable(_) => {
                    let mut response = status(StatusCode::SERVICE_UNAVAILABLE, form, UNAVAILABLE, &text);
                    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
                    response
                }
            }
        }
    }
}

/// A `google.rpc.Status`.
fn status(http: StatusCode, form: Form, code: u8, message: &str) -> Response {
    let body = match form {
        Form::Json => serde_json::json!({ "code": code, "message": message }).to_string().into_bytes(),
        Form::Protobuf => {
            let mut body = Vec::new();
            put_tag(&mut body, 1, WireType::Varint);
            put_varint(&mut body, code.into());
            put_bytes(&mut body, 2, message.as_bytes());
            body
        }
    };
    typed(http, form, body)
}

fn typed(status: StatusCode, form: Form, body: Vec<u8>) -> Response {
    let content_type = match form {
        Form::Protobuf => "application/x-protobuf",
        Form::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
