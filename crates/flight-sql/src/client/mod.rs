//! The FlightSQL client: one query, one stream of rows. Errors have the server's messages.

mod address;
mod error;

use address::Address;
use arrow_flight::Ticket;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::SchemaRef;
use belvedere_core::query::AnswerTypes;
use belvedere_lake::with_causes;
use belvedere_model::time::{TimeRange, to_rfc3339};
pub use error::{ClientError, ErrorKind};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// Size of a message. Other clients have the same limit.
const MAX_MESSAGE_BYTES: usize = 100 << 20;
/// Flow-control window. Adaptive windows begin with 64 KiB and stay there if the latency is low, as on the same machine.
const WINDOW: u32 = 16 << 20;
/// Size of a frame. Each frame costs system calls on both sides; with the default of 16 KiB they cost more than all else.
const FRAME: u32 = 1 << 20;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval of pings on a connection without traffic: a query may take long until its first row.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How to reach a server.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// An API key, or a token of an identity provider.
    pub api_key: Option<String>,
    /// Certificates of trusted authorities, as PEM; those of the system by default.
    pub ca_certificate: Option<Vec<u8>>,
    /// Kind of client, for the server's record of queries: `cli`.
    pub client_type: String,
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the key must not get into logs
        f.debug_struct("ClientOptions").field("client_type", &self.client_type).finish_non_exhaustive()
    }
}

/// A connection to a server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    service: FlightServiceClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
    client_type: MetadataValue<Ascii>,
    url: String,
    is_strict: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The answer to a query.
pub struct ServerRows {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropping the stream cancels the query on the server.
    pub rows: BoxStream<'static, Result<RecordBatch, ClientError>>,
    /// Blocks that the server could not read: their rows are missing. Complete after the last row.
    pub missing_blocks: Arc<AtomicU64>,
}

impl Client {
    /// Connects to a server: `grpc://host:port`, or `grpc+tls://host:port` for one with a certificate (`http` and `https`
    /// mean the same). Without a port it is 50051.
    pub async fn connect(url: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let wrong = |text: String| ClientError::new(ErrorKind::Request, text);
        let address: Address = url.parse().map_err(wrong)?;
        let header = |text: String, what: &str| {
            MetadataValue::<Ascii>::try_from(text)
                .map_err(|_| wrong(format!("{what} has characters that can't be sent")))
        };
        let authorization = match &options.api_key {
            Some(key) => {
                let mut value = header(format!("Bearer {}", key.trim()), "the API key")?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let client_type = header(options.client_type.clone(), "the kind of client")?;
        let endpoint = Endpoint::from_shared(address.endpoint())
            .map_err(|e| wrong(format!("'{url}' is not a server address: {e}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Some(KEEP_ALIVE))
            .http2_keep_alive_interval(KEEP_ALIVE)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME);
        let endpoint = match (address.is_encrypted, &options.ca_certificate) {
            (false, None) => endpoint,
            (false, Some(_)) => {
                return Err(wrong(format!(
                    "{url} is not encrypted, so it needs no certificate: use grpc+tls:// if the server uses \
                     TLS"
                )));
            }
            (true, certificate) => {
                let config = ClientTlsConfig::new();
                let config = match certificate {
                    Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
                    None => config.with_native_roots(),
                };
                let failed = |e: tonic::transport::Error| {
                    wrong(format!("the certificates can't be used: {}", with_causes(&e)))
                };
                endpoint.tls_config(config).map_err(failed)?
            }
        };
        let channel = endpoint.connect().await.map_err(|e| {
            let hint = if address.is_encrypted { "" } else { " (if the server uses TLS, write grpc+tls://)" };
            let causes = with_causes(&e);
            // rustls wraps this error of webpki so that it has no type here: only its name
            let hint = if causes.contains("CaUsedAsEndEntity") {
                " (its certificate is a CA certificate, CA:TRUE: servers need one with CA:FALSE)"
            } else {
                hint
            };
            let text = format!(
                "can't connect to {url}: {causes}; is 'belvedere serve' listening there for FlightSQL?{hint}"
            );
            ClientError::new(ErrorKind::Unreachable, text)
        })?;
        let service = FlightServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { service, authorization, client_type, url: url.to_owned(), is_strict: false })
    }

    /// The address of the server, as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts a query about events in `range`.
    pub async fn query(
        &self,
        sql: &str,
        range: TimeRange,
        types: AnswerTypes,
    ) -> Result<ServerRows, ClientError> {
        // the ticket is the statement itself, which saves the round trip of GetFlightInfo
        let statement = TicketStatementQuery { statement_handle: sql.to_owned().into() };
        let mut request = Request::new(Ticket::new(statement.as_any().encode_to_vec()));
        self.set_headers(request.metadata_mut(), range, types)?;
        let answer = self.service.clone().do_get(request).await?.into_inner();
        let messages = answer.map_err(FlightError::from);
        let mut messages = FlightDataDecoder::new(messages);
        // the schema comes first, even if no row follows
        let missing_blocks = Arc::<AtomicU64>::default();
        let schema = loop {
            match messages.try_next().await? {
                Some(message) => {
                    // it is the last message of an answer without rows
                    if let Some(blocks) = told_missing(&message.inner.app_metadata) {
                        missing_blocks.store(blocks, Ordering::Relaxed);
                    }
                    if let DecodedPayload::Schema(schema) = message.payload {
                        break schema;
                    }
                }
                None => {
                    let text = format!("{} returned no columns: is it a FlightSQL server?", self.url);
                    return Err(ClientError::new(ErrorKind::Server, text));
                }
            }
        };
        let missing = missing_blocks.clone();
        let rows = messages
            .map_err(ClientError::from)
            .try_filter_map(move |message| {
                if let Some(blocks) = told_missing(&message.inner.app_metadata) {
                    missing.store(blocks, Ordering::Relaxed);
                }
                std::future::ready(Ok(match message.payload {
                    DecodedPayload::RecordBatch(rows) => Some(rows),
                    DecodedPayload::Schema(_) | DecodedPayload::None => None,
                }))
            })
            .boxed();
        Ok(ServerRows { schema, rows, missing_blocks })
    }

    /// The same, but asks for no answer that lacks something.
    #[must_use]
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    fn set_headers(
        &self,
        headers: &mut MetadataMap,
        range: TimeRange,
        types: AnswerTypes,
    ) -> Result<(), ClientError> {
        headers.insert("x-client-type", self.client_type.clone());
        if self.is_strict {
            headers.insert("x-strict", MetadataValue::from_static("true"));
        }
        if let Some(authorization) = &self.authorization {
            headers.insert("authorization", authorization.clone());
        }
        if types == AnswerTypes::Documented {
            headers.insert("preserve_dictionary", MetadataValue::from_static("true"));
        }
        for (name, time) in [("query_range_begin", range.begin), ("query_range_end", range.end)] {
            if let Some(time) = time {
                let text = to_rfc3339(time);
                let value = MetadataValue::<Ascii>::try_from(&text).map_err(|_| {
                    ClientError::new(ErrorKind::Request, format!("the time {text} can't be sent"))
                })?;
                headers.insert(name, value);
            }
        }
        Ok(())
    }
}

/// How many blocks a message says are missing.
fn told_missing(app_metadata: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(app_metadata).ok()?.get("missing_blocks")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unencrypted_server_needs_no_certificate_and_a_key_must_be_text() {
        let options = ClientOptions { ca_certificate: Some(Vec::new()), ..ClientOptions::default() };
        let error = Client::connect("grpc://127.0.0.1:1", &options).await.unwrap_err();
        assert!(error.to_string().contains("grpc+tls://"), "{error}");
        let options = ClientOptions { api_key: Some("a\nb".to_owned()), ..ClientOptions::default() };
        let error = Client::connect("grpc://127.0.0.1:1", &options).await.unwrap_err();
        assert_eq!(error.to_string(), "the API key has characters that can't be sent");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let error = Client::connect("grpc://127.0.0.1:1", &ClientOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().starts_with("can't connect to grpc://127.0.0.1:1: "), "{error}");
    }

    #[test]
    fn a_key_is_not_in_what_is_logged() {
        let options = ClientOptions { api_key: Some("secret".to_owned()), ..ClientOptions::default() };
        assert!(!format!("{options:?}").contains("secret"));
    }
}
