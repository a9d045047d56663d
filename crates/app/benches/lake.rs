//! Whole jobs, measured: decoding on one core, ingestion into a real server, and its start.
//!
//! `cargo xtask bench --recordings DIR`. Without recordings of the larger kind the repository's own are used, which is
//! too little to be a figure. Limits of the machine stand beside the figures: only ratios mean something.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

#[path = "../tests/it/support.rs"]
mod support;

use belvedere::core::decode::{DecodeLimits, decode_block};
use belvedere::core::lake::BlockRecord;
use belvedere::core::registry::{Assembly, linked_unsorted};
use belvedere::core::transit::{check_frame, decompress};
use belvedere::core::wire;
use bytes::Bytes;
use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Place, Request, Server, recording, replay, testdata, with_fresh_ids};

fn find(name: &str, fallback: &str) -> PathBuf {
    let named = std::env::var("BELVEDERE_RECORDINGS").map(|d| Path::new(&d).join(format!("{name}.jsonl.gz")));
    match named {
        Ok(path) if path.exists() => path,
        _ => {
            println!("({name} is not there: {fallback} is used instead, which is too small for figures)");
            testdata(&format!("recordings/{fallback}.jsonl.gz"))
        }
    }
}

fn main() {
    // `cargo test --benches` only wants to know that we build
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    limits();
    decoding(&find("native-large", "native-old"));
    let medium = recording(&find("native-medium", "native-old"));
    ingestion(&medium, 8);
    ingestion(&medium, 1);
    start();
}

/// The quickest of several runs.
fn best(mut run: impl FnMut()) -> Duration {
    (0..7)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .min()
        .unwrap()
}

fn limits() {
    let from = vec![1_u8; 256 << 20];
    let mut to = vec![0_u8; 256 << 20];
    let copy = best(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    println!("limit: memcpy {:.1} GB/s", 0.268_435_456 / copy.as_secs_f64());
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
    println!("limit: append 16 KiB and sync {:.2?} median, {:.2?} p99", syncs[150], syncs[297]);
}

/// Blocks of a recording with all that is needed to decode them.
fn blocks(path: &Path) -> Vec<(BlockRecord, Bytes)> {
    let requests = recording(path);
    let mut processes = HashMap::new();
    let mut streams = HashMap::new();
    for request in &requests {
        if request.is("insert_process") {
            let process = wire::decode_process(&request.body).unwrap();
            processes.insert(process.process_id, Arc::new(process));
        } else if request.is("insert_stream") {
            let stream = wire::decode_stream(&request.body).unwrap();
            streams.insert(stream.stream_id, Arc::new(stream));
        }
    }
    let blocks = requests.into_iter().filter(|r| r.is("insert_block"));
    blocks
        .map(|request| {
            let block = wire::decode_block(request.body.into()).unwrap();
            let payload = block.body.slice(block.payload.clone());
            let record = BlockRecord {
                seq: 0,
                stream: Arc::clone(&streams[&block.info.stream_id]),
                process: Arc::clone(&processes[&block.info.process_id]),
                info: block.info,
                object_key: String::new(),
                payload_offset: 0,
            };
            (record, payload)
        })
        .collect()
}

fn decoding(path: &Path) {
    let assembly = Assembly::new(linked_unsorted()).unwrap();
    let all = blocks(path);
    let limits = DecodeLimits::default();
    for (set, tag) in [("log_entries", "log"), ("measures", "metrics")] {
        let Some(view_set) = assembly.view_sets().find(|s| s.name == set) else { continue };
        let source = assembly.sources(set)[0];
        let tagged: Vec<_> = all.iter().filter(|(b, _)| b.stream.tags[0] == tag).collect();
        let events: i64 = tagged.iter().map(|(b, _)| i64::from(b.info.nb_objects)).sum();
        let rate = |time: Duration| events as f64 / time.as_secs_f64() / 1e6;
        let lz4 = best(|| {
            for (_, payload) in &tagged {
                let parts = wire::split_payload(payload).unwrap();
                for frame in [&parts.objects, &parts.dependencies] {
                    check_frame(frame, limits.block_bytes, "frame").unwrap();
                    black_box(decompress(frame, limits.block_bytes, "frame").unwrap());
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
                        &source,
                        block,
                        payload.clone(),
                        &projection,
                        schema.clone(),
                        limits,
                    );
                    rows += batch.unwrap().num_rows();
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
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn ingestion(recorded: &[Request], senders: usize) {
    let repeats = if senders == 1 { 4 } else { 10 };
    let requests: Vec<Request> = (0..repeats).flat_map(|_| with_fresh_ids(recorded)).collect();
    let place = Place::new();
    let server = place.serve(&[]);
    // the first file is made, the first connections are warm
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
