//! What recorded programs counted themselves is what SQL gives back, right after the last 200.

use crate::support::{Place, recording, replay, testdata};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Directories with recordings: the repository's, and the one that the environment names.
fn recordings(names: &[&str]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        names.iter().map(|n| testdata("recordings").join(format!("{n}.jsonl.gz"))).collect();
    if let Ok(more) = std::env::var("BELVEDERE_RECORDINGS") {
        for name in ["native-medium", "native-large"] {
            paths.push(Path::new(&more).join(format!("{name}.jsonl.gz")));
        }
    }
    paths
}

/// Targets of logs that the client libraries emit themselves.
const OF_LIBRARIES: &str = "target NOT LIKE 'micromegas\\_%' ESCAPE '\\'";
/// Metrics that the stock client builder emits itself.
const SYSTEM_METRICS: &str = "name NOT IN ('total_memory', 'used_memory', 'free_memory', 'cpu_usage', \
                              'process_resident_bytes', 'process_virtual_bytes')";

#[test]
fn every_native_recording_gives_what_its_program_counted_on_every_backend() {
    for (backend, place) in Place::all() {
        let server = place.serve(&[]);
        let mut truths = Vec::new();
        for path in recordings(&["native-small", "native-old", "net-small"]) {
            let statuses = replay(&server, &recording(&path));
            assert!(statuses.iter().all(|s| *s == 200), "{backend}: {}", path.display());
            let truth = path.display().to_string().replace(".jsonl.gz", ".truth.json");
            truths.push(serde_json::from_slice::<Value>(&std::fs::read(truth).unwrap()).unwrap());
        }
        for process in truths.iter().flat_map(|t| t["processes"].as_array().unwrap()) {
            eprintln!("{backend}: {}", process["process"]["exe"]);
            check_process(&place, process);
            check_log_counts(&place, process);
            check_messages(&place, process);
            check_metrics(&place, process);
            check_series(&place, process);
        }
        server.stop();
    }
}

fn id(process: &Value) -> &str {
    process["process"]["process_id"].as_str().unwrap()
}

fn check_process(place: &Place, process: &Value) {
    let truth = &process["process"];
    let rows = place.query(&format!("SELECT * FROM processes WHERE process_id = '{}'", id(process)));
    assert_eq!(rows.len(), 1);
    for column in ["exe", "username", "computer", "tsc_frequency"] {
        assert_eq!(rows[0][column], truth[column], "{column}");
    }
    let parent = truth["parent_process_id"].as_str().unwrap_or_default();
    assert_eq!(rows[0]["parent_process_id"], parent);
    let properties: BTreeMap<&str, &str> = rows[0]["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["key"].as_str().unwrap(), p["value"].as_str().unwrap()))
        .collect();
    for (key, value) in truth["properties_set_by_program"].as_object().unwrap() {
        assert_eq!(properties.get(key.as_str()).copied(), value.as_str(), "{key}");
    }
}

/// Counts by level, and by target and level with the bytes of the messages; from the instance of the process
/// and from the global one.
fn check_log_counts(place: &Place, process: &Value) {
    let levels = ["", "fatal", "error", "warn", "info", "debug", "trace"];
    for from in [
        format!("view_instance('log_entries', '{}') WHERE", id(process)),
        format!("log_entries WHERE process_id = '{}' AND", id(process)),
    ] {
        let rows = place.query(&format!(
            "SELECT level, target, count(*) AS count, sum(octet_length(msg)) AS bytes \
             FROM {from} {OF_LIBRARIES} GROUP BY level, target"
        ));
        let mut by_level: BTreeMap<String, i64> = BTreeMap::new();
        for row in &rows {
            let level = levels[row["level"].as_u64().unwrap() as usize];
            *by_level.entry(level.to_owned()).or_default() += row["count"].as_i64().unwrap();
            let truth = &process["logs_by_target"][row["target"].as_str().unwrap()][level];
            assert_eq!(row["count"], truth["count"], "{row}");
            if truth["inexact"] == 0 {
                assert_eq!(row["bytes"], truth["msg_bytes"], "{row}");
            }
        }
        assert_eq!(json!(by_level), process["logs_by_level"]);
    }
}

/// Each message of the truth is there with its level, target, text and properties.
fn check_messages(place: &Place, process: &Value) {
    let rows = place.query(&format!(
        "SELECT level, target, msg, property_get(properties, 'artifact') AS artifact, \
         property_get(properties, 'step') AS step, property_get(properties, 'category') AS category \
         FROM view_instance('log_entries', '{}') WHERE {OF_LIBRARIES}",
        id(process)
    ));
    let levels = ["", "fatal", "error", "warn", "info", "debug", "trace"];
    for log in process["logs"].as_array().unwrap() {
        let is_bridged = ["tracing-crate", "log-crate-via-tracing"].contains(&log["api"].as_str().unwrap());
        let text = log["msg"].as_str().unwrap();
        let found = rows.iter().any(|row| {
            let msg = row["msg"].as_str().unwrap();
            levels[row["level"].as_u64().unwrap() as usize] == log["level"]
                && row["target"] == log["target"]
                && (if is_bridged { msg.starts_with(text) } else { msg == text })
                && ["artifact", "step", "category"]
                    .iter()
                    .all(|p| log["properties"][p].is_null() || row[p] == log["properties"][p])
        });
        assert!(found, "{log}");
    }
    if process["logs_complete"] == true {
        assert_eq!(rows.len(), process["logs"].as_array().unwrap().len());
    }
}

fn check_metrics(place: &Place, process: &Value) {
    // by name and unit only: the truth does not know of targets that are given at a call site
    let rows = place.query(&format!(
        "SELECT name, unit, count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max \
         FROM view_instance('measures', '{}') WHERE {SYSTEM_METRICS} GROUP BY name, unit",
        id(process)
    ));
    let mut found: BTreeMap<String, (i64, f64, f64, f64)> = BTreeMap::new();
    for row in &rows {
        let name = row["name"].as_str().unwrap();
        let truth = &process["metrics"][name];
        assert_eq!(row["unit"], truth["unit"], "{row}");
        let f = |key: &str| row[key].as_f64().unwrap();
        let entry = found.entry(name.to_owned()).or_insert((0, 0.0, f64::INFINITY, f64::NEG_INFINITY));
        entry.0 += row["count"].as_i64().unwrap();
        entry.1 += f("sum");
        entry.2 = entry.2.min(f("min"));
        entry.3 = entry.3.max(f("max"));
    }
    let truth: BTreeMap<String, (i64, f64, f64, f64)> = process["metrics"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, m)| {
            let f = |key: &str| m[key].as_f64().unwrap();
            (name.clone(), (m["count"].as_i64().unwrap(), f("sum"), f("min"), f("max")))
        })
        .collect();
    assert_eq!(found, truth);
}

/// Counts and sums by name and properties: `name{key=value,key=value}`.
fn check_series(place: &Place, process: &Value) {
    let truth = process["metric_series"].as_object().unwrap();
    let mut keys: Vec<&str> = truth
        .keys()
        .filter_map(|series| series.split_once('{'))
        .flat_map(|(_, set)| set.trim_end_matches('}').split(','))
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, _)| key)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let columns: String =
        keys.iter().map(|k| format!(", property_get(properties, '{k}') AS \"{k}\"")).collect();
    let groups: String = (0..keys.len()).map(|i| format!(", {}", i + 4)).collect();
    let rows = place.query(&format!(
        "SELECT name, count(*) AS count, sum(value) AS sum{columns} \
         FROM view_instance('measures', '{}') WHERE {SYSTEM_METRICS} GROUP BY name{groups}",
        id(process)
    ));
    let mut found = serde_json::Map::new();
    for row in rows {
        let set: Vec<String> =
            keys.iter().filter_map(|k| row[*k].as_str().map(|value| format!("{k}={value}"))).collect();
        if !set.is_empty() {
            let name = format!("{}{{{}}}", row["name"].as_str().unwrap(), set.join(","));
            found.insert(name, json!({ "count": row["count"], "sum": row["sum"] }));
        }
    }
    assert_eq!(Value::Object(found), process["metric_series"]);
}
