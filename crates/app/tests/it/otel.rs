//! OpenTelemetry: what SDKs sent is what SQL gives back, however it came and however rows are kept.

use crate::golden::{read_parquet, rows_of};
use crate::support::{Place, Request, Server, recording, replay, testdata};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use belvedere::core::Lake;
use belvedere_lake::Routes;
use belvedere_lake::axum::Router;
use belvedere_lake::axum::body::{Body, to_bytes};
use belvedere_lake::axum::http;
use belvedere_lake::ingest::{IngestLimits, IngestionService};
use belvedere_testkit::backend;
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use tower::ServiceExt;

fn requests(name: &str) -> Vec<Request> {
    recording(&testdata(&format!("recordings/{name}.jsonl.gz")))
}

/// Rows that don't depend on the server: everything but its own clock and how it names and packs blocks.
fn is_comparable(column: &str) -> bool {
    !column.contains("insert_time") && !["block_id", "last_update_time", "payload_size"].contains(&column)
}

#[test]
fn rows_are_those_of_an_independent_server_of_the_protocol() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert!(replay(&server, &requests("otlp-small")).iter().all(|status| *status == 200));
    for view in ["log_entries", "measures", "otel_spans", "processes", "streams", "blocks"] {
        let expected = read_parquet(&testdata(&format!("expected/otlp-small/{view}.parquet")));
        let file = place.directory.path().join("rows.parquet");
        let output = place
            .command("query")
            .args([&format!("SELECT * FROM {view}"), "--format", "parquet", "--output"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = read_parquet(&file);
        let schema = expected[0].schema();
        let columns: Vec<&str> =
            schema.fields().iter().map(|f| f.name().as_str()).filter(|c| is_comparable(c)).collect();
        // structured attributes of resources are the other server's debug text, JSON here
        let plain = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            let plain_value =
                |value: String| match value.split_once("\"otel.resource.process.command_args\":\"") {
                    Some((before, after)) => {
                        let end = after.find("\",\"otel").unwrap();
                        format!("{before}{}", &after[end..])
                    }
                    None => value,
                };
            let mut rows: Vec<Vec<String>> =
                rows.into_iter().map(|row| row.into_iter().map(plain_value).collect()).collect();
            rows.sort();
            rows
        };
        let (found, expected) = (plain(rows_of(&found, &columns)), plain(rows_of(&expected, &columns)));
        assert_eq!(found.len(), expected.len(), "{view}");
        for (found, expected) in found.iter().zip(&expected) {
            for ((found, expected), column) in found.iter().zip(expected).zip(&columns) {
                assert_eq!(found, expected, "{view}.{column}");
            }
        }
    }
}

/// The recordings with their truths: the repository's, and the one that the environment has.
fn recordings() -> Vec<PathBuf> {
    let mut paths = vec![testdata("recordings/otlp-small.jsonl.gz")];
    if let Ok(more) = std::env::var("BELVEDERE_RECORDINGS") {
        paths.push(Path::new(&more).join("otlp-medium.jsonl.gz"));
    }
    paths
}

/// A value as a program sees it, from the JSON of a JSONB value: bytes are written as an object by the truth.
fn is_same(found: &Value, truth: &Value) -> bool {
    match truth {
        Value::Object(members) if members.contains_key("bytes_hex") => {
            let hex = members["bytes_hex"].as_str().unwrap();
            let bytes: Vec<u8> =
                (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
            use base64::Engine;
            found == &json!(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Value::Object(members) => {
            let Some(found) = found.as_object() else { return false };
            found.len() == members.len()
                && members.iter().all(|(k, v)| found.get(k).is_some_and(|found| is_same(found, v)))
        }
        Value::Array(values) => {
            let Some(found) = found.as_array() else { return false };
            found.len() == values.len() && found.iter().zip(values).all(|(found, v)| is_same(found, v))
        }
        Value::Number(number) => found.as_f64() == number.as_f64(),
        other => found == other,
    }
}

fn json_of(row: &Value, column: &str) -> Value {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(row[column].as_str().unwrap()).unwrap();
    serde_json::from_str(&belvedere_model::jsonb::Jsonb::new(&bytes).unwrap().to_string()).unwrap()
}

/// Attributes without what the server adds about the scope and the record.
fn own(properties: &Value) -> Value {
    let members = properties.as_object().unwrap().iter().filter(|(k, _)| !k.starts_with("otel."));
    Value::Object(members.map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>())
}

fn check_spans(place: &Place, service: &str, truth: &Value) {
    let of_service = format!("property_get(process_properties, 'otel.resource.service.name') = '{service}'");
    let grouped = |column: &str| -> BTreeMap<String, i64> {
        let sql = format!(
            "SELECT lower({column}) AS k, count(*) AS n FROM otel_spans WHERE {of_service} GROUP BY lower({column})"
        );
        let rows = place.query(&sql);
        rows.iter().map(|r| (r["k"].as_str().unwrap().to_owned(), r["n"].as_i64().unwrap())).collect()
    };
    let counted = |name: &str| -> BTreeMap<String, i64> {
        let counts = truth[name].as_object().unwrap();
        counts.iter().map(|(k, v)| (k.to_lowercase(), v.as_i64().unwrap())).collect()
    };
    assert_eq!(grouped("name"), counted("spans_by_name"), "{service}");
    assert_eq!(grouped("kind"), counted("spans_by_kind"), "{service}");
    assert_eq!(grouped("status"), counted("spans_by_status"), "{service}");
    if truth["spans_by_scope"].is_object() {
        assert_eq!(grouped("scope_name"), counted("spans_by_scope"), "{service}");
        let sums = place.query(&format!(
            "SELECT count(*) AS spans, sum(duration) AS ns, count(DISTINCT trace_id) AS traces \
             FROM otel_spans WHERE {of_service}"
        ));
        let expected =
            json!({"spans": truth["spans"], "ns": truth["duration_ns"], "traces": truth["traces"]});
        assert_eq!(sums[0], expected, "{service}");
    }
    let rows = place.query(&format!(
        "SELECT encode(trace_id, 'hex') AS trace, encode(span_id, 'hex') AS span, \
                encode(parent_span_id, 'hex') AS parent, name, lower(kind) AS kind, lower(status) AS status, \
                CAST(start_time AS BIGINT) AS s, CAST(end_time AS BIGINT) AS e, \
                scope_name, properties, events, links \
         FROM otel_spans WHERE {of_service}"
    ));
    let by_id: BTreeMap<&str, &Value> = rows.iter().map(|r| (r["span"].as_str().unwrap(), r)).collect();
    let count =
        |column: &str| rows.iter().map(|r| json_of(r, column).as_array().unwrap().len()).sum::<usize>();
    assert_eq!(
        json!([count("events"), count("links")]),
        json!([truth["events"], truth["links"]]),
        "{service}"
    );
    for span in truth["span_list"].as_array().unwrap() {
        let row = by_id[span["span_id"].as_str().unwrap()];
        for (column, field) in [
            ("trace", "trace_id"),
            ("parent", "parent_span_id"),
            ("name", "name"),
            ("kind", "kind"),
            ("status", "status"),
        ] {
            assert_eq!(row[column], span[field], "{column} of {span}");
        }
        if span["start"].is_i64() {
            assert_eq!((&row["s"], &row["e"]), (&span["start"], &span["end"]), "{span}");
        } else {
            // another language's clock counts milliseconds
            let near =
                |ns: &Value, ms: &Value| (ns.as_f64().unwrap() / 1e6 - ms.as_f64().unwrap()).abs() < 0.01;
            assert!(near(&row["s"], &span["start_ms"]) && near(&row["e"], &span["end_ms"]), "{span}");
        }
        let properties = own(&json_of(row, "properties"));
        assert!(is_same(&properties, &span["attributes"]), "{properties} {span}");
        if let Some(events) = span["events"].as_array() {
            let found = json_of(row, "events");
            assert!(is_same(&found, &span["events"]), "{found} {events:?}");
            let links = json_of(row, "links");
            let links: Vec<String> = links
                .as_array()
                .unwrap()
                .iter()
                .map(|l| format!("{}/{}", l["trace_id"].as_str().unwrap(), l["span_id"].as_str().unwrap()))
                .collect();
            assert_eq!(json!(links), span["links"], "{span}");
            assert_eq!(row["scope_name"], span["scope"]);
        }
    }
}

fn check_logs(place: &Place, service: &str, truth: &Value) {
    let of_service = format!("property_get(process_properties, 'otel.resource.service.name') = '{service}'");
    let rows = place.query(&format!(
        "SELECT CAST(time AS BIGINT) AS time, level, msg, target, properties \
         FROM log_entries WHERE {of_service}"
    ));
    assert_eq!(json!(rows.len()), truth["logs"], "{service}");
    let with_trace = rows.iter().filter(|r| json_of(r, "properties").get("otel.trace_id").is_some()).count();
    assert_eq!(json!(with_trace), truth["logs_with_trace"], "{service}");
    let mut levels: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &rows {
        *levels.entry(row["level"].as_i64().unwrap()).or_default() += 1;
    }
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    for (severity, count) in truth["logs_by_severity"].as_object().unwrap() {
        let level = match severity.parse().unwrap() {
            0 => 4,
            severity @ 1..=24 => 6 - (severity - 1) / 4,
            other => panic!("severity {other}"),
        };
        *expected.entry(level).or_default() += count.as_i64().unwrap();
    }
    assert_eq!(levels, expected, "{service}");
    for log in truth["log_list"].as_array().unwrap() {
        let is_it = |row: &&Value| {
            let time = if log["time"].is_i64() {
                row["time"] == log["time"]
            } else {
                (row["time"].as_f64().unwrap() / 1e6 - log["time_ms"].as_f64().unwrap()).abs() < 0.01
            };
            let msg = row["msg"].as_str().unwrap();
            let body = match &log["body"] {
                Value::String(body) => msg == body,
                Value::Object(body) if body.contains_key("bytes_hex") => is_same(&row["msg"], &log["body"]),
                Value::Null => msg.is_empty(),
                body => serde_json::from_str(msg).is_ok_and(|msg: Value| is_same(&msg, body)),
            };
            let properties = json_of(row, "properties");
            let trace = properties.get("otel.trace_id").unwrap_or(&Value::Null) == &log["trace_id"];
            let attributes = log.get("attributes").is_none_or(|truth| is_same(&own(&properties), truth));
            let scope = log.get("scope").is_none_or(|scope| &row["target"] == scope);
            time && body && trace && attributes && scope
        };
        assert!(rows.iter().any(|row| is_it(&row)), "{log}");
    }
}

fn check_metrics(place: &Place, service: &str, truth: &Value) {
    for (name, metric) in truth["metrics"].as_object().unwrap() {
        let Some(kind) = metric["kind"].as_str() else { continue };
        let rows = place.query(&format!(
            "SELECT kind, unit, temporality, is_monotonic, value, count, sum, min, max, bucket_counts, \
                    positive_counts, negative_counts, zero_count \
             FROM otel_metrics \
             WHERE name = '{name}' AND property_get(process_properties, 'otel.resource.service.name') = '{service}' \
             ORDER BY time"
        ));
        assert!(!rows.is_empty(), "{service} {name}");
        assert!(rows.iter().all(|row| row["unit"] == metric["unit"]), "{name}");
        let sum = |column: &str| rows.iter().filter_map(|row| row[column].as_f64()).sum::<f64>();
        let is_delta = rows[0]["temporality"] == "delta";
        let series: Vec<&Value> = match metric["series"].as_object() {
            Some(series) => series.values().collect(),
            None => vec![metric],
        };
        let total = |field: &str| series.iter().filter_map(|s| s[field].as_f64()).sum::<f64>();
        match kind {
            "gauge" => assert!(rows.iter().all(|row| row["kind"] == "gauge"), "{name}"),
            "counter" | "updowncounter" => {
                assert!(rows.iter().all(|row| row["is_monotonic"] == (kind == "counter")), "{name}");
                // a cumulative sum's last points are the total; deltas add up to it
                if is_delta {
                    assert_eq!(sum("value"), total("sum"), "{name}");
                }
            }
            _ => {
                for row in &rows {
                    let list = |column: &str| {
                        row[column].as_array().map_or(0, |l| l.iter().filter_map(Value::as_i64).sum::<i64>())
                    };
                    let in_buckets = list("bucket_counts")
                        + list("positive_counts")
                        + list("negative_counts")
                        + row["zero_count"].as_i64().unwrap_or(0);
                    assert_eq!(json!(in_buckets), row["count"], "{name}");
                }
                if is_delta {
                    assert_eq!((sum("count"), sum("sum")), (total("count"), total("sum")), "{name}");
                    let least = rows.iter().filter_map(|r| r["min"].as_f64()).fold(f64::MAX, f64::min);
                    let truth = series.iter().filter_map(|s| s["min"].as_f64()).fold(f64::MAX, f64::min);
                    assert_eq!(least, truth, "{name}");
                }
            }
        }
    }
}

#[test]
fn recordings_of_sdks_give_what_their_programs_counted_once_on_every_backend_live_and_kept() {
    for path in recordings() {
        for (i, (backend, place)) in Place::all().into_iter().enumerate() {
            eprintln!("{backend}: {}", path.display());
            // what is read live does not depend on where it is
            check_recording(&path, &place, i == 0);
        }
    }
}

fn check_recording(path: &Path, place: &Place, is_read_live: bool) {
    let server = place.serve(&["--roles", "ingest"]);
    // each request is sent again before the next: nothing may change
    let twice: Vec<Request> = recording(path).iter().flat_map(|r| [r.clone(), r.clone()]).collect();
    assert!(replay(&server, &twice).iter().all(|status| *status == 200));
    let truth = path.display().to_string().replace(".jsonl.gz", ".truth.json");
    let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
    let check = || {
        for emitter in truth["emitters"].as_array().unwrap() {
            for (service, truth) in emitter["services"].as_object().unwrap() {
                check_spans(place, service, truth);
                check_logs(place, service, truth);
                check_metrics(place, service, truth);
            }
        }
    };
    if is_read_live {
        check();
    }
    let kept = place.command("maintain").arg("--once").output().unwrap();
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    check();
    let metrics = server.connect().get("/metrics").1;
    let number = |name: &str| metrics.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
    let (added, repeated) =
        (number("belvedere_blocks_added_total"), number("belvedere_blocks_repeated_total"));
    assert!(added.is_some_and(|n| n > 0) && added == repeated, "{added:?} {repeated:?}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_opentelemetry_are_the_same_however_they_are_kept() {
    let place = Place::new();
    let server = place.serve(&["--roles", "ingest"]);
    replay(&server, &requests("otlp-small"));
    server.stop();
    let lake = Lake::open(place.directory.path()).await.unwrap();
    for set in ["otel_spans", "otel_metrics", "log_entries", "measures"] {
        assert!(rows_do_not_depend_on_partitions(&lake, set, "global").await.unwrap() > 70, "{set}");
    }
}

/// Recording, and the requests (counted from 1) that are not answered 200. See `bad/README.md`.
const BAD: &[(&str, &[(usize, u16)])] = &[
    ("otlp-bad-gzip", &[(2, 400), (3, 400), (4, 400)]),
    ("otlp-bad-ids", &[]),
    ("otlp-bad-json", &[(2, 400), (3, 400), (4, 400), (5, 400), (6, 400)]),
    ("otlp-bad-times", &[]),
    ("otlp-content-types", &[(2, 415), (3, 415), (4, 400), (5, 400)]),
    ("otlp-deep", &[(2, 400)]),
    ("otlp-encodings", &[(3, 415), (4, 400)]),
    ("otlp-flipped", &[(2, 400), (3, 400)]),
    ("otlp-gzip-bomb", &[(2, 413)]),
    ("otlp-no-resource", &[]),
    ("otlp-truncated", &[(2, 400), (3, 400)]),
];

#[test]
fn bad_requests_are_refused_in_the_protocols_words_and_good_data_stays() {
    let place = Place::new();
    let server = place.serve(&[]);
    for (name, refused) in BAD {
        let statuses = replay(&server, &requests(&format!("bad/{name}")));
        for (i, status) in statuses.iter().enumerate() {
            let expected = refused.iter().find(|(number, _)| *number == i + 1).map_or(200, |(_, s)| *s);
            assert_eq!(*status, expected, "{name}, request {}", i + 1);
        }
        // the first request of each has logs, the last one spans
        let service =
            format!("property_get(process_properties, 'otel.resource.service.name') = 'bad-{name}'");
        for view in ["log_entries", "otel_spans"] {
            let rows = place.number(&format!("SELECT count(*) AS n FROM {view} WHERE {service}"));
            assert!(rows >= 30, "{name} {view}: {rows}");
        }
    }
    // what was taken is readable
    let (rows, warnings) = place.query_with("SELECT count(*) AS n FROM otel_metrics", &[]);
    assert_eq!((rows, warnings.as_str()), (vec![json!({"n": 0})], ""));
    assert_eq!(place.query("SELECT * FROM block_faults()"), Vec::<Value>::new());
    assert!(server.resident() < 500 << 20, "{} bytes", server.resident());
}

#[test]
fn refusals_are_statuses_in_the_senders_encoding() {
    let place = Place::new();
    let server = place.serve(&["--max-body", "1"]);
    let json = [("content-type", "application/json")];
    let mut connection = Server::connect_to(&server.otlp_http);
    assert_eq!(connection.send("POST", "/v1/logs", &json, b"{}"), (200, "{}".to_owned()));
    let (status, body) = connection.send("POST", "/v1/logs", &json, br#"{"resourceLogs":[{"scopeLogs":7}]}"#);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["code"]), (400, &json!(3)));
    assert!(body["message"].as_str().unwrap().contains("scopeLogs"), "{body}");
    // two spans, one of which can't be found by any id
    let span = |id: &str| {
        format!(
            r#"{{"traceId":"{}","spanId":"{id}","name":"x","startTimeUnixNano":"1","endTimeUnixNano":"2"}}"#,
            "5b".repeat(16)
        )
    };
    let spans = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{},{}]}}]}}]}}"#,
        span(&"0a".repeat(8)),
        span("0a")
    );
    let (status, body) = connection.send("POST", "/v1/traces", &json, spans.as_bytes());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["partialSuccess"]["rejectedSpans"]), (200, &json!("1")), "{body}");
    assert_eq!(place.number("SELECT count(*) AS n FROM otel_spans"), 1);
    let protobuf = [("content-type", "application/x-protobuf")];
    let (status, body) = connection.send("POST", "/v1/traces", &protobuf, b"\x0a\x05abc");
    assert_eq!(status, 400);
    assert!(body.starts_with("\u{8}\u{3}\u{12}") && body.contains("in the middle of a field"), "{body:?}");
    let large = vec![0; (1 << 20) + 1];
    assert_eq!(connection.send("POST", "/v1/traces", &protobuf, &large).0, 413);
}

/// A log record without a time, as a script sends it.
fn nameless(body: &str, services: usize) -> String {
    let record = format!(r#"{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{body}"}}}}]}}]}}"#);
    format!(r#"{{"resourceLogs":[{}]}}"#, vec![record; services].join(","))
}

#[test]
fn a_request_that_is_sent_again_changes_nothing_and_equal_events_are_all_kept() {
    let place = Place::new();
    let server = place.serve(&[]);
    let json = [("content-type", "application/json")];
    let mut connection = server.connect();
    let mut send =
        |body: &str| assert_eq!(connection.send("POST", "/v1/logs", &json, body.as_bytes()).0, 200);
    let count = || place.number("SELECT count(*) AS n FROM log_entries");
    // twice the same in one request
    send(&nameless("x", 2));
    assert_eq!(count(), 2);
    // again, and compressed
    send(&nameless("x", 2));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(nameless("x", 2).as_bytes()).unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let gzip = gzip.finish().unwrap();
    assert_eq!(server.connect().send("POST", "/v1/logs", &headers, &gzip).0, 200);
    assert_eq!(count(), 2);
    // the same event in another request
    send(&nameless("x", 1));
    assert_eq!(count(), 3);
    let metrics = server.connect().get("/metrics").1;
    assert!(metrics.contains("belvedere_blocks_repeated_total 4\n"), "{metrics}");
}

#[test]
fn a_trace_is_found_across_processes_and_with_the_log_of_a_native_one() {
    let place = Place::new();
    let server = place.serve(&["--roles", "ingest"]);
    replay(&server, &requests("otlp-small"));
    replay(&server, &requests("native-small"));
    let traces = place.query(
        "SELECT encode(trace_id, 'hex') AS trace, count(*) AS n, count(DISTINCT process_id) AS processes \
         FROM otel_spans GROUP BY trace_id ORDER BY processes DESC, n DESC LIMIT 1",
    );
    let (trace, spans) = (traces[0]["trace"].as_str().unwrap(), &traces[0]["n"]);
    let sql = format!("SELECT count(*) AS n FROM otel_spans WHERE trace_id = X'{trace}'");
    assert_eq!(&place.query(&sql)[0]["n"], spans);
    assert!(place.command("maintain").arg("--once").output().unwrap().status.success());
    assert_eq!(&place.query(&sql)[0]["n"], spans);
    let elsewhere = sql.replace(&format!("X'{trace}'"), &format!("X'{}'", "00".repeat(16)));
    assert_eq!(place.number(&elsewhere), 0);
    // and a partition that does not have it is not read
    let plan = place.query(&format!("EXPLAIN ANALYZE {elsewhere}"));
    let plan = plan.iter().map(|row| row["plan"].as_str().unwrap()).collect::<String>();
    assert!(plan.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{plan}");
    let joined = place.query(
        "SELECT count(DISTINCT l.process_id) AS native, count(DISTINCT s.process_id) AS otel \
         FROM log_entries l JOIN otel_spans s ON s.status = 'ERROR' AND l.level <= 2 \
         WHERE l.process_id NOT IN (SELECT process_id FROM otel_spans)",
    );
    assert_eq!(joined[0]["native"], 1);
    assert!(joined[0]["otel"].as_i64().unwrap() >= 3);
}

/// Runs a program that sends with an SDK, and returns what it says it sent.
fn send(program: &mut std::process::Command, server: &Server) -> Value {
    let endpoint = |protocol| match protocol {
        "grpc" => format!("http://{}", server.otlp_grpc),
        _ => format!("http://{}", server.otlp_http),
    };
    let protocol = if program.get_args().any(|arg| arg == "grpc") { "grpc" } else { "http" };
    // who got the usual addresses needs to be told nothing
    if !server.otlp_http.ends_with(":4318") || !server.otlp_grpc.ends_with(":4317") {
        program.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(protocol));
    }
    let output = program.output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sdk(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(name)
}

#[test]
fn unmodified_sdks_send_to_where_they_send_by_default_and_get_back_what_they_sent() {
    let (python, node) = (backend("sdk-python"), backend("sdk-js"));
    let place = Place::new();
    let server = place.serve_at_usual_addresses();
    for protocol in python.iter().flat_map(|_| ["http", "grpc"]) {
        let python = python.as_ref().unwrap();
        let sent = send(std::process::Command::new(python).arg(sdk("send.py")).arg(protocol), &server);
        check_sdk_span(&place, &sent);
        let (service, trace) = (sent["service"].as_str().unwrap(), sent["trace_id"].as_str().unwrap());
        let inner = place.query(&format!(
            "SELECT encode(span_id, 'hex') AS id, encode(parent_span_id, 'hex') AS parent, status, status_message, \
                    links, property_get(properties, 'otel.scope.attr.of') AS of, resource \
             FROM otel_spans WHERE trace_id = X'{trace}' AND name = 'inner' ORDER BY start_time"
        ));
        assert_eq!(json!(inner.iter().map(|r| &r["id"]).collect::<Vec<_>>()), sent["spans"]);
        assert!(inner.iter().all(|r| r["parent"] == sent["outer"] && r["of"] == "scope"), "{inner:?}");
        assert_eq!((&inner[2]["status"], &inner[2]["status_message"]), (&json!("ERROR"), &json!("no luck")));
        assert_eq!(json_of(&inner[1], "links")[0]["attributes"], json!({"why": 1}));
        assert_eq!(json_of(&inner[1], "resource")["zone"], 7);
        let of = format!("property_get(process_properties, 'otel.resource.service.name') = '{service}'");
        let logs = place.query(&format!(
            "SELECT msg, level, property_get(properties, 'i') AS i, property_get(properties, 'otel.trace_id') AS trace \
             FROM log_entries WHERE {of} ORDER BY time"
        ));
        let expected =
            |i: i64| json!({"msg": format!("message {i}"), "level": 3, "i": i.to_string(), "trace": trace});
        assert_eq!(logs, (0..3).map(expected).collect::<Vec<_>>());
        let sums = place.query(&format!(
            "SELECT property_get(properties, 'odd') AS odd, max(value) AS total FROM measures \
             WHERE {of} AND name = 'sdk.count' GROUP BY 1 ORDER BY 1"
        ));
        assert_eq!(sums, [json!({"odd": "false", "total": 6.0}), json!({"odd": "true", "total": 4.0})]);
        let histogram = place.query(&format!(
            "SELECT max(count) AS count, max(sum) AS sum, max(max) AS max FROM otel_metrics WHERE {of} AND name = 'sdk.time'"
        ));
        assert_eq!(histogram, [json!({"count": 5, "sum": 15.0, "max": 6.0})]);
    }
    if let Some(modules) = node {
        let sent =
            send(std::process::Command::new("node").arg(sdk("send.js")).env("NODE_PATH", modules), &server);
        check_sdk_span(&place, &sent);
        let logs = place.query("SELECT msg FROM log_entries WHERE exe = 'sdk-json' ORDER BY msg");
        assert_eq!(logs, [0, 1, 2].map(|i| json!({"msg": json!({"sent": i}).to_string()})));
        assert_eq!(json!(logs.len()), sent["logs"]);
    }
}

fn check_sdk_span(place: &Place, sent: &Value) {
    let (trace, outer) = (sent["trace_id"].as_str().unwrap(), sent["outer"].as_str().unwrap());
    let rows = place.query(&format!(
        "SELECT name, exe, parent_span_id, properties, events, scope_name FROM otel_spans \
         WHERE trace_id = X'{trace}' AND span_id = X'{outer}'"
    ));
    assert_eq!(rows.len(), 1, "{sent}");
    let row = &rows[0];
    let seen = (&row["name"], &row["exe"], &row["parent_span_id"], &row["scope_name"]);
    assert_eq!(seen, (&json!("outer"), &sent["service"], &Value::Null, &json!("sdk.test")));
    let properties = json_of(row, "properties");
    assert!(is_same(&own(&properties), &sent["attributes"]), "{properties} {sent}");
    assert_eq!(json_of(row, "events")[0]["attributes"]["n"], 1);
}

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
