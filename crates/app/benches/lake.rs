//! Measures whole jobs: decoding and materializing on one core, queries, ingestion into a real server, and its start.
//!
//! `cargo xtask bench --recordings DIR`. Without recordings of the larger kind the repository's own are used, which are
//! too small for meaningful figures. Only ratios to the reference figures, which are printed too, mean something.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

mod common;
#[path = "../tests/it/support.rs"]
mod support;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use belvedere::core::Lake;
use belvedere::core::assembly::Assembly;
use belvedere::core::query::ScanPlan;
use belvedere_model::time::TimeRange;
use belvedere_model::transit::{check_frame, decompress};
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{ProcessInfo, StreamInfo};
use belvedere_view::decoder::{DecodeOptions, decode_block};
use belvedere_view::{Decoder, linked_unsorted};
use common::{best, blocks, cpu_of, feed, find};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Place, Request, Server, recording, replay, testdata, with_fresh_ids};

fn main() {
    // `cargo test --benches` only checks that this builds
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // a part alone, to measure it again and again
    match std::env::args().nth(1).as_deref() {
        Some("fairness") => return fairness(),
        Some("start") => return start(),
        Some("flood") => {
            let arguments: Vec<String> = std::env::args().skip(2).collect();
            return flood(&arguments[0], &arguments[1]);
        }
        _ => {}
    }
    limits();
    let large = find("native-large", "native-old");
    decoding(&large);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(partitions(&large));
    runtime.block_on(pruning());
    let medium = recording(&find("native-medium", "native-old"));
    ingestion(&medium, 8);
    ingestion(&medium, 1);
    fairness();
    start();
}

fn limits() {
    let from = vec![1_u8; 256 << 20];
    let mut to = vec![0_u8; 256 << 20];
    let copy = best(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    println!("reference figure: memcpy {:.1} GB/s", 0.268_435_456 / copy.as_secs_f64());
    let directory = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(directory.path().join("file")).unwrap();
    let mut syncs: Vec<Duration> = (0..300)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 16 << 10]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    syncs.sort();
    println!("reference figure: append 16 KiB and sync {:.2?} median, {:.2?} p99", syncs[150], syncs[297]);
}

fn decoding(path: &Path) {
    let assembly = Assembly::new(linked_unsorted()).unwrap();
    let all = blocks(path);
    let options = DecodeOptions::new(assembly.layouts());
    for (set, tag) in [("log_entries", "log"), ("measures", "metrics")] {
        let Some(view_set) = assembly.view_sets().find(|s| s.name == set) else { continue };
        let Decoder::Block(decoder) = assembly.sources(set)[0].decoder else { continue };
        let tagged: Vec<_> = all.iter().filter(|(b, _)| b.stream.tags[0] == tag).collect();
        let events: i64 = tagged.iter().map(|(b, _)| i64::from(b.info.nb_objects)).sum();
        let rate = |time: Duration| events as f64 / time.as_secs_f64() / 1e6;
        let lz4 = best(|| {
            for (_, payload) in &tagged {
                let parts = PayloadParts::split(payload).unwrap();
                for frame in [&parts.objects, &parts.dependencies] {
                    check_frame(frame, options.block_bytes(), "frame").unwrap();
                    black_box(decompress(frame, options.block_bytes(), "frame").unwrap());
                }
            }
        });
        let projections: [(&str, Vec<usize>); 2] =
            [("all columns", (0..view_set.columns.len()).collect()), ("count(*)", vec![])];
        for (what, projection) in projections {
            let schema = Arc::new(view_set.engine_schema().project(&projection).unwrap());
            let time = best(|| {
                let mut rows = 0;
                for (block, payload) in &tagged {
                    let batch = decode_block(
                        view_set,
                        decoder,
                        block,
                        payload.clone(),
                        &projection,
                        schema.clone(),
                        &options,
                    );
                    rows += batch.unwrap().rows().num_rows();
                }
                assert_eq!(rows as i64, events);
            });
            println!(
                "decode {set}, {what}: {:.1} million events/s on one core (lz4 alone {:.1})",
                rate(time),
                rate(lz4)
            );
        }
    }
}

/// User and system time that the server took so far.
fn cpu(server: &Server) -> Duration {
    cpu_of(&server.id().to_string())
}

/// Median of the times that a query takes, and what it read.
async fn time_query(lake: &Lake, sql: &str) -> (Duration, ScanPlan) {
    let mut times = Vec::new();
    let mut scan = None;
    for _ in 0..15 {
        let began = Instant::now();
        let result = lake.query(sql, TimeRange::ALL).await.unwrap();
        let report = result.report.clone();
        let rows: Vec<_> = result.rows.try_collect().await.unwrap();
        black_box(rows);
        times.push(began.elapsed());
        scan = report.scans().first().cloned();
    }
    times.sort();
    (times[7], scan.unwrap())
}

/// What partitions cost in time and space, and what they save.
async fn partitions(path: &Path) {
    let all = blocks(path);
    let requests = recording(path);
    let process =
        ProcessInfo::decode(&requests.iter().find(|r| r.is("insert_process")).unwrap().body).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(directory.path()).await.unwrap();
    feed(&lake, &requests).await;
    let assembly = Assembly::new(linked_unsorted()).unwrap();
    let range = "'2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z'";
    let id = process.process_id;
    for (set, tag, aggregates) in [
        ("log_entries", "log", ["level, count(*), max(time)", "target, count(*), max(time)"]),
        ("measures", "metrics", ["count(*), avg(value), max(time)", "name, count(*), max(value)"]),
    ] {
        let Some(view_set) = assembly.view_sets().find(|s| s.name == set) else { continue };
        let Decoder::Block(decoder) = assembly.sources(set)[0].decoder else { continue };
        let schema = view_set.engine_schema();
        let projection: Vec<usize> = (0..view_set.columns.len()).collect();
        let tagged: Vec<_> = all.iter().filter(|(b, _)| b.stream.tags[0] == tag).collect();
        let options = DecodeOptions::new(assembly.layouts());
        let batches: Vec<RecordBatch> = tagged
            .iter()
            .map(|(b, payload)| {
                decode_block(view_set, decoder, b, payload.clone(), &projection, schema.clone(), &options)
                    .unwrap()
                    .into_rows()
            })
            .collect();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let mut plain_bytes = 0;
        let plain = best(|| {
            let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
            let properties = WriterProperties::builder().set_compression(zstd).build();
            let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).unwrap();
            batches.iter().for_each(|b| writer.write(b).unwrap());
            plain_bytes = writer.into_inner().unwrap().len();
        });
        drop(batches);
        let million = |time: Duration| rows as f64 / time.as_secs_f64() / 1e6;

        let sql = |aggregate: &str, from: &str| {
            if aggregate.starts_with("count") {
                format!("SELECT {aggregate} FROM {from}")
            } else {
                format!("SELECT {aggregate} FROM {from} GROUP BY 1")
            }
        };
        let one = format!("view_instance('{set}', '{id}')");
        let mut live = Vec::new();
        for aggregate in aggregates {
            let (time, scan) = time_query(&lake, &sql(aggregate, set)).await;
            assert_eq!(scan.partitions, 0);
            live.push(time);
        }
        let make = format!("SELECT * FROM materialize_partitions('{set}', {range}, 3155760000)");
        let retire = format!("SELECT * FROM retire_partitions('{set}', 'global', {range})");
        let mut cpu = Duration::MAX;
        for _ in 0..5 {
            lake.sql(&retire).await.unwrap();
            let before = cpu_of("self");
            lake.sql(&make).await.unwrap();
            cpu = cpu.min(cpu_of("self") - before);
        }
        let sizes = format!(
            "SELECT CAST(sum(file_size) AS BIGINT) FROM list_partitions() WHERE view_set_name = '{set}'"
        );
        let size = lake.sql(&sizes).await.unwrap()[0].column(0).as_primitive::<Int64Type>().value(0);
        println!(
            "materialize {set}: {:.2} million rows/s of CPU, {:.2} of plain Parquet encoding ({:.2} times); \
             {:.2} bytes a row, {:.2} plain",
            million(cpu),
            million(plain),
            cpu.as_secs_f64() / plain.as_secs_f64(),
            size as f64 / rows as f64,
            plain_bytes as f64 / rows as f64
        );
        // queries are recorded in the background
        lake.build_requested(&|_| ()).await;
        lake.sql(&sql(aggregates[0], &one)).await.unwrap();
        lake.build_requested(&|_| ()).await;
        for (aggregate, live) in aggregates.into_iter().zip(live) {
            let (warm, scan) = time_query(&lake, &sql(aggregate, set)).await;
            assert_eq!(scan.blocks, 0);
            let (of_one, scan) = time_query(&lake, &sql(aggregate, &one)).await;
            println!(
                "{}: {:.1} ms warm, {:.1} ms live ({:.1} times); of one process {:.1} ms ({} blocks decoded)",
                sql(aggregate, set),
                warm.as_secs_f64() * 1e3,
                live.as_secs_f64() * 1e3,
                live.as_secs_f64() / warm.as_secs_f64(),
                of_one.as_secs_f64() * 1e3,
                scan.blocks
            );
        }
    }
    let (nothing, _) = time_query(&lake, "SELECT count(*) FROM log_entries").await;
    println!("SELECT count(*), from the catalog: {:.1} ms", nothing.as_secs_f64() * 1e3);
    lake.close().await;
}

/// One process and one minute out of a lake of a thousand partitions.
async fn pruning() {
    let recorded = recording(&testdata("recordings/native-old.jsonl.gz"));
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(directory.path()).await.unwrap();
    let range = "'2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z'";
    let logs: Vec<Request> = {
        // logs only: a partition for each repetition
        let is_log = |r: &Request| StreamInfo::decode(&r.body).is_ok_and(|s| s.tags == ["log"]);
        let streams: Vec<_> =
            recorded.iter().filter(|r| r.is("insert_stream") && is_log(r)).cloned().collect();
        let ids: Vec<_> = streams.iter().map(|r| StreamInfo::decode(&r.body).unwrap().stream_id).collect();
        let blocks = recorded.iter().filter(|r| {
            r.is("insert_block")
                && ids.contains(&BlockRequest::decode(r.body.clone().into()).unwrap().info.stream_id)
        });
        let processes = recorded.iter().filter(|r| r.is("insert_process"));
        processes.cloned().chain(streams).chain(blocks.cloned()).collect()
    };
    let mut last = None;
    for _ in 0..1000 {
        let fresh = with_fresh_ids(&logs);
        last = fresh.first().map(|r| ProcessInfo::decode(&r.body).unwrap());
        feed(&lake, &fresh).await;
        lake.sql(&format!("SELECT * FROM materialize_partitions('log_entries', {range}, 3155760000)"))
            .await
            .unwrap();
    }
    let process = last.unwrap();
    let total = "SELECT CAST(sum(file_size) AS BIGINT), count(*) FROM list_partitions()";
    let total = &lake.sql(total).await.unwrap()[0];
    let value = |i: usize| total.column(i).as_primitive::<Int64Type>().value(0);
    let read = || {
        let text = lake.connection().metrics().to_text();
        let line =
            text.lines().find(|l| l.starts_with("belvedere_partition_bytes_read_total")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let before = read();
    let began = Instant::now();
    let start = process.start_time;
    let range = TimeRange { begin: Some(start), end: Some(start + 60 * 1_000_000_000) };
    let sql = format!(
        "SELECT count(*) FROM log_entries WHERE process_id = '{}' AND level <= 3",
        process.process_id
    );
    let rows: Vec<_> = lake.query(&sql, range).await.unwrap().rows.try_collect().await.unwrap();
    println!(
        "one process, one minute, of {} partitions: {} rows in {:.1} ms, {:.3} % of the bytes read",
        value(1),
        rows[0].column(0).as_primitive::<Int64Type>().value(0),
        began.elapsed().as_secs_f64() * 1e3,
        (read() - before) / value(0) as f64 * 100.0
    );
    lake.close().await;
}

fn ingestion(recorded: &[Request], senders: usize) {
    let repeats = if senders == 1 { 4 } else { 10 };
    let requests: Vec<Request> = (0..repeats).flat_map(|_| with_fresh_ids(recorded)).collect();
    let place = Place::new();
    let server = place.serve(&[]);
    // warm up: the first file, the first connections
    replay(&server, &with_fresh_ids(&recording(&testdata("recordings/native-small.jsonl.gz"))));
    let before = cpu(&server);
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let send = || {
            let mut connection = server.connect();
            let mut latencies = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                assert_eq!(connection.post(&request.path, &request.body).0, 200);
                latencies.push(began.elapsed());
            }
            latencies
        };
        let threads: Vec<_> = (0..senders).map(|_| scope.spawn(send)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let elapsed = began.elapsed();
    latencies.sort();
    let count = requests.len();
    let bytes: usize = requests.iter().map(|r| r.body.len()).sum();
    println!(
        "ingest, {senders} senders: {:.0} requests/s, {:.0} MB/s, p50 {:.2?}, p99 {:.2?}, server CPU {:.3} ms a request",
        count as f64 / elapsed.as_secs_f64(),
        bytes as f64 / elapsed.as_secs_f64() / 1e6,
        latencies[count / 2],
        latencies[count * 99 / 100],
        (cpu(&server) - before).as_secs_f64() * 1e3 / count as f64,
    );
}

/// How long a sender of few small requests waits for its answers: alone, and while another sends all that it can.
///
/// The other is a process of lower priority: in earnest it runs on a machine of its own.
fn fairness() {
    let quiet: Vec<Request> = recording(&testdata("recordings/native-small.jsonl.gz"));
    let place = Place::new();
    let server = place.serve(&[]);
    replay(&server, &with_fresh_ids(&quiet));
    let alone = waits_of_a_quiet_sender(&server, &quiet);
    println!("a quiet sender, alone: p50 {:.2?}, p99 {:.2?}", alone.0, alone.1);
    for size in ["small", "large"] {
        let mut flood = std::process::Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe().unwrap())
            .args(["flood", size, server.url().trim_start_matches("http://")])
            .spawn()
            .unwrap();
        // not before it floods
        let received = || -> f64 {
            let (_, text) = server.connect().get("/metrics");
            let bytes = text.lines().find_map(|line| line.strip_prefix("belvedere_request_bytes_total "));
            bytes.unwrap().parse().unwrap()
        };
        let before = received();
        while received() < before + 20e6 {}
        let (before, began) = (received(), Instant::now());
        let (p50, p99) = waits_of_a_quiet_sender(&server, &quiet);
        let rate = (received() - before) / began.elapsed().as_secs_f64() / 1e6;
        flood.kill().unwrap();
        flood.wait().unwrap();
        println!(
            "a quiet sender, beside a flood of {size} requests ({rate:.0} MB/s): p50 {p50:.2?} ({:.1} times), p99 {p99:.2?} ({:.1} times)",
            p50.as_secs_f64() / alone.0.as_secs_f64(),
            p99.as_secs_f64() / alone.1.as_secs_f64()
        );
    }
}

/// Sends all that it can from 32 connections, until it is killed.
fn flood(size: &str, address: &str) {
    let requests = match size {
        "small" => recording(&testdata("recordings/native-small.jsonl.gz")),
        _ => recording(&find("native-large", "native-old")),
    };
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut connection = Server::connect_to(address);
                loop {
                    for request in with_fresh_ids(&requests) {
                        connection.post(&request.path, &request.body);
                    }
                }
            });
        }
    });
}

/// Sends a request each 10 ms; the median and the 99th percentile of how long the answers take.
#[expect(clippy::disallowed_methods, reason = "the pace of the sender is part of what is measured")]
fn waits_of_a_quiet_sender(server: &Server, requests: &[Request]) -> (Duration, Duration) {
    let mut connection = server.connect();
    let mut waits = Vec::new();
    while waits.len() < 600 {
        for request in with_fresh_ids(requests) {
            let began = Instant::now();
            assert_eq!(connection.post(&request.path, &request.body).0, 200);
            let wait = began.elapsed();
            waits.push(wait);
            std::thread::sleep(Duration::from_millis(10).saturating_sub(wait));
        }
    }
    waits.sort();
    (waits[waits.len() / 2], waits[waits.len() * 99 / 100])
}

/// Start on a lake of 10,000 blocks.
fn start() {
    let recorded = recording(&testdata("recordings/native-small.jsonl.gz"));
    let place = Place::new();
    let server = place.serve(&[]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..105 {
                    replay(&server, &with_fresh_ids(&recorded));
                }
            });
        }
    });
    for (how, stop) in [("after a stop", true), ("after kill -9", false)] {
        let server = place.serve(&[]);
        replay(&server, &with_fresh_ids(&recorded));
        if stop {
            server.stop()
        } else {
            server.kill()
        }
        let began = Instant::now();
        let server = place.serve(&[]);
        while server.connect().get("/ready").0 != 200 {}
        println!(
            "start on {} blocks {how}: ready in {:.0?}, {} MB resident",
            place.number("SELECT count(*) FROM blocks"),
            began.elapsed(),
            server.resident() >> 20
        );
    }
}
