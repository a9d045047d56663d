//! Malformed traffic: refused with the sender's fault, or taken and skipped; what was good stays good.

use crate::support::{BELVEDERE, Place, Request, Server, main_id, recording, replay, testdata};
use belvedere_model::wire::BlockRequest;
use belvedere_model::{ProcessInfo, StreamInfo};
use std::process::Command;

/// Recording, and the requests (counted from 1) that are not answered 200. See `bad/README.md`.
const CASES: &[(&str, &[(usize, u16)])] = &[
    ("deep-cbor", &[(5, 400), (6, 413)]),
    ("duplicates", &[]),
    ("flipped-lz4", &[]),
    ("flipped-objects", &[]),
    ("giant-cbor-lengths", &[(5, 400), (6, 400), (7, 400), (8, 400), (9, 400)]),
    ("giant-object-lengths", &[]),
    ("late-metadata", &[]),
    ("legacy-payload", &[]),
    ("lying-metadata", &[]),
    ("lz4-bomb", &[(5, 413)]),
    ("no-dependencies", &[]),
    ("not-lz4", &[(5, 400), (6, 400)]),
    ("random-objects", &[]),
    ("reserved-properties", &[]),
    ("trailing-bytes", &[]),
    ("truncated-cbor-block", &[(5, 400)]),
    ("truncated-cbor-process", &[(5, 400), (6, 400)]),
    ("truncated-lz4", &[(5, 400)]),
    ("unknown-stream", &[]),
    ("wrong-counts", &[]),
    ("wrong-route", &[(5, 400), (6, 400), (7, 404), (8, 400)]),
    ("wrong-times", &[(5, 400), (8, 400), (9, 400)]),
    ("wrong-types", &[(5, 400), (6, 400), (7, 400), (8, 400), (9, 400), (10, 400)]),
];

fn case(name: &str) -> Vec<Request> {
    recording(&testdata(&format!("recordings/bad/{name}.jsonl.gz")))
}

fn check_statuses(server: &Server, name: &str, refused: &[(usize, u16)]) -> Vec<Request> {
    let requests = case(name);
    let statuses = replay(server, &requests);
    for (i, status) in statuses.iter().enumerate() {
        let expected = refused.iter().find(|(number, _)| *number == i + 1).map_or(200, |(_, s)| *s);
        assert_eq!(*status, expected, "{name}, request {}", i + 1);
    }
    requests
}

/// Number of events that a block announces.
fn events(request: &Request) -> i64 {
    BlockRequest::decode(request.body.clone().into()).unwrap().info.nb_objects.into()
}

#[test]
fn bad_requests_are_refused_or_skipped_and_good_data_stays() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut good = Vec::new();
    for (name, refused) in CASES {
        let requests = check_statuses(&server, name, refused);
        let block = |r: &&Request| r.is("insert_block");
        // process, log stream, cpu stream, log block, BAD …, log block
        let (process, rows) = match *name {
            // blocks first, then streams, then the process
            "late-metadata" => (&requests[5], None),
            "reserved-properties" => (&requests[0], None),
            // every request is there twice, one block three times: the first contents count
            "duplicates" => {
                let log_stream = StreamInfo::decode(&requests[2].body).unwrap();
                assert_eq!(log_stream.tags, ["log"]);
                let blocks =
                    requests.iter().filter(block).map(|r| BlockRequest::decode(r.body.clone().into()));
                let mut first = std::collections::BTreeMap::new();
                for info in blocks.map(|b| b.unwrap().info).filter(|i| i.stream_id == log_stream.stream_id) {
                    first.entry(info.block_id).or_insert(i64::from(info.nb_objects));
                }
                (&requests[0], Some(first.values().sum()))
            }
            _ => (&requests[0], Some(events(&requests[3]) + events(requests.last().unwrap()))),
        };
        good.push((*name, main_id(process).unwrap(), rows));
    }
    for (name, process, rows) in good {
        let sql = format!("SELECT count(*) AS n FROM view_instance('log_entries', '{process}')");
        let (found, warnings) = place.query_with(&sql, &[]);
        let found = found[0]["n"].as_i64().unwrap();
        match rows {
            Some(rows) => assert_eq!(found, rows, "{name}: {warnings}"),
            None => assert!(found > 0, "{name}: {warnings}"),
        }
    }
    // still alive, and not with the memory that was announced
    assert_eq!(server.connect().get("/health").0, 200);
    assert!(server.resident() < 400 << 20, "{} bytes", server.resident());
}

#[test]
fn a_corrupt_block_costs_its_own_rows_and_is_reported() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = check_statuses(&server, "flipped-objects", &[]);
    let flipped = main_id(&requests[5]).unwrap().to_string();
    let (rows, warnings) = place.query_with("SELECT DISTINCT block_id FROM log_entries", &[]);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|r| r["block_id"] != flipped.as_str()));
    assert!(warnings.starts_with("warning: 1 block could not be read"), "{warnings}");
    assert!(warnings.contains(&flipped), "{warnings}");
    let faults = place.query("SELECT * FROM block_faults()");
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0]["block_id"], flipped);
    assert_eq!(faults[0]["view_set_name"], "log_entries");
    assert_eq!(faults[0]["may_pass"], false);
    assert!(faults[0]["process_id"].is_string() && faults[0]["exe"].is_string(), "{faults:?}");
    // a server says so too
    let sql = "SELECT count(*) AS n FROM log_entries";
    if cfg!(all(feature = "flight-sql", feature = "cli-client")) {
        let ask = |flags: &[&str]| {
            let url = format!("grpc://{}", server.flight_sql);
            Command::new(BELVEDERE).args(["query", sql, "--url", &url]).args(flags).output().unwrap()
        };
        let told = ask(&[]);
        let warning = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(told.status.success() && warning.contains("1 block could not be read"), "{warning}");
        assert!(!ask(&["--strict"]).status.success());
    }
    assert!(!place.try_query(sql, &["--strict"]).status.success());
    let headers = [("content-type", "text/plain"), ("x-strict", "true")];
    let (status, body) = server.connect().send("POST", "/api/query", &headers, sql.as_bytes());
    assert!(status == 500 && body.contains("incomplete"), "{status} {body}");
    // the same rows are missing whatever the query wants of them
    for columns in ["count(*)", "count(msg)", "count(properties)", "count(time)"] {
        let sql = format!("SELECT {columns} AS n FROM log_entries WHERE block_id = '{flipped}'");
        assert_eq!(place.number(&sql), 0, "{columns}");
    }
}

#[test]
fn a_block_waits_for_its_stream_and_process() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = case("late-metadata");
    let blocks = requests.iter().filter(|r| r.is("insert_block")).count() as i64;
    for request in &requests[..5] {
        assert_eq!(replay(&server, std::slice::from_ref(request)), [200]);
        assert_eq!(place.number("SELECT count(*) FROM blocks"), 0);
    }
    assert_eq!(replay(&server, &requests[5..]), [200]);
    assert_eq!(place.number("SELECT count(*) FROM blocks"), blocks);
    assert!(place.number("SELECT count(*) FROM log_entries") > 0);
}

#[test]
fn the_first_of_two_contents_under_one_block_id_stays() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = case("duplicates");
    let mut sizes = std::collections::BTreeMap::new();
    for request in requests.iter().filter(|r| r.is("insert_block")) {
        let info = BlockRequest::decode(request.body.clone().into()).unwrap().info;
        sizes.entry(info.block_id.to_string()).or_insert(info.payload_size);
    }
    replay(&server, &requests);
    let rows = place.query("SELECT block_id, payload_size FROM blocks");
    assert_eq!(rows.len(), sizes.len());
    for row in rows {
        assert_eq!(row["payload_size"], sizes[row["block_id"].as_str().unwrap()]);
    }
}

#[test]
fn the_servers_own_properties_can_not_be_sent_and_a_process_keeps_its_first_values() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = case("reserved-properties");
    let first = ProcessInfo::decode(&requests[0].body).unwrap();
    replay(&server, &requests);
    let rows = place.query("SELECT exe, properties FROM processes");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["exe"], first.exe);
    assert!(!rows[0]["properties"].to_string().contains("micromegas."));
}

#[test]
fn bodies_are_limited_announced_or_not() {
    let place = Place::new();
    let server = place.serve(&["--max-body", "1"]);
    let big = vec![0; (1 << 20) + 1];
    assert_eq!(server.connect().post("/ingestion/insert_block", &big).0, 413);
    let chunked = [format!("{:x}\r\n", big.len()).as_bytes(), &big, b"\r\n0\r\n\r\n"].concat();
    let mut connection = server.connect();
    assert_eq!(connection.send_raw("/ingestion/insert_block", "transfer-encoding: chunked", &chunked).0, 413);
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(server.connect().send("POST", "/ingestion/insert_block", &gzip, b"x").0, 400);
}

/// Without the crate for it, OTLP is an unknown route.
#[test]
fn otlp_is_there_if_its_crate_is_and_otherwise_says_so() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut connection = server.connect();
    for path in ["/v1/logs", "/ingestion/otlp/v1/traces"] {
        let expected = if cfg!(feature = "otel") { 415 } else { 404 };
        assert_eq!(connection.post(path, b"").0, expected);
    }
    for path in ["/ingestion/insert_process", "/ingestion/insert_stream", "/ingestion/insert_block"] {
        assert_eq!(connection.post(path, b"").0, 400);
        assert_eq!(connection.get(path).0, 405);
    }
}
