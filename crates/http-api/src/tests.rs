//! The routes as a client sees them, over a lake with ticks.

mod inspect;

use super::request::{MAX_BODY_BYTES, QueryBody, QueryString};
use super::{
    DESCRIPTION, GATEWAY_HEALTH, GATEWAY_QUERY, ME, OPENAPI, PLAN, QUERY, QUERY_RECORD, gateway, router,
};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use belvedere_core::LakeConfig;
use belvedere_core::query::formats::Format;
use belvedere_core::service::{QueryLimits, QueryService};
use belvedere_lake::access::{Caller, Identity, Right, Rights};
use belvedere_testkit::FakeProcess;
use belvedere_testkit::ticks::{block, insert, lake, process};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;
use uuid::Uuid;

/// A lake whose clock ticked `ticks` times, once a second, from 1970-01-01T00:16:40Z on.
async fn routes(ticks: i64) -> Router {
    let lake = lake(LakeConfig::default()).await.unwrap();
    FakeProcess::new("'; DROP TABLE ticks").send_to(lake.connection()).await.unwrap();
    let numbers: Vec<(i64, i64)> = (0..ticks).map(|i| (i * 1_000, i)).collect();
    let id = Uuid::from_u128(1);
    insert(lake.connection(), process(id, 1_000), block(id, Uuid::from_u128(2), &numbers, 1_000))
        .await
        .unwrap();
    router(Arc::new(QueryService::new(lake, QueryLimits::default(), tokio::runtime::Handle::current())))
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn kind(&self) -> String {
        self.json()["error"]["kind"].as_str().unwrap().to_owned()
    }
}

async fn send(routes: &Router, mut request: Request<Body>, caller: Option<Arc<Caller>>) -> Reply {
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    let response = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Reply { status: parts.status, headers: parts.headers, body }
}

fn post(address: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(Method::POST).uri(address);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.into()).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

async fn run_query(routes: &Router, body: Value) -> Reply {
    send(routes, post(QUERY, &[JSON], body.to_string()), Some(Caller::anybody())).await
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(column).collect()
}

#[tokio::test]
async fn each_format_has_all_rows() {
    let routes = routes(20_000).await;
    let expected: Vec<i64> = (0..20_000).collect();
    for format in Format::ALL {
        let body = json!({"sql": "SELECT number FROM ticks ORDER BY number"}).to_string();
        let request = post(QUERY, &[JSON, ("accept", format.media_type())], body);
        let reply = send(&routes, request, Some(Caller::anybody())).await;
        assert_eq!(reply.status, 200, "{format:?}");
        assert!(reply.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(format.media_type()));
        assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(Uuid::parse_str(reply.headers["x-query-id"].to_str().unwrap()).is_ok());
        let found: Vec<i64> = match format {
            Format::Ndjson => {
                let rows = reply.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                rows.map(|row| row["number"].as_i64().unwrap()).collect()
            }
            Format::Json => {
                reply.json().as_array().unwrap().iter().map(|row| row["number"].as_i64().unwrap()).collect()
            }
            Format::Csv => {
                let mut lines = reply.text().lines();
                assert_eq!(lines.next(), Some("number"));
                lines.map(|line| line.parse().unwrap()).collect()
            }
            Format::Arrow => {
                let reader = StreamReader::try_new(reply.body.as_ref(), None).unwrap();
                numbers(&reader.map(Result::unwrap).collect::<Vec<_>>())
            }
            Format::Parquet => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(reply.body.clone()).unwrap();
                numbers(&reader.build().unwrap().map(Result::unwrap).collect::<Vec<_>>())
            }
        };
        assert_eq!(found, expected, "{format:?}");
    }
}

#[tokio::test]
async fn the_format_in_the_address_counts_more_than_the_header() {
    let routes = routes(1).await;
    let request = post(&format!("{QUERY}?format=csv"), &[TEXT, ("accept", "image/png")], "SELECT 1 AS one");
    assert_eq!(send(&routes, request, Some(Caller::anybody())).await.text(), "one\n1\n");
    let request = post(QUERY, &[TEXT], "SELECT 1 AS one");
    assert_eq!(send(&routes, request, Some(Caller::anybody())).await.text(), "{\"one\":1}\n");
}

#[tokio::test]
async fn parameters_come_by_position_and_by_name() {
    let routes = routes(10).await;
    let sum = async |sql: &str, parameters: Value| {
        let reply = run_query(&routes, json!({"sql": sql, "parameters": parameters})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["n"].as_i64().unwrap()
    };
    assert_eq!(
        sum("SELECT sum(number) AS n FROM ticks WHERE number > $1 AND number < $2", json!([3, 6])).await,
        9
    );
    assert_eq!(sum("SELECT sum(number) AS n FROM ticks WHERE number>? AND number<?", json!([3, 6])).await, 9);
    let named = "SELECT sum(number) AS n FROM ticks WHERE number > $low AND number < $high";
    assert_eq!(sum(named, json!({"low": 3, "$high": 6})).await, 9);
}

#[tokio::test]
async fn a_parameter_stays_a_value_whatever_is_in_it() {
    let routes = routes(1).await;
    let text = "'; DROP TABLE ticks";
    for parameters in [json!([text]), json!([format!("{text} --")]), json!(["' OR '1' = '1"])] {
        let count =
            json!({"sql": "SELECT count(*) AS n FROM processes WHERE exe = ?", "parameters": parameters});
        let expected = i64::from(parameters[0] == text);
        assert_eq!(run_query(&routes, count).await.json()["n"], expected, "{parameters}");
    }
    let echo = json!({"sql": "SELECT $text AS text", "parameters": {"text": "? $1 '; DROP"}});
    assert_eq!(run_query(&routes, echo).await.json()["text"], "? $1 '; DROP");
}

#[tokio::test]
async fn each_bound_of_the_range_works_alone_and_is_inclusive() {
    let routes = routes(10).await;
    let sql = "SELECT count(*) AS n FROM ticks";
    let time = "1970-01-01T00:16:44Z";
    for (bounds, expected) in [
        (json!({}), 10),
        (json!({"begin": time}), 6),
        (json!({"end": time}), 5),
        (json!({"begin": time, "end": time}), 1),
        (json!({"begin": "1970-01-02"}), 0),
    ] {
        let mut body = bounds.clone();
        body["sql"] = sql.into();
        assert_eq!(run_query(&routes, body).await.json()["n"], expected, "{bounds}");
    }
    let request = post(&format!("{QUERY}?end={time}"), &[TEXT], sql);
    assert_eq!(send(&routes, request, Some(Caller::anybody())).await.json()["n"], 5);
}

#[tokio::test]
async fn a_limit_cuts_the_answer() {
    let routes = routes(10).await;
    for (limit, expected) in [(0, 0), (3, 3), (100, 10)] {
        let reply = run_query(&routes, json!({"sql": "SELECT number FROM ticks", "limit": limit})).await;
        assert_eq!(reply.text().lines().count(), expected);
    }
}

#[tokio::test]
async fn what_is_wrong_has_a_status_and_says_so_in_json() {
    let routes = routes(1).await;
    for (sql, message) in [
        ("SELEKT 1", "SQL:"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("CREATE TABLE a AS SELECT 1", ""),
        ("COPY (SELECT 1) TO '/tmp/a.csv'", ""),
        ("SELECT 1 / (number - number) FROM ticks", ""),
    ] {
        let reply = run_query(&routes, json!({"sql": sql})).await;
        assert!(reply.status.is_client_error() || reply.status == 501, "{sql}: {}", reply.text());
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert!(["sql", "unsupported"].contains(&error["kind"].as_str().unwrap()), "{error}");
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
    }
    for body in ["", "{", "[]", "{\"sql\": 1}", "{\"sql\": \"SELECT 1\", \"more\": 1}"] {
        let reply = send(&routes, post(QUERY, &[JSON], body), Some(Caller::anybody())).await;
        assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (400, "bad_request"), "{body}");
        assert_eq!(reply.json()["error"]["query_id"], Value::Null);
    }
}

#[tokio::test]
async fn a_request_that_http_has_a_status_for_gets_it() {
    let routes = routes(1).await;
    let caller = || Some(Caller::anybody());
    let large = "x".repeat(MAX_BODY_BYTES + 1);
    let stream = futures::stream::iter(
        (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; MAX_BODY_BYTES / 2]))),
    );
    for (request, status) in [
        (post(QUERY, &[TEXT], large.clone()), 413),
        (post(QUERY, &[TEXT], Body::from_stream(stream)), 413),
        (post(GATEWAY_QUERY, &[JSON], large), 413),
        (post(QUERY, &[], "SELECT 1"), 415),
        (post(QUERY, &[("content-type", "application/sql")], "SELECT 1"), 415),
        (post(QUERY, &[TEXT, ("content-encoding", "gzip")], "SELECT 1"), 415),
        (post(GATEWAY_QUERY, &[TEXT], "SELECT 1"), 415),
        (post(QUERY, &[TEXT, ("accept", "text/html")], "SELECT 1"), 406),
        (post(&format!("{QUERY}?format=xml"), &[TEXT], "SELECT 1"), 400),
        (post(&format!("{QUERY}?begin=1970-01-01"), &[JSON], "{\"sql\": \"SELECT 1\"}"), 400),
    ] {
        let address = format!("{} {:?}", request.uri(), request.headers());
        let reply = send(&routes, request, caller()).await;
        assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (status, "bad_request"), "{address}");
    }
    let request = post(QUERY, &[TEXT, ("accept", "text/html")], "SELECT 1");
    let acceptable = send(&routes, request, caller()).await.json()["acceptable"].clone();
    assert_eq!(acceptable, json!(Format::ALL.map(Format::media_type)));
    for address in [QUERY, GATEWAY_QUERY] {
        let request = Request::builder().uri(address).body(Body::empty()).unwrap();
        let reply = send(&routes, request, caller()).await;
        assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (405, "bad_request"));
        assert_eq!(reply.headers[header::ALLOW], "POST");
    }
}

#[tokio::test]
async fn nobody_asks_without_a_name_or_the_right_to_read() {
    let routes = routes(1).await;
    for address in [QUERY, GATEWAY_QUERY] {
        let body = json!({"sql": "SELECT 1"}).to_string();
        let reply = send(&routes, post(address, &[JSON], body.clone()), None).await;
        assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (401, "rights"));
        assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
        let sender = Caller::new(Identity::Anybody, "sender", Rights::NONE.with(Right::Send));
        let reply = send(&routes, post(address, &[JSON], body), Some(Arc::new(sender))).await;
        assert_eq!((reply.status.as_u16(), reply.kind().as_str()), (403, "rights"));
    }
}

#[tokio::test]
async fn the_gateway_answers_in_its_own_form() {
    let routes = routes(10).await;
    let ask = async |body: Value| {
        send(&routes, post(GATEWAY_QUERY, &[JSON], body.to_string()), Some(Caller::anybody())).await
    };
    let sql = "SELECT number FROM ticks ORDER BY number";
    let range = json!({"sql": sql, "time_range_begin": "1970-01-01T00:16:41Z", "time_range_end": "1970-01-01T00:16:42Z"});
    assert_eq!(ask(range).await.json(), json!([{"number": 1}, {"number": 2}]));
    assert_eq!(ask(json!({"sql": "SELECT 1 WHERE false"})).await.json(), json!([]));
    let backwards = json!({"sql": sql, "time_range_begin": "1970-01-02T00:00:00Z", "time_range_end": "1970-01-01T00:00:00Z"});
    assert_eq!(ask(backwards).await.status, 400);
    let request = Request::builder().uri(GATEWAY_HEALTH).body(Body::empty()).unwrap();
    assert_eq!(send(&routes, request, None).await.json()["status"], "healthy");
}

#[tokio::test]
async fn the_description_agrees_with_what_is_served() {
    let routes = routes(1).await;
    let request = Request::builder().uri(DESCRIPTION).body(Body::empty()).unwrap();
    let description = send(&routes, request, None).await.json();
    assert_eq!(description, serde_json::from_str::<Value>(OPENAPI).unwrap());
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut paths = keys(&description["paths"]);
    paths.sort_unstable();
    assert_eq!(
        paths,
        sorted(vec![QUERY, QUERY_RECORD, PLAN, ME, DESCRIPTION, GATEWAY_QUERY, GATEWAY_HEALTH])
    );
    let query = &description["paths"][QUERY]["post"];
    let mut media_types = keys(&query["responses"]["200"]["content"]);
    media_types.sort_unstable();
    assert_eq!(media_types, sorted(Format::ALL.map(Format::media_type).to_vec()));
    assert_eq!(query["parameters"][0]["schema"]["enum"], json!(Format::ALL.map(Format::name)));
    for status in
        ["400", "401", "403", "405", "406", "408", "409", "413", "415", "429", "500", "501", "503", "504"]
    {
        assert!(query["responses"][status].is_object(), "{status}");
    }
    assert!(query["responses"]["413"]["description"].as_str().unwrap().contains(&MAX_BODY_BYTES.to_string()));
}

#[tokio::test]
async fn the_examples_in_the_description_are_questions() {
    let description: Value = serde_json::from_str(OPENAPI).unwrap();
    let examples = |path: &str, media_type: &str| {
        let content = &description["paths"][path]["post"]["requestBody"]["content"][media_type];
        let examples = content["examples"].as_object().unwrap();
        examples.values().map(|example| example["value"].clone()).collect::<Vec<_>>()
    };
    for example in examples(QUERY, "application/json") {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        QueryBody::read(&headers, QueryString::default(), example.to_string().into()).await.unwrap();
    }
    for example in examples(QUERY, "text/plain") {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
        let sql = example.as_str().unwrap().to_owned();
        QueryBody::read(&headers, QueryString::default(), sql.into()).await.unwrap();
    }
    for example in examples(GATEWAY_QUERY, "application/json") {
        gateway::read(example.to_string().as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_lacks_rows_says_so_in_every_format_and_a_strict_one_is_an_error() {
    use http_body_util::BodyExt;
    let lake = lake(LakeConfig::default()).await.unwrap();
    let id = Uuid::from_u128(1);
    let many: Vec<(i64, i64)> = (0..30_000).map(|i| (i, i)).collect();
    for ticks in [many, vec![(1, 1), (2, -666)]] {
        let block = block(id, Uuid::from_u128(2), &ticks, 1_000);
        insert(lake.connection(), process(id, 1_000), block).await.unwrap();
    }
    let routes =
        router(Arc::new(QueryService::new(lake, QueryLimits::default(), tokio::runtime::Handle::current())));
    let ask = async |sql: &str, format: Format, strict: &str| {
        let body = json!({ "sql": sql }).to_string();
        let headers = [JSON, ("accept", format.media_type()), ("x-strict", strict)];
        let mut request = post(QUERY, &headers, body);
        request.extensions_mut().insert(Caller::anybody());
        let (parts, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
        (parts, body.collect().await)
    };
    for format in Format::ALL {
        let (parts, body) = ask("SELECT count(*) AS n FROM ticks", format, "false").await;
        assert_eq!((parts.status.as_u16(), &parts.headers["x-missing-blocks"]), (200, &"1".parse().unwrap()));
        if format == Format::Ndjson {
            assert_eq!(body.unwrap().to_bytes(), "{\"n\":30000}\n");
        }
        // of a long one it may not be known when it begins
        let (parts, body) = ask("SELECT number FROM ticks", format, "false").await;
        let trailer = body.unwrap().trailers().and_then(|t| t.get("x-missing-blocks")).cloned();
        assert_eq!(
            parts.headers.get("x-missing-blocks").cloned().or(trailer),
            "1".parse().ok(),
            "{format:?}"
        );
        let (parts, body) = ask("SELECT count(*) FROM ticks", format, "true").await;
        assert_eq!(parts.status, 500);
        let error: Value = serde_json::from_slice(&body.unwrap().to_bytes()).unwrap();
        assert_eq!(error["error"]["kind"], "incomplete");
        assert!(error["error"]["message"].as_str().unwrap().contains("block_faults()"), "{error}");
        let (parts, body) = ask("SELECT number FROM ticks", format, "true").await;
        assert!(parts.status == 500 || body.is_err(), "{format:?}: it does not end as if it were whole");
        // nothing is missing from others
        let (parts, body) = ask("SELECT count(*) FROM processes", format, "true").await;
        assert_eq!((parts.status.as_u16(), parts.headers.get("x-missing-blocks")), (200, None));
        assert!(body.unwrap().trailers().is_none());
    }
}
