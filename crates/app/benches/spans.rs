//! Measures spans: decoding on one core, queries of one thread live, materialized and warm, and a thread with fifty
//! million spans in little memory.
//!
//! `cargo xtask bench --recordings DIR`. Only ratios to the reference figures, which are printed too, mean
//! something.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

mod common;
#[path = "../tests/it/support.rs"]
mod support;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use belvedere::core::Lake;
use belvedere::core::assembly::Assembly;
use belvedere_model::BlockRecord;
use belvedere_model::transit::{BlockWriter, check_frame, decompress};
use belvedere_model::wire;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{BlockInfo, ProcessInfo, StreamParts, TRANSIT_FORMAT};
use belvedere_view::decoder::{DecodeOptions, Decoded, StreamDecoder, StreamTarget};
use belvedere_view::linked_unsorted;
use bytes::Bytes;
use common::{best, blocks, cpu_of, feed, find};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{BELVEDERE, recording};
use uuid::Uuid;

type Stream = Vec<(BlockRecord, Bytes)>;

fn main() {
    // `cargo test --benches` only checks that this builds
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let large = find("native-large", "native-old");
    let streams = streams(&large);
    let (_, largest) = streams.iter().max_by_key(|(_, blocks)| events(blocks)).unwrap();
    decoding(&streams, largest);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(queries(&large, largest));
    runtime.block_on(memory());
}

/// Blocks of threads in the order of their events.
fn streams(path: &Path) -> BTreeMap<Uuid, Stream> {
    let mut streams: BTreeMap<Uuid, Stream> = BTreeMap::new();
    for (block, payload) in blocks(path) {
        if block.stream.tags[0] == "cpu" {
            streams.entry(block.stream.stream_id).or_default().push((block, payload));
        }
    }
    streams.values_mut().for_each(|blocks| blocks.sort_by_key(|(b, _)| b.info.object_offset));
    streams
}

fn events(blocks: &Stream) -> i64 {
    blocks.iter().map(|(b, _)| i64::from(b.info.nb_objects)).sum()
}

fn target(columns: Option<&[&str]>) -> StreamTarget {
    let assembly = Assembly::new(linked_unsorted()).unwrap();
    let view_set = assembly.view_sets().find(|s| s.name == "thread_spans").unwrap();
    let schema = view_set.engine_schema();
    let projection: Vec<usize> = match columns {
        Some(names) => names.iter().map(|n| schema.index_of(n).unwrap()).collect(),
        None => (0..schema.fields().len()).collect(),
    };
    StreamTarget::new(
        view_set,
        assembly.sources("thread_spans").into(),
        projection.clone(),
        SchemaRef::new(schema.project(&projection).unwrap()),
        DecodeOptions::default(),
    )
}

fn decode(target: &StreamTarget, blocks: &Stream) -> Vec<RecordBatch> {
    let (first, _) = &blocks[0];
    let walk = StreamDecoder::new(target.clone(), first.process.clone(), first.stream.clone(), None);
    let mut walk = walk.unwrap().unwrap();
    let mut rows = Vec::with_capacity(blocks.len());
    for (block, payload) in blocks {
        let (decoded, error) = walk.step(block, Ok(payload.clone()));
        assert_eq!(error, None);
        rows.extend(decoded.into_iter().map(Decoded::into_rows));
    }
    rows
}

fn decoding(streams: &BTreeMap<Uuid, Stream>, largest: &Stream) {
    let limit = DecodeOptions::default().block_bytes();
    let all: Vec<&Stream> = streams.values().collect();
    let count: i64 = all.iter().map(|blocks| events(blocks)).sum();
    let rate = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
    let mut bytes = 0;
    let lz4 = best(|| {
        bytes = 0;
        for (_, payload) in all.iter().copied().flatten() {
            let parts = PayloadParts::split(payload).unwrap();
            for frame in [&parts.objects, &parts.dependencies] {
                check_frame(frame, limit, "frame").unwrap();
                bytes += black_box(decompress(frame, limit, "frame").unwrap()).len();
            }
        }
    });
    let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    let copy = best(|| black_box(&mut to).copy_from_slice(black_box(&from)));
    for (what, columns) in [
        ("all columns", None),
        ("duration and depth", Some(["duration", "depth"].as_slice())),
        ("count(*)", Some(&[])),
    ] {
        let target = target(columns);
        let time = best(|| all.iter().for_each(|blocks| drop(black_box(decode(&target, blocks)))));
        println!(
            "decode thread_spans, {what}: {:.1} million events/s on one core (lz4 alone {:.1}, memcpy of its bytes {:.0})",
            rate(time),
            rate(lz4),
            rate(copy)
        );
    }
    let batches = decode(&target(None), largest);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut size = 0;
    let plain = best(|| {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).unwrap();
        batches.iter().for_each(|b| writer.write(b).unwrap());
        size = writer.into_inner().unwrap().len();
    });
    println!(
        "reference figure: the {rows} spans of one thread through the Parquet library's writer {:.3} s, \
         {:.2} bytes a span",
        plain.as_secs_f64(),
        size as f64 / rows as f64
    );
}

/// CPU of a job, all threads together: of several runs, the least.
async fn least_cpu<F: Future>(times: usize, repeat: u32, job: impl Fn() -> F) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..times {
        let before = cpu_of("self");
        for _ in 0..repeat {
            job().await;
        }
        least = least.min((cpu_of("self") - before) / repeat);
    }
    least
}

async fn queries(path: &Path, largest: &Stream) {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(directory.path()).await.unwrap();
    feed(&lake, &recording(path)).await;
    let id = largest[0].0.stream.stream_id;
    let sql =
        format!("SELECT count(*), sum(duration), max(depth) FROM view_instance('thread_spans', '{id}')");
    let range = "'2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z'";
    let retire = format!("SELECT * FROM retire_partitions('thread_spans', '{id}', {range})");
    let ask = || async { black_box(lake.sql(&sql).await.unwrap()) };
    let live_rows = ask().await;
    let live = least_cpu(5, 5, ask).await;
    let mut materialize = Duration::MAX;
    for _ in 0..5 {
        lake.sql(&retire).await.unwrap();
        ask().await;
        let before = cpu_of("self");
        lake.build_requested(&|_| ()).await;
        materialize = materialize.min(cpu_of("self") - before);
    }
    let warm = least_cpu(5, 20, ask).await;
    assert_eq!(ask().await, live_rows);
    let kept = "SELECT CAST(sum(file_size) AS BIGINT), CAST(sum(num_rows) AS BIGINT), count(*) FROM list_partitions() \
                WHERE view_set_name = 'thread_spans'";
    let kept = &lake.sql(kept).await.unwrap()[0];
    let value = |i: usize| kept.column(i).as_primitive::<Int64Type>().value(0);
    println!(
        "{} spans, {} events of one thread, count, sum and max: CPU live {:.3} s, materializing {:.3} s, warm {:.4} s; \
         {:.2} bytes a span in {} files",
        live_rows[0].column(0).as_primitive::<Int64Type>().value(0),
        events(largest),
        live.as_secs_f64(),
        materialize.as_secs_f64(),
        warm.as_secs_f64(),
        value(0) as f64 / value(1) as f64,
        value(2)
    );
    lake.close().await;
}

const SPANS: i64 = 50_000_000;
/// Spans of one block: about ten MiB of events, what client libraries send at most.
const BLOCK: i64 = 310_000;

/// A block of a made-up thread: frames of eight spans, one within the other.
fn made_up(process_id: Uuid, stream_id: Uuid, number: i64) -> (StreamParts, wire::BlockRequest) {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    let members = vec![
        member("id", "u64", 0, 8),
        reference("name", 8),
        reference("target", 16),
        reference("file", 24),
        member("line", "u32", 32, 4),
    ];
    let place = writer.dependency_type(BlockWriter::type_record("SpanRecord", 40, members));
    let event = |name| {
        let members = vec![reference("thread_span_desc", 0), member("time", "i64", 8, 8)];
        BlockWriter::type_record(name, 16, members)
    };
    let begin = writer.event_type(event("BeginThreadSpanEvent"));
    let end = writer.event_type(event("EndThreadSpanEvent"));
    for i in 0..8_u64 {
        writer.dependency(
            text,
            &[&(0x1000 + i * 16).to_le_bytes()[..], format!("stage {i}").as_bytes()].concat(),
        );
        let words = [0x2000 + i * 64, 0x1000 + i * 16, 0x1000, 0x1000, i];
        writer.dependency(place, &words.map(u64::to_le_bytes).concat());
    }
    let mut tick = number * BLOCK * 200;
    let begin_ticks = tick;
    let mut seed = number as u64 + 1;
    let mut spans = 0;
    while spans < BLOCK {
        for i in (0..8_u64).chain((0..8).rev().map(|i| i + 8)) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tick += 20 + (seed >> 57) as i64;
            let (type_, place) = if i < 8 { (begin, i) } else { (end, i - 8) };
            writer.event(type_, &[0x2000 + place * 64, tick as u64].map(u64::to_le_bytes).concat());
        }
        spans += 8;
    }
    let (dependencies_metadata, objects_metadata) = writer.metadata();
    let info = BlockInfo {
        block_id: Uuid::new_v4(),
        stream_id,
        process_id,
        begin_time: begin_ticks,
        begin_ticks,
        end_time: tick,
        end_ticks: tick,
        nb_objects: writer.count(),
        object_offset: number * i64::from(writer.count()),
        payload_size: 0,
        insert_time: 0,
    };
    let stream = StreamParts {
        stream_id,
        process_id,
        dependencies_metadata,
        objects_metadata,
        tags: vec!["cpu".to_owned()],
        format: TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    (stream, BlockRequest::encode(info, &writer.payload()))
}

/// A thread with very many spans, queried by a process of its own whose memory is measured.
async fn memory() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(directory.path()).await.unwrap();
    let (process_id, stream_id) = (Uuid::new_v4(), Uuid::new_v4());
    let process = ProcessInfo {
        process_id,
        exe: "made up".to_owned(),
        username: String::new(),
        realname: String::new(),
        computer: String::new(),
        distro: String::new(),
        cpu_brand: String::new(),
        tsc_frequency: 1_000_000_000,
        start_time: 0,
        start_ticks: 0,
        parent_process_id: None,
        properties: Vec::new(),
        insert_time: 0,
    };
    lake.connection().insert_process(process).await.unwrap();
    for number in 0..SPANS / BLOCK + 1 {
        let (stream, block) = made_up(process_id, stream_id, number);
        lake.connection().insert_stream(stream.into()).await.unwrap();
        lake.connection().insert_block(block).await.unwrap();
    }
    lake.close().await;
    drop(lake);
    let sql = format!(
        "SELECT count(*), sum(duration), max(depth) FROM view_instance('thread_spans', '{stream_id}')"
    );
    for what in ["cold", "warm"] {
        let began = Instant::now();
        let (answer, until_answer, at_most) = watch(&["query", &sql, "--format", "csv"], directory.path());
        println!(
            "{} spans of one thread, {what}: {} MB resident until the answer, {} MB with keeping it, {:.1} s",
            answer.split(',').next().unwrap_or_default(),
            until_answer >> 20,
            at_most >> 20,
            began.elapsed().as_secs_f64()
        );
    }
}

/// Runs the binary and samples its memory. Returns the row that it prints, and its peak memory until then and in all.
#[expect(clippy::disallowed_methods, reason = "nothing tells when a process takes more memory")]
fn watch(arguments: &[&str], lake: &Path) -> (String, u64, u64) {
    let mut command = Command::new(BELVEDERE);
    command.args(arguments).arg("--lake").arg(lake).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let resident = move || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let row = lines.next().unwrap().unwrap();
    let until_answer = resident();
    let mut most = until_answer;
    while child.try_wait().unwrap().is_none() {
        most = most.max(resident());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    (row, until_answer, most)
}
