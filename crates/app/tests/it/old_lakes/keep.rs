//! Makes a small lake that has something of everything that lies on disk, and writes down what it answers.

use super::said;
use crate::support::{Place, Request, recording, replay, testdata};
use belvedere_model::transit::BlockWriter;
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, StreamParts, TRANSIT_FORMAT};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use uuid::Uuid;

const VIEW: &str = "\
-- name: log_levels
-- description: Lines of each process and level by hour
-- group: hour, process_id, level
-- merge: SELECT hour, process_id, level, sum(lines) AS lines FROM partials GROUP BY hour, process_id, level
SELECT date_trunc('hour', time) AS hour, process_id, level, count(*) AS lines
FROM log_entries GROUP BY 1, 2, 3
";

/// Process of native-small.
const FORGED: &str = "91c05919-9f9a-438b-a935-2ef0ef852b09";
/// Process of net-small.
const ARENA: &str = "5ae2d1de-2701-4c09-a981-a6a8c42f4082";

/// A recording of the repository.
pub(super) fn requests(name: &str) -> Vec<Request> {
    recording(&testdata("recordings").join(format!("{name}.jsonl.gz")))
}

/// Writes `lake.tar.gz` into a directory: a lake by this or another binary, what it answered, and a key to it.
pub(super) fn keep(binary: Option<PathBuf>, directory: &Path) {
    let mut place = Place::new();
    if let Some(binary) = binary {
        place.binary = binary;
    }
    let lake = place.directory.path().join("lake");
    let answers = place.directory.path().join("answers");
    fs::create_dir_all(&answers).unwrap();
    place.flags = vec!["--lake".to_owned(), lake.display().to_string()];

    let otlp = requests("otlp-small");
    let sent = [requests("native-small"), otlp[..9].to_vec(), requests("net-small")[..10].to_vec(), reel()];
    send(&place, &sent.concat());
    fs::create_dir_all(lake.join("views")).unwrap();
    fs::write(lake.join("views/log_levels.sql"), VIEW).unwrap();
    let key = said(&mut place.keys(&["create", "sender", "--rights", "send"]));
    fs::write(answers.join("key.txt"), key).unwrap();
    place.query("SELECT * FROM deny_queries('client = ''grafana''', 'too heavy')");
    said(place.command("maintain").arg("--once"));
    // rows of single streams are kept when somebody has asked for them
    let asked = format!("SELECT count(*) AS n FROM view_instance('thread_spans', '{}')", reel_stream());
    for _ in 0..2 {
        assert_eq!(place.number(&asked), 4);
    }
    let kept = "SELECT count(*) AS n FROM list_partitions() WHERE view_set_name = 'thread_spans'";
    assert_eq!(place.number(kept), 1, "thread_spans are not kept");
    // and what came later is in no partition yet
    send(&place, &otlp[9..12]);

    for (name, sql) in queries(&place) {
        let answer = said(place.command("query").args([&sql, "--format", "ndjson"]));
        assert!(!answer.is_empty(), "{name} has no rows");
        fs::write(answers.join(format!("{name}.sql")), sql + "\n").unwrap();
        fs::write(answers.join(format!("{name}.ndjson")), answer).unwrap();
    }
    for (name, mut command) in [("plan", place.command("plan")), ("keys", place.keys(&["list"]))] {
        let answer = said(command.args(["--format", "ndjson"]));
        fs::write(answers.join(format!("{name}.ndjson")), answer).unwrap();
    }
    let checked = said(&mut place.command("fsck"));
    assert_eq!(checked.lines().last(), Some("clean"), "{checked}");
    assert!(!lake.join("catalog.sqlite-wal").exists(), "the catalog was not closed");
    let packed = Command::new("tar")
        .args(["--owner=0", "--group=0", "--numeric-owner", "-C"])
        .arg(place.directory.path())
        .arg("-cf")
        .arg(directory.join("lake.tar"))
        .args(["lake", "answers"])
        .status();
    assert!(packed.unwrap().success());
    assert!(Command::new("gzip").arg("-9").arg(directory.join("lake.tar")).status().unwrap().success());
}

fn send(place: &Place, requests: &[Request]) {
    let server = place.serve(&["--roles", "ingest"]);
    assert!(replay(&server, requests).iter().all(|status| *status == 200));
    server.stop();
}

/// Names of questions, and the questions.
fn queries(place: &Place) -> Vec<(String, String)> {
    let mut queries: Vec<(String, String)> = [
        "processes",
        "streams",
        "blocks",
        "log_entries",
        "log_stats",
        "log_levels",
        "measures",
        "otel_metrics",
        "otel_spans",
        "list_partitions()",
        "list_query_denials()",
    ]
    .into_iter()
    .map(|table| (table.trim_end_matches("()").to_owned(), format!("SELECT * FROM {table}")))
    .collect();
    for (name, set, instance) in [
        ("async_events", "async_events", FORGED),
        ("log_of_a_process", "log_entries", FORGED),
        ("net_spans", "net_spans", ARENA),
        ("thread_spans_of_two_blocks", "thread_spans", &reel_stream().to_string()),
    ] {
        queries.push((name.to_owned(), format!("SELECT * FROM view_instance('{set}', '{instance}')")));
    }
    let thread = format!(
        "SELECT stream_id FROM streams WHERE process_id = '{FORGED}' AND array_has(tags, 'cpu') ORDER BY 1 LIMIT 1"
    );
    let rows = place.query(&thread);
    let sql =
        format!("SELECT * FROM view_instance('thread_spans', '{}')", rows[0]["stream_id"].as_str().unwrap());
    queries.push(("thread_spans_of_a_client".to_owned(), sql));
    let payloads = "SELECT block_id, get_payload(process_id, stream_id, block_id) AS payload FROM blocks \
                    WHERE array_has(\"streams.tags\", 'image')";
    queries.push(("payloads_of_images".to_owned(), payloads.to_owned()));
    queries
}

fn reel_process() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, b"reel")
}

fn reel_stream() -> Uuid {
    Uuid::new_v5(&reel_process(), b"main thread")
}

/// A thread that is in the middle of something between its two blocks, and at their end.
///
/// Partitions of single streams are only made where decoding took a mebibyte of payload or more. So there is a text that
/// long which nothing refers to, not compressed in the block, where the archive makes next to nothing of it.
fn reel() -> Vec<Request> {
    let (process_id, stream_id) = (reel_process(), reel_stream());
    let process = ProcessInfo {
        process_id,
        exe: "reel".to_owned(),
        tsc_frequency: 1_000_000_000,
        start_time: 1_767_225_600_000_000_000,
        ..ProcessInfo::default()
    };
    let first = [(true, "load", 1000), (true, "level", 2000)];
    let second = [(false, "level", 3000), (true, "draw", 4000), (false, "draw", 5000)];
    let blocks = [(0, spans(&first)), (2, spans(&second))];
    let (dependencies_metadata, objects_metadata) = blocks[0].1.metadata();
    let stream = StreamParts {
        stream_id,
        process_id,
        dependencies_metadata,
        objects_metadata,
        tags: vec!["cpu".to_owned()],
        properties: vec![("thread-name".to_owned(), "main".to_owned())],
        format: TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    let request = |route: &str, body: Vec<u8>| Request {
        path: format!("/ingestion/insert_{route}"),
        headers: vec![("content-type".to_owned(), "application/octet-stream".to_owned())],
        body,
    };
    let mut requests = vec![
        request("process", process.encode()),
        request("stream", StreamInfo::encode(&stream.into()).unwrap()),
    ];
    for (object_offset, writer) in blocks {
        let (begin, end) = if object_offset == 0 { (1000, 2000) } else { (3000, 5000) };
        let info = BlockInfo {
            block_id: Uuid::new_v5(&stream_id, &[object_offset as u8]),
            stream_id,
            process_id,
            begin_time: process.start_time + begin,
            begin_ticks: begin,
            end_time: process.start_time + end,
            end_ticks: end,
            nb_objects: writer.count(),
            object_offset,
            ..BlockInfo::default()
        };
        let mut payload = writer.payload();
        let dependencies =
            belvedere_model::transit::decompress(&payload.dependencies, 1 << 24, "dependencies");
        payload.dependencies = Cow::Owned(uncompressed_frame(&dependencies.unwrap()));
        requests.push(request("block", BlockRequest::encode(info, &payload).body().to_vec()));
    }
    requests
}

/// A block of begins (`true`) and ends of spans: names and ticks.
fn spans(events: &[(bool, &str, u64)]) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticStringDependency", 0, vec![]));
    let members = vec![
        member("id", "u64", 0, 8),
        reference("target", 8),
        reference("file", 16),
        reference("name", 24),
        member("line", "u32", 32, 4),
    ];
    let place = writer.dependency_type(BlockWriter::type_record("SpanRecord", 40, members));
    let [begin, end] = ["BeginThreadSpanEvent", "EndThreadSpanEvent"].map(|name| {
        let members = vec![reference("thread_span_desc", 0), member("time", "i64", 8, 8)];
        writer.event_type(BlockWriter::type_record(name, 16, members))
    });
    let spell = |writer: &mut BlockWriter, id: u64, value: &str| {
        let coded = BlockWriter::coded_text(value);
        writer.dependency(text, &[&id.to_le_bytes()[..], &coded[..]].concat());
    };
    spell(&mut writer, 1, &"x".repeat(600 << 10));
    let mut known = HashSet::new();
    for (is_begin, name, tick) in events {
        // the same name is the same place, in every block
        let id = (Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u64_pair().0 << 1) | 2;
        if known.insert(name) {
            spell(&mut writer, id, name);
            writer.dependency(place, &[id + 1, id, id, id, 7].map(u64::to_le_bytes).concat());
        }
        writer.event(if *is_begin { begin } else { end }, &[id + 1, *tick].map(u64::to_le_bytes).concat());
    }
    writer
}

/// An LZ4 frame in which nothing is compressed.
fn uncompressed_frame(bytes: &[u8]) -> Vec<u8> {
    // version 1, blocks of up to 4 MiB that need no others; and the checksum of these two bytes
    let mut frame = b"\x04\x22\x4d\x18\x60\x70\x73".to_vec();
    for block in bytes.chunks(4 << 20) {
        frame.extend((block.len() as u32 | 1 << 31).to_le_bytes());
        frame.extend(block);
    }
    frame.extend(0_u32.to_le_bytes());
    frame
}
