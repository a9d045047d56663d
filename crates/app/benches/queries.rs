//! Measures queries over the network: the cost of FlightSQL compared with running the plan alone, and the cost of many queries
//! for ingestion.
//!
//! `cargo xtask bench --recordings DIR`. Rounds are interleaved, and the medians of their ratios are the figures: the
//! machine's speed changes from minute to minute.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

mod common;
#[path = "../tests/it/flight.rs"]
mod flight;
#[path = "../tests/it/sending.rs"]
mod sending;
#[path = "../tests/it/support.rs"]
mod support;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use belvedere::core::Lake;
use belvedere::core::query::AnswerTypes;
use belvedere_flight_sql::client::ClientOptions;
use belvedere_model::time::TimeRange;
use common::{feed, find};
use flight::{Client, serve};
use futures::TryStreamExt;
use sending::{Stop, p99, send_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Place, Request, Server, recording, replay, testdata, with_fresh_ids};

/// Rows that are asked for.
const ROWS: i64 = 10_000_000;
const ROUNDS: usize = 5;
const QUERIES: usize = 64;
const SENDERS: usize = 8;
/// How long each round of sending takes.
const ROUND: Duration = Duration::from_secs(10);

fn main() {
    // `cargo test --benches` only checks that this builds
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(transport());
    ingestion(&runtime);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The first number of an answer.
async fn number(lake: &Lake, sql: &str) -> i64 {
    lake.sql(sql).await.unwrap()[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// A lake with so many messages, in partitions.
async fn messages(directory: &std::path::Path) -> Lake {
    let recorded = recording(&find("native-large", "native-old"));
    let lake = Lake::open(directory).await.unwrap();
    feed(&lake, &recorded).await;
    let once = number(&lake, "SELECT count(*) FROM log_entries").await;
    for _ in 1..(ROWS as u64).div_ceil(once as u64) {
        feed(&lake, &with_fresh_ids(&recorded)).await;
    }
    let range = "'2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z', 3155760000";
    lake.sql(&format!("SELECT * FROM materialize_partitions('log_entries', {range})")).await.unwrap();
    lake
}

/// The same plan, run here and its rows dropped, and asked for over FlightSQL.
async fn transport() {
    let directory = tempfile::tempdir().unwrap();
    let lake = messages(directory.path()).await;
    let address = format!("grpc://{}", serve(&lake).await);
    let client =
        belvedere_flight_sql::client::Client::connect(&address, &ClientOptions::default()).await.unwrap();
    for columns in
        ["time, level, target, msg", "process_id, stream_id, time, exe, level, target, msg, properties"]
    {
        let sql = format!("SELECT {columns} FROM log_entries LIMIT {ROWS}");
        let (mut here, mut away, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // the first round warms caches
        for round in 0..=ROUNDS {
            let began = Instant::now();
            let mut rows = 0;
            let mut answer = lake.query(&sql, TimeRange::ALL).await.unwrap().rows;
            while let Some(batch) = answer.try_next().await.unwrap() {
                rows += batch.num_rows();
            }
            let in_process = rows as f64 / began.elapsed().as_secs_f64();

            let began = Instant::now();
            let (mut asked, mut bytes) = (0, 0);
            let mut answer = client.query(&sql, TimeRange::ALL, AnswerTypes::Documented).await.unwrap().rows;
            while let Some(batch) = answer.try_next().await.unwrap() {
                asked += batch.num_rows();
                bytes += batch.get_array_memory_size();
            }
            let over_flight = asked as f64 / began.elapsed().as_secs_f64();
            assert_eq!(rows, asked);
            if round > 0 {
                here.push(in_process);
                away.push(over_flight);
                ratios.push(over_flight / in_process);
            } else {
                println!("{columns}: {rows} rows, {} MB", bytes >> 20);
            }
        }
        println!(
            "{columns}: {:.2} million rows/s in process, {:.2} over FlightSQL, {:.2} of it (median of {ROUNDS})",
            median(here) / 1e6,
            median(away) / 1e6,
            median(ratios)
        );
    }
    lake.close().await;
}

/// One round of several senders: how long each request waited, the quickest first.
fn send_a_round(server: &Server, recorded: &[Request]) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..SENDERS).map(|_| scope.spawn(|| send_until(server, recorded, &stop, usize::MAX))).collect();
        let stopping = Stop(&stop);
        // a spurious wake-up must not end the round
        let began = Instant::now();
        while let Some(rest) = ROUND.checked_sub(began.elapsed()).filter(|rest| !rest.is_zero()) {
            std::thread::park_timeout(rest);
        }
        drop(stopping);
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    latencies.sort();
    latencies
}

/// What senders wait, with and without queries that go on all the time, one of which wants more than it may.
fn ingestion(runtime: &tokio::runtime::Runtime) {
    let place = Place::new();
    let server = place.serve(&["--query-memory", "64", "--max-queries", "64"]);
    let asked_about = recording(&find("native-medium", "native-old"));
    replay(&server, &asked_about);
    let recorded = recording(&testdata("recordings/net-small.jsonl.gz"));
    let exe = "exe <> '/srv/arena/ArenaServer'";
    let modest = [
        format!("SELECT level, count(*) FROM log_entries WHERE {exe} GROUP BY level"),
        format!("SELECT name, count(*), sum(value) FROM measures WHERE {exe} GROUP BY name"),
        format!("SELECT time, msg FROM log_entries WHERE {exe} AND level <= 3 ORDER BY time DESC LIMIT 100"),
    ];
    let hungry = format!(
        "SELECT CAST(sum(n) AS BIGINT) FROM (SELECT row_number() OVER (ORDER BY text) AS n FROM \
         (SELECT a.msg || b.msg || a.msg || b.msg AS text FROM (SELECT msg FROM log_entries WHERE {exe} LIMIT 10000) a \
          CROSS JOIN (SELECT msg FROM log_entries WHERE {exe} LIMIT 200) b))"
    );
    let address = server.flight_sql.clone();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let alone = send_a_round(&server, &recorded);
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let queries: Vec<_> = (0..QUERIES)
            .map(|i| {
                let sql = if i == 0 { hungry.clone() } else { modest[i % modest.len()].clone() };
                let (address, stop, answered) = (address.clone(), stop.clone(), answered.clone());
                runtime.spawn(async move {
                    let mut client = Client::connect(&address).await;
                    while !stop.load(Ordering::Relaxed) {
                        match client.ask(&sql).await {
                            Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Err(refusal) if i == 0 => assert!(
                                refusal.code == Some(tonic::Code::ResourceExhausted),
                                "the hungry query: {refusal}"
                            ),
                            Err(refusal) => panic!("{sql}: {refusal}"),
                        }
                    }
                })
            })
            .collect();
        let beside = send_a_round(&server, &recorded);
        stop.store(true, Ordering::Relaxed);
        for query in queries {
            runtime.block_on(query).unwrap();
        }
        let ratio = p99(&beside).as_secs_f64() / p99(&alone).as_secs_f64();
        println!(
            "ingest, {SENDERS} senders: p50 {:.2?}, p99 {:.2?} alone ({} requests); p50 {:.2?}, p99 {:.2?} beside {QUERIES} \
             queries ({} requests, {} answers): {ratio:.2} times",
            alone[alone.len() / 2],
            p99(&alone),
            alone.len(),
            beside[beside.len() / 2],
            p99(&beside),
            beside.len(),
            answered.load(Ordering::Relaxed)
        );
        ratios.push(ratio);
    }
    println!(
        "ingest, p99 beside {QUERIES} queries: {:.2} times that alone (median of {ROUNDS})",
        median(ratios)
    );
    server.stop();
}
