//! Asking over FlightSQL.

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use belvedere::core::Lake;
use belvedere::core::service::{QueryLimits, QueryService};
use belvedere_lake::Routes;
use belvedere_lake::access::Caller;
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// Why there is no answer.
#[derive(Debug)]
pub struct Refusal {
    /// What kind of error it is, if the server said so.
    pub code: Option<Code>,
    /// What the server said.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<FlightError> for Refusal {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => {
                Self { code: Some(status.code()), message: status.message().to_owned() }
            }
            other => Self { code: None, message: other.to_string() },
        }
    }
}

/// A client that keeps dictionaries.
#[derive(Debug)]
pub struct Client(FlightSqlServiceClient<Channel>);

impl Client {
    /// Connects to a server at this address.
    pub async fn connect(address: &str) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        // as published clients have it
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(100 << 20);
        let mut client = FlightSqlServiceClient::new_from_inner(inner);
        client.set_header("preserve_dictionary", "true");
        Self(client)
    }

    /// Where the answer is, then the answer: each batch is given away as it comes.
    pub async fn each(&mut self, sql: &str, mut take: impl FnMut(RecordBatch)) -> Result<(), Refusal> {
        let info = self.0.execute(sql.to_owned(), None).await?;
        let [endpoint] = &info.endpoint[..] else { panic!("{} endpoints", info.endpoint.len()) };
        let mut rows = self.0.do_get(endpoint.ticket.clone().unwrap()).await?;
        while let Some(batch) = rows.next().await {
            take(batch?);
        }
        Ok(())
    }

    /// All rows of an answer.
    pub async fn ask(&mut self, sql: &str) -> Result<Vec<RecordBatch>, Refusal> {
        let mut batches = Vec::new();
        self.each(sql, |batch| batches.push(batch)).await?;
        Ok(batches)
    }
}

/// Serves a lake in this process, to anybody: the address.
pub async fn serve(lake: &Lake) -> String {
    let assembly = lake.assembly();
    let mut routes = assembly.extensions::<Routes<QueryService>>();
    let (routes, _) = routes.find(|(routes, _)| routes.listener_names() == ["flight-sql"]).unwrap();
    let router = routes
        .router(Arc::new(QueryService::new(
            lake.clone(),
            QueryLimits::default(),
            tokio::runtime::Handle::current(),
        )))
        .layer(axum::Extension(Caller::anybody()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}
