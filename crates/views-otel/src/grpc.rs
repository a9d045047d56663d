//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.
//!
//! gRPC itself is tonic's; messages stay bytes, so that there is one way to read them.

use crate::accept::Receiver;
use crate::http::{EXPANSION, RETRY_AFTER_SECONDS, export_response};
use crate::proto::{WireType, put_bytes, put_tag, put_varint};
use crate::request::Form;
use crate::signal::Signal;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::body::Body as HttpBody;
use belvedere_lake::axum::extract::{Request, State};
use belvedere_lake::axum::http;
use belvedere_lake::axum::routing::post;
use belvedere_lake::ingest::{Body, IngestError, Reservation};
use bytes::{Buf, BufMut, Bytes};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::UnaryService;
use tonic::{Code, Response, Status};

/// Bytes of a message, compressed or not; SDKs and collectors send at most 4 MiB unless they are told otherwise.
const MESSAGE: usize = 16 << 20;

/// Bytes of a message's head.
const MESSAGE_HEAD: usize = 5;

/// The methods of all signals.
pub(crate) fn routes() -> Router<Arc<Receiver>> {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let handler = move |State(receiver): State<Arc<Receiver>>, request: Request| async move {
            export(signal, receiver, request).await.map(HttpBody::new)
        };
        router = router.route(signal.grpc_path(), post(handler));
    }
    router
}

async fn export(
    signal: Signal,
    receiver: Arc<Receiver>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = receiver.service();
    let message = MESSAGE.min(service.limits().body_bytes);
    let route = format!("otlp-grpc/{}", signal.name());
    let response = match take(signal, &receiver, request, message).await {
        Ok(response) => response,
        Err(e) => status(&e).into_http(),
    };
    let outcome = Status::from_header_map(response.headers());
    service.count_request(&route, &format!("{:?}", outcome.as_ref().map_or(Code::Ok, Status::code)));
    match outcome {
        // tonic's answer to a message that is too large; clients of OTLP would send it again
        Some(refusal) if refusal.code() == Code::OutOfRange => {
            Status::resource_exhausted(refusal.message()).into_http()
        }
        _ => response,
    }
}

/// Reads a request before tonic does: tonic would read it by itself, but then memory would have to be reserved before the
/// first byte is there.
async fn take(
    signal: Signal,
    receiver: &Arc<Receiver>,
    request: Request,
    message: usize,
) -> Result<http::Response<tonic::body::Body>, IngestError> {
    let service = receiver.service();
    let (parts, body) = request.into_parts();
    let Body { bytes, mut reserved, .. } =
        service.read_body(body, message.saturating_add(MESSAGE_HEAD)).await?;
    let is_compressed = parts.headers.get("grpc-encoding").is_some_and(|e| e.as_bytes() != b"identity");
    let mut room = match is_compressed {
        true => bytes.len().saturating_mul(EXPANSION).min(message),
        false => message,
    };
    loop {
        if is_compressed {
            reserved = Some(service.reserve(reserved, room).await?);
        }
        let mut grpc = tonic::server::Grpc::new(BytesCodec)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(room);
        let held = Arc::new(Mutex::new(reserved.take()));
        let exporter = Export { signal, receiver: receiver.clone(), reserved: held.clone() };
        let request = Request::from_parts(parts.clone(), HttpBody::from(bytes.clone()));
        let response = grpc.unary(exporter, request).await;
        reserved = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        // what is reserved was not taken: the message could not be read within that room
        if reserved.is_none() || room >= message {
            return Ok(response);
        }
        room = message;
    }
}

/// What a client is told.
fn status(error: &IngestError) -> Status {
    let text = error.report("otlp-grpc");
    match error {
        IngestError::BadRequest(_) => Status::invalid_argument(text),
        IngestError::TooLarge(_) => Status::resource_exhausted(text),
        IngestError::Unavailable(_) => {
            let details = retry_info(&text).into();
            Status::with_details(Code::Unavailable, text, details)
        }
    }
}

/// A `google.rpc.Status` with a `RetryInfo`, which says when to try again.
fn retry_info(message: &str) -> Vec<u8> {
    let (mut delay, mut info, mut any, mut status) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_tag(&mut delay, 1, WireType::Varint);
    put_varint(&mut delay, RETRY_AFTER_SECONDS);
    put_bytes(&mut info, 1, &delay);
    put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
    put_bytes(&mut any, 2, &info);
    put_tag(&mut status, 1, WireType::Varint);
    put_varint(&mut status, Code::Unavailable as u64);
    put_bytes(&mut status, 2, message.as_bytes());
    put_bytes(&mut status, 3, &any);
    status
}

/// One call.
struct Export {
    signal: Signal,
    receiver: Arc<Receiver>,
    /// Taken with the message.
    reserved: Arc<Mutex<Option<Reservation>>>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (signal, receiver, held) = (self.signal, self.receiver.clone(), self.reserved.clone());
        let bytes = request.into_inner();
        let mut reserved = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reserved) = &mut reserved {
            reserved.shrink(bytes.len());
        }
        Box::pin(async move {
            match receiver.accept(signal, Form::Protobuf, Body::new(bytes, reserved)).await {
                Ok(accepted) => Ok(Response::new(export_response(&accepted).into())),
                Err(e) => Err(status(&e)),
            }
        })
    }
}

/// Messages as they are.
#[derive(Debug, Clone, Copy)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
