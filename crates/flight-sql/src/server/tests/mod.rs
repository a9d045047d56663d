//! The service, asked by a real client over loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

mod copies;
mod hostile;
mod missing;
mod prepared;
mod statements;
mod tables;

use super::router;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use belvedere_core::Lake;
use belvedere_core::arrow::array::{AsArray, RecordBatch};
use belvedere_core::arrow::compute::{cast, concat_batches};
use belvedere_core::arrow::datatypes::DataType;
use belvedere_core::service::{QueryLimits, QueryService};
use belvedere_lake::access::Caller;
use belvedere_lake::axum;
use belvedere_model::time::SECOND;
use belvedere_testkit::{FakePayload, FakeProcess};
use futures::TryStreamExt;
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(super) type Client = FlightSqlServiceClient<Channel>;

/// A client of a server of that lake, which takes everybody for that caller.
pub(super) async fn client_of(lake: &Lake, caller: Option<Arc<Caller>>) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut router = router(Arc::new(QueryService::new(
        lake.clone(),
        QueryLimits::default(),
        tokio::runtime::Handle::current(),
    )));
    if let Some(caller) = caller {
        router = router.layer(axum::Extension(caller));
    }
    tokio::spawn(async move { axum::serve(listener, router).await });
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    FlightSqlServiceClient::new(channel)
}

/// A lake with a program in it, and a client who may do anything.
pub(super) async fn talker() -> (Lake, Client) {
    let lake = Lake::in_memory().await.unwrap();
    program().send_to(lake.connection()).await.unwrap();
    let client = client_of(&lake, Some(Caller::anybody())).await;
    (lake, client)
}

/// A program with one stream of two blocks, a hundred seconds apart.
pub(super) fn program() -> FakeProcess {
    let mut program = FakeProcess::new("talker");
    program.process.properties = vec![("shift".to_owned(), "night".to_owned())];
    let block = |begin: i64| FakePayload { begin, end: begin + SECOND, events: 1, objects: b"text".to_vec() };
    program.stream_of("log", "letters", [block(0), block(100 * SECOND)]);
    program
}

/// All rows behind a ticket.
pub(super) async fn fetch(client: &mut Client, info: &FlightInfo) -> Result<RecordBatch, FlightError> {
    assert_eq!(info.endpoint.len(), 1, "Grafana wants exactly one");
    fetch_ticket(client, info.endpoint[0].ticket.clone().unwrap().ticket).await
}

pub(super) async fn fetch_ticket(
    client: &mut Client,
    ticket: impl Into<bytes::Bytes>,
) -> Result<RecordBatch, FlightError> {
    let stream = client.do_get(arrow_flight::Ticket::new(ticket)).await?;
    let (schema, batches) = {
        let mut stream = stream;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            batches.push(batch);
        }
        (stream.schema().cloned().expect("an answer has a schema even without rows"), batches)
    };
    Ok(concat_batches(&schema, &batches)?)
}

/// All rows of a statement, by way of GetFlightInfo.
pub(super) async fn ask(client: &mut Client, sql: &str) -> Result<RecordBatch, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetch(client, &info).await
}

/// A column as texts.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let column = cast(column, &DataType::Utf8).unwrap();
    column.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}

pub(super) fn status<T>(result: Result<T, FlightError>) -> Status {
    match result.err().expect("an error") {
        FlightError::Tonic(status) => *status,
        other => panic!("not a status: {other}"),
    }
}

pub(super) fn code<T>(result: Result<T, FlightError>) -> Code {
    status(result).code()
}
