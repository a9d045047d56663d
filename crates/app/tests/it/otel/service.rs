//! The routes without a socket, gRPC, and blocks object by object.

use super::requests;
use crate::support::Request;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use belvedere::core::Lake;
use belvedere_lake::Routes;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::body::{Body, to_bytes};
use belvedere_lake::axum::http;
use belvedere_lake::ingest::{IngestLimits, IngestionService};
use tower::ServiceExt;

/// A message as gRPC frames it.
fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// What this crate under test serves, over a lake, for calls without a socket.
fn routes(lake: &Lake, limits: IngestLimits) -> Router {
    let service = IngestionService::new(lake.connection().clone(), limits);
    let assembly = lake.assembly();
    let mut routes = assembly.extensions::<Routes<IngestionService>>();
    let (routes, _) = routes.find(|(routes, _)| routes.listener_names().contains(&"otlp-http")).unwrap();
    routes.router(std::sync::Arc::new(service))
}

/// A lake in memory with the recording.
pub(crate) async fn lake() -> Lake {
    let lake = Lake::in_memory().await.unwrap();
    let routes = routes(&lake, IngestLimits::default());
    for request in requests("otlp-small") {
        let mut sent = http::Request::post(&request.path);
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        let response = routes.clone().oneshot(sent.body(Body::from(request.body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    lake
}

#[tokio::test]
async fn grpc_takes_the_same_requests_and_refuses_in_its_own_words() {
    let lake = Lake::in_memory().await.unwrap();
    let routes = routes(&lake, IngestLimits { body_bytes: 1 << 20, ..IngestLimits::default() });
    let call = async |message: Vec<u8>| {
        let request = http::Request::post("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(frame(&message)))
            .unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let status = response.headers().get("grpc-status").map(|s| s.to_str().unwrap().to_owned());
        (status, to_bytes(response.into_body(), 1 << 20).await.unwrap())
    };
    let is_plain =
        |r: &&Request| r.is("traces") && !r.headers.iter().any(|(name, _)| name == "content-encoding");
    let spans = requests("otlp-small").iter().find(is_plain).unwrap().clone();
    for _ in 0..2 {
        // no error stands in the headers, and the answer is an empty message
        let (status, body) = call(spans.body.clone()).await;
        assert_eq!((status, &body[..]), (None, &frame(&[])[..]));
    }
    let rows = lake.sql("SELECT * FROM otel_spans").await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 72);
    assert_eq!(call(b"\x0a\x05abc".to_vec()).await.0.as_deref(), Some("3"));
    assert_eq!(call(vec![0; (1 << 20) + 1]).await.0.as_deref(), Some("8"));
}

#[tokio::test]
async fn each_block_is_shown_object_by_object() {
    let lake = lake().await;
    let texts = async |sql: String| -> Vec<String> {
        let mut texts = Vec::new();
        for batch in lake.sql(&sql).await.unwrap() {
            let column = cast(batch.column(0), &DataType::Utf8).unwrap();
            texts.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        texts
    };
    let blocks = texts("SELECT concat(block_id, ' ', nb_objects) FROM blocks".to_owned()).await;
    assert!(blocks.len() > 3);
    for block in blocks {
        let (id, objects) = block.split_once(' ').unwrap();
        // points of summaries count as the four rows of measures that they give
        let sql = format!(
            "SELECT concat(count(*) = count(DISTINCT object_index), ' ', count(*) = count(property_get(value, '__type')), \
             ' ', sum(CASE type_name WHEN 'otlp.SummaryDataPoint' THEN 4 ELSE 1 END)) \
             FROM parse_block('{id}') WHERE type_name LIKE 'otlp.%'"
        );
        assert_eq!(texts(sql).await, [format!("true true {objects}")], "{id}");
    }
}
