//! Recordings of SDKs give what their programs counted.

use super::{is_same, json_of, own};
use crate::support::{Place, Request, recording, replay, testdata};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The recordings with their truths: the repository's, and the one that the environment has.
fn recordings() -> Vec<PathBuf> {
    let mut paths = vec![testdata("recordings/otlp-small.jsonl.gz")];
    if let Ok(more) = std::env::var("BELVEDERE_RECORDINGS") {
        paths.push(Path::new(&more).join("otlp-medium.jsonl.gz"));
    }
    paths
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
