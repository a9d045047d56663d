//! Requests that are refused, sent again, and joined with those of other programs.

use super::requests;
use crate::support::{Place, Server, replay};
use serde_json::{Value, json};
use std::io::Write;

/// Recording, and the requests (counted from 1) that are not answered 200. See `bad/README.md`.
const BAD: &[(&str, &[(usize, u16)])] = &[
    ("otlp-bad-gzip", &[(2, 400), (3, 400), (4, 400)]),
    ("otlp-bad-ids", &[]),
    ("otlp-bad-json", &[(2, 400), (4, 400), (5, 400), (6, 400)]),
    ("otlp-bad-times", &[]),
    ("otlp-content-types", &[(2, 415), (3, 415), (4, 400), (5, 400)]),
    ("otlp-deep", &[]),
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
    // a sender that is still sending gets the answer, too, and can go on with the connection
    let large = vec![0; 5 << 20];
    assert_eq!(connection.send("POST", "/v1/traces", &protobuf, &large).0, 413);
    for path in ["/v1/logs/", "//v1/logs", "//v1/logs//?x=1", "/ingestion/otlp//v1/logs"] {
        assert_eq!(connection.send("POST", path, &json, b"{}"), (200, "{}".to_owned()), "{path}");
    }
    for path in ["/v1/logs/v1/logs", "/", "/v1/log", "/v1/traces/v1/logs/", "/V1/logs", "/v1/profiles"] {
        let (status, body) = connection.send("POST", path, &json, b"{}");
        assert!(
            status == 404 && body.contains("/v1/traces, /v1/logs, /v1/metrics"),
            "{path}: {status} {body}"
        );
    }
}

/// Log records of services without names, as a script sends them.
fn nameless(record: &str, services: usize) -> String {
    let resource = format!(r#"{{"scopeLogs":[{{"logRecords":[{record}]}}]}}"#);
    format!(r#"{{"resourceLogs":[{}]}}"#, vec![resource; services].join(","))
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
    let record = r#"{"observedTimeUnixNano":"1790000000000000000","body":{"stringValue":"x"}}"#;
    // twice the same in one request
    send(&nameless(record, 2));
    assert_eq!(count(), 2);
    // again, and compressed
    send(&nameless(record, 2));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(nameless(record, 2).as_bytes()).unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let gzip = gzip.finish().unwrap();
    assert_eq!(server.connect().send("POST", "/v1/logs", &headers, &gzip).0, 200);
    assert_eq!(count(), 2);
    // the same event in another request
    send(&nameless(record, 1));
    assert_eq!(count(), 3);
    // events that don't say when they happened may have happened again
    let timeless = nameless(r#"{"body":{"stringValue":"nightly job started"}}"#, 1);
    (0..3).for_each(|_| send(&timeless));
    assert_eq!(count(), 6);
    let metrics = server.connect().get("/metrics").1;
    assert!(metrics.contains("belvedere_blocks_repeated_total 4\n"), "{metrics}");
}

#[test]
fn replicas_and_environments_of_a_service_are_processes_of_their_own() {
    let place = Place::new();
    let server = place.serve(&[]);
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    for (environment, pod, records) in
        [("staging", "pods-1", 3), ("prod", "pods-2", 2), ("prod", "pods-3", 1)]
    {
        let record = |i: usize| json!({"timeUnixNano": 1_790_000_000_000_000_000_u64 + i as u64});
        let body = json!({"resourceLogs": [{
            "resource": {"attributes": [
                attribute("service.name", "pods"),
                attribute("deployment.environment.name", environment),
                attribute("k8s.pod.name", pod),
            ]},
            "scopeLogs": [{"logRecords": (0..records).map(record).collect::<Vec<_>>()}],
        }]});
        let json = [("content-type", "application/json")];
        assert_eq!(server.connect().send("POST", "/v1/logs", &json, body.to_string().as_bytes()).0, 200);
    }
    let rows = place.query(
        "SELECT property_get(process_properties, 'otel.resource.deployment.environment.name') AS env, count(*) AS n, \
         count(DISTINCT process_id) AS processes FROM log_entries WHERE exe = 'pods' GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(
        rows,
        [json!({"env": "prod", "n": 3, "processes": 2}), json!({"env": "staging", "n": 3, "processes": 1})]
    );
}

#[test]
fn what_is_dropped_of_a_request_is_counted_and_named_and_what_is_no_otlp_is_refused() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut connection = server.connect();
    let mut send = |signal: &str, body: Value| -> (u16, Value) {
        let json = [("content-type", "application/json")];
        let path = format!("/v1/{signal}");
        let (status, body) = connection.send("POST", &path, &json, body.to_string().as_bytes());
        (status, serde_json::from_str(&body).unwrap())
    };
    let time = "1790000000000000000";
    let zeros = json!({"traceId": "0".repeat(32), "spanId": "0".repeat(16)});
    let with = |mut record: Value, more: Value| {
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    // zeros are no ids: right for a log record, not for a span
    let log = with(json!({"timeUnixNano": time, "body": {"stringValue": "no trace"}}), zeros.clone());
    let answer = send("logs", json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}));
    assert_eq!(answer, (200, json!({})));
    let span = with(json!({"name": "invalid", "startTimeUnixNano": time, "endTimeUnixNano": time}), zeros);
    let (status, body) = send("traces", json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}));
    assert_eq!((status, &body["partialSuccess"]["rejectedSpans"]), (200, &json!("1")), "{body}");
    assert!(body["partialSuccess"]["errorMessage"].as_str().unwrap().contains("(invalid)"), "{body}");
    // nothing was measured, whatever stands there
    let points =
        json!([{"timeUnixNano": time, "asDouble": 1}, {"timeUnixNano": time, "flags": 1, "asDouble": 0}]);
    let metric = json!({"name": "up", "gauge": {"dataPoints": points}});
    let answer = send("metrics", json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}));
    assert_eq!(answer, (200, json!({})));
    // a value that is too deep costs no other
    let mut deep = json!({"intValue": "1"});
    for _ in 0..100 {
        deep = json!({"kvlistValue": {"values": [{"key": "a", "value": deep}]}});
    }
    let attributes = json!([{"key": "deep", "value": deep}, {"key": "flat", "value": {"boolValue": true}}]);
    let log = json!({"timeUnixNano": time, "body": {"stringValue": "deep"}, "attributes": attributes});
    let (status, body) = send("logs", json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}));
    let message = "1 value is nested deeper than 60 levels: what is deeper is null (deep)";
    let expected = json!({"partialSuccess": {"rejectedLogRecords": "0", "errorMessage": message}});
    assert_eq!((status, body), (200, expected));

    let rows = place.query(
        "SELECT msg, property_get(properties, 'otel.trace_id') AS trace, property_get(properties, 'flat') AS flat, \
         property_get(properties, 'deep') IS NULL AS is_shallow FROM log_entries ORDER BY msg",
    );
    assert_eq!(
        rows,
        [
            json!({"msg": "deep", "trace": null, "flat": "true", "is_shallow": false}),
            json!({"msg": "no trace", "trace": null, "flat": null, "is_shallow": true}),
        ]
    );
    assert_eq!(place.number("SELECT count(*) AS n FROM otel_spans"), 0);
    assert_eq!(place.query("SELECT value FROM measures"), [json!({"value": 1.0})]);
    let points = place.query("SELECT value, flags FROM otel_metrics ORDER BY flags");
    assert_eq!(points, [json!({"value": 1.0, "flags": 0}), json!({"value": null, "flags": 1})]);

    let (status, body) = send("traces", json!({"resourceLogs": [{"scopeLogs": []}]}));
    assert_eq!((status, &body["code"]), (400, &json!(3)), "{body}");
    assert!(body["message"].as_str().unwrap().contains("send it to /v1/logs"), "{body}");
    let log = json!({"timeUnixNano": time, "attributes": {"user": "ada"}});
    let (status, body) = send("logs", json!({"resourceLogs": [{}, {"scopeLogs": [{"logRecords": [log]}]}]}));
    let place = "(at resourceLogs[1].scopeLogs[0].logRecords[0].attributes)";
    assert!(status == 400 && body["message"].as_str().unwrap().contains(place), "{body}");
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

#[test]
fn nobody_is_taken_for_a_service_by_being_first_with_its_id_and_its_spans_are_drawn() {
    use belvedere_model::ProcessInfo;
    use uuid::Uuid;

    let json = [("content-type", "application/json")];
    let spans = |count: u8| {
        let spans: Vec<Value> = (1..=count)
            .map(|i| {
                json!({
                    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": format!("eee19b7ec3c1b17{i}"),
                    "parentSpanId": if i > 1 { "eee19b7ec3c1b171" } else { "" },
                    "name": if i > 1 { "query" } else { "GET /harbor" },
                    "startTimeUnixNano": "1700000000000000000",
                    "endTimeUnixNano": (1_700_000_000_000_000_000_i64 + 1_000_000 / i64::from(i)).to_string(),
                })
            })
            .collect();
        let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).to_string()
    };
    // what the id of the service is, anybody can find out
    let elsewhere = Place::new();
    let server = elsewhere.serve(&[]);
    Server::connect_to(&server.otlp_http).send("POST", "/v1/traces", &json, spans(1).as_bytes());
    let id = elsewhere.query("SELECT DISTINCT process_id FROM otel_spans")[0]["process_id"].clone();
    server.stop();
    let id: Uuid = id.as_str().unwrap().parse().unwrap();
    let native =
        |exe: &str| ProcessInfo { process_id: id, exe: exe.to_owned(), ..ProcessInfo::default() }.encode();

    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(server.connect().post("/ingestion/insert_process", &native("evil")).0, 200);
    let mut otlp = Server::connect_to(&server.otlp_http);
    for count in [2, 2] {
        assert_eq!(otlp.send("POST", "/v1/traces", &json, spans(count).as_bytes()).0, 200);
    }
    let rows = place.query("SELECT DISTINCT exe, process_id FROM otel_spans");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["exe"], "shop");
    let own: Uuid = rows[0]["process_id"].as_str().unwrap().parse().unwrap();
    assert_ne!(own, id);
    let found = "SELECT count(*) AS n FROM otel_spans WHERE trace_id = '5b8efff798038103d269b633813fc60c'";
    assert_eq!(place.number(found), 2);
    // the other way round
    let late = ProcessInfo { process_id: own, exe: "evil".to_owned(), ..ProcessInfo::default() }.encode();
    let (status, why) = server.connect().post("/ingestion/insert_process", &late);
    assert!(status == 400 && why.contains(&own.to_string()), "{status} {why}");

    if cfg!(feature = "spans") {
        let picture = place.directory.path().join("shop.svg");
        let mut sources = vec![vec!["--lake".to_owned(), place.directory.path().display().to_string()]];
        if cfg!(all(feature = "cli-client", feature = "flight-sql")) {
            sources.push(vec!["--url".to_owned(), format!("grpc://{}", server.flight_sql)]);
        }
        for source in sources {
            let mut command = std::process::Command::new(&place.binary);
            command.args(["flame", &own.to_string(), "--strict", "-o"]).arg(&picture).args(source);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let svg = std::fs::read_to_string(&picture).unwrap();
            assert!(svg.contains("GET /harbor (1,000,000 ns") && svg.contains("query (500,000 ns"), "{svg}");
            std::fs::remove_file(&picture).unwrap();
        }
    }
}
