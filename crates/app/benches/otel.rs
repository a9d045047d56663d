//! Measures OpenTelemetry: requests until they are durable, decoding of spans, logs and metrics on one core, and the size of
//! spans in Parquet compared with the wire.
//!
//! `cargo xtask bench --recordings DIR`. Only ratios to the reference figures, which are printed too, mean
//! something.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

mod common;
#[path = "../tests/it/support.rs"]
mod support;

use arrow::datatypes::SchemaRef;
use belvedere::core::Lake;
use belvedere::core::assembly::Assembly;
use belvedere::core::lake::Retention;
use belvedere_lake::BlockFilter;
use belvedere_lake::Routes;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::body::Body;
use belvedere_lake::axum::http;
use belvedere_lake::ingest::{IngestLimits, IngestionService};
use belvedere_model::BlockRecord;
use belvedere_model::transit::decompress;
use belvedere_model::wire::PayloadParts;
use belvedere_view::decoder::{DecodeOptions, decode_block};
use belvedere_view::{Decoder, linked_unsorted};
use bytes::Bytes;
use common::{best, cpu_of, find};
use flate2::read::GzDecoder;
use futures::StreamExt;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Request, recording};
use tower::ServiceExt;

fn main() {
    // `cargo test --benches` only checks that this builds
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let requests = recording(&find("otlp-medium", "otlp-small"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let is_protobuf = |r: &&Request| r.headers.iter().any(|(_, v)| v == "application/x-protobuf");
    let logs: Vec<Request> =
        requests.iter().filter(|r| r.is("logs")).filter(is_protobuf).map(expanded).collect();
    runtime.block_on(accepting(&logs));
    let (blocks, directory) = runtime.block_on(stored(&requests));
    decoding(&blocks);
    runtime.block_on(keeping(directory.path()));
}

/// The same request without compression.
fn expanded(request: &Request) -> Request {
    let mut request = request.clone();
    let count = request.headers.len();
    request.headers.retain(|(name, _)| name != "content-encoding");
    if request.headers.len() < count {
        let mut body = Vec::new();
        GzDecoder::new(&request.body[..]).read_to_end(&mut body).unwrap();
        request.body = body;
    }
    request
}

async fn lake(directory: &std::path::Path) -> (Lake, Router) {
    let lake = Lake::open(directory).await.unwrap();
    let service = Arc::new(IngestionService::new(lake.connection().clone(), IngestLimits::default()));
    let assembly = lake.assembly();
    let mut routes = assembly.extensions::<Routes<IngestionService>>();
    let (routes, _) = routes.find(|(routes, _)| routes.listener_names().contains(&"otlp-http")).unwrap();
    (lake, routes.router(service))
}

/// Sends requests to the routes, `at_once` at a time.
async fn send(routes: &Router, requests: &[Request], at_once: usize) {
    futures::stream::iter(requests)
        .map(|request| {
            let mut sent = http::Request::post(&request.path);
            for (name, value) in &request.headers {
                sent = sent.header(name, value);
            }
            let sent = sent.body(Body::from(request.body.clone())).unwrap();
            let routes = routes.clone();
            tokio::spawn(async move { assert_eq!(routes.oneshot(sent).await.unwrap().status(), 200) })
        })
        .buffer_unordered(at_once)
        .for_each(async |sent| sent.unwrap())
        .await;
}

async fn accepting(logs: &[Request]) {
    let mut least = (Duration::MAX, Duration::MAX);
    let mut records = 0;
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let (lake, routes) = lake(directory.path()).await;
        let (began, cpu) = (Instant::now(), cpu_of("self"));
        send(&routes, logs, 16).await;
        least = least.min((cpu_of("self") - cpu, began.elapsed()));
        let blocks = lake.connection().catalog().blocks(&BlockFilter::default(), 0, 1 << 20).await.unwrap();
        records = blocks.iter().map(|b| i64::from(b.info.nb_objects)).sum();
        lake.close().await;
    }
    let bytes: usize = logs.iter().map(|r| r.body.len()).sum();
    let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    let copy = best(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    println!(
        "accept {records} log records in {} requests, {bytes} bytes of protobuf: {:.0} records/s of CPU, {:.0} records/s \
         of time (memcpy of the bytes {:.0} records/s)",
        logs.len(),
        records as f64 / least.0.as_secs_f64(),
        records as f64 / least.1.as_secs_f64(),
        records as f64 / copy.as_secs_f64(),
    );
}

/// A lake with all requests, and its blocks.
async fn stored(requests: &[Request]) -> (Vec<(BlockRecord, Bytes)>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (lake, routes) = lake(directory.path()).await;
    send(&routes, requests, 16).await;
    let connection = lake.connection();
    let mut blocks = Vec::new();
    for block in connection.catalog().blocks(&BlockFilter::default(), 0, 1 << 20).await.unwrap() {
        let payload = connection.payload(&block).await.unwrap();
        blocks.push((block, payload));
    }
    lake.close().await;
    (blocks, directory)
}

fn decoding(blocks: &[(BlockRecord, Bytes)]) {
    let assembly = Assembly::new(linked_unsorted()).unwrap();
    let options = DecodeOptions::default();
    for (set, tag) in [("otel_spans", "trace"), ("log_entries", "log"), ("otel_metrics", "metrics")] {
        let view_set = assembly.view_sets().find(|s| s.name == set).unwrap();
        let format = format!("otlp/v1/{}", if tag == "metrics" { tag.to_owned() } else { format!("{tag}s") });
        let source = assembly.sources(set).into_iter().find(|s| s.format == format).unwrap();
        let Decoder::Block(decoder) = source.decoder else { panic!("{set} is decoded by block") };
        let schema = view_set.engine_schema();
        let is_json = |payload: &Bytes| {
            let objects =
                decompress(&PayloadParts::split(payload).unwrap().objects, 1 << 30, "objects").unwrap();
            objects.starts_with(b"{")
        };
        for (form, wants_json) in [("protobuf", false), ("JSON", true)] {
            let blocks: Vec<_> =
                blocks.iter().filter(|(b, p)| b.stream.tags[0] == tag && is_json(p) == wants_json).collect();
            let all: Vec<usize> = (0..schema.fields().len()).collect();
            for (what, projection) in [("all columns", all), ("count(*)", Vec::new())] {
                let projected = SchemaRef::new(schema.project(&projection).unwrap());
                let mut rows = 0;
                let time = best(|| {
                    rows = 0;
                    for (block, payload) in &blocks {
                        let decoded = decode_block(
                            view_set,
                            decoder,
                            block,
                            payload.clone(),
                            &projection,
                            projected.clone(),
                            &options,
                        );
                        rows += black_box(decoded.unwrap()).rows().num_rows();
                    }
                });
                let bytes: usize = blocks.iter().map(|(_, payload)| payload.len()).sum();
                println!(
                    "decode {set} from {form}, {what}: {rows} rows, {:.2} million/s on one core ({bytes} bytes stored)",
                    rows as f64 / time.as_secs_f64() / 1e6
                );
            }
        }
    }
}

/// Bytes of a span in partitions compared with the wire.
async fn keeping(directory: &std::path::Path) {
    let lake = Lake::open(directory).await.unwrap();
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    let sql = "SELECT view_set_name, sum(num_rows) AS rows, sum(file_size) AS bytes, \
                      CAST(sum(file_size) AS DOUBLE) / sum(num_rows) AS bytes_a_row \
               FROM list_partitions() WHERE num_rows > 0 GROUP BY view_set_name ORDER BY view_set_name";
    let rows = lake.sql(sql).await.unwrap();
    println!("{}", arrow::util::pretty::pretty_format_batches(&rows).unwrap());
    let sql = "SELECT \"streams.format\" AS format, sum(nb_objects) AS records, sum(payload_size) AS stored_bytes \
               FROM blocks GROUP BY 1 ORDER BY 1";
    let rows = lake.sql(sql).await.unwrap();
    println!("{}", arrow::util::pretty::pretty_format_batches(&rows).unwrap());
    let sql = "SELECT trace_id, count(*) FROM otel_spans GROUP BY trace_id ORDER BY 2 DESC, 1 LIMIT 1";
    let trace = lake.sql(sql).await.unwrap();
    let id = trace[0].column(0).to_data();
    let id: String = id.buffers()[0].as_slice()[..16].iter().map(|b| format!("{b:02x}")).collect();
    let sql = format!("SELECT count(*) FROM otel_spans WHERE trace_id = X'{id}'");
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        lake.sql(&sql).await.unwrap();
        times.push(began.elapsed());
    }
    println!("one trace of many: {:?} (first query {:?})", times.iter().min().unwrap(), times[0]);
}
