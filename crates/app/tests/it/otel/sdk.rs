//! Unmodified SDKs.

use super::{is_same, json_of, own};
use crate::support::{Place, Server};
use belvedere_testkit::backend;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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
