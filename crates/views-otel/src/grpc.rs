//! OTLP over gRPC: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.
//!
//! gRPC itself is tonic's; messages stay bytes, so that there is one way to read them.

use crate::accept::Receiver;
use crate::http::{RETRY_AFTER_SECONDS, export_response};
use crate::proto::{WireType, put_bytes, put_tag, put_varint};
use crate::request::Form;
use crate::signal::Signal;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::body::Body as HttpBody;
use belvedere_lake::axum::extract::{Request, State};
use belvedere_lake::axum::http;
use belvedere_lake::axum::routing::post;
use belvedere_lake::ingest::{Body, IngestError, IngestionService};
use bytes::{Buf, BufMut, Bytes};
use std::pin::Pin;
use std::sync::Arc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::UnaryService;
use tonic::{Code, Response, Status};

/// Bytes of a message, compressed or not. gRPC does not say before how long a request will be, so this much memory
/// is reserved for each; SDKs and collectors send at most 4 MiB unless they are told otherwise.
const MESSAGE: usize = 16 << 20;

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
    let timeout = service.limits().timeout;
    let route = format!("otlp-grpc/{}", signal.name());
    let response = match service.reserve(message, 1).await {
        Ok(reserved) => {
            let mut grpc = tonic::server::Grpc::new(BytesCodec)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .max_decoding_message_size(message);
            let exporter = Export { signal, receiver: receiver.clone(), reserved: Some(reserved) };
            match tokio::time::timeout(timeout, grpc.unary(exporter, request)).await {
                Ok(response) => response,
                Err(_) => status(&IngestError::Unavailable("the request took too long".into())).into_http(),
            }
        }
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
    reserved: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (signal, receiver, mut reserved) = (self.signal, self.receiver.clone(), self.reserved.take());
        let bytes = request.into_inner();
        if let Some(reserved) = &mut reserved {
            IngestionService::shrink(reserved, bytes.len());
        }
        Box::pin(async move {
            receiver.service().count_bytes(bytes.len());
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
