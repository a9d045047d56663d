//! The promises of all view sets, for these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use crate::json::to_message;
use crate::signal::Signal;
use belvedere_testkit::{FakePayload, FakeProcess, START};
use serde_json::{Value, json};

belvedere_testkit::conformance! {
    otel_spans: Subject { view_set: "otel_spans", registrations: crate::registrations, sample: super::spans },
    otel_metrics: Subject { view_set: "otel_metrics", registrations: crate::registrations, sample: super::metrics },
}

/// Spans in traces of four, each with a name of its own.
fn spans(count: usize) -> FakeProcess {
    sample(Signal::Traces, count, span)
}

/// Metrics of all kinds with one point each, each with a name and an attribute of its own.
fn metrics(count: usize) -> FakeProcess {
    sample(Signal::Metrics, count, metric)
}

/// Two blocks of one resource, of records that are numbered from 0. Senders use JSON or protobuf: so one is this, one
/// that.
fn sample(signal: Signal, count: usize, record: fn(usize) -> Value) -> FakeProcess {
    let (scopes, records) = match signal {
        Signal::Traces => ("scopeSpans", "spans"),
        Signal::Logs => ("scopeLogs", "logRecords"),
        Signal::Metrics => ("scopeMetrics", "metrics"),
    };
    let blocks = [0..count / 2, count / 2..count].map(|numbers| {
        let (begin, end) = (1000 * numbers.start as i64, 1000 * numbers.end as i64 - 1);
        let of_block: Vec<Value> = numbers.map(record).collect();
        let events = of_block.len() as i32;
        let resource = json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            scopes: [{"scope": {"name": "checkout", "version": "1.2"}, records: of_block}],
        });
        let text = resource.to_string();
        let objects = match begin {
            0 => text.into_bytes(),
            _ => to_message(signal.of_resource(), &text).unwrap(),
        };
        FakePayload { begin, end, events, objects }
    });
    let mut program = FakeProcess::new("shop");
    program.process.properties = vec![("service.name".to_owned(), "shop".to_owned())];
    program.stream_of(signal.tag(), signal.format(), blocks);
    program
}

fn span(i: usize) -> Value {
    let start = START + 1000 * i as i64;
    let (trace_id, span_id) =
        (|number: usize| format!("{number:032x}"), |number: usize| format!("{number:016x}"));
    let first = i / 4 * 4;
    json!({
        "traceId": trace_id(1 + i / 4),
        "spanId": span_id(1 + i),
        "parentSpanId": (i != first).then(|| span_id(1 + first)),
        "traceState": i.is_multiple_of(5).then_some("vendor=1"),
        "name": format!("order {i}"),
        "kind": i % 6,
        "startTimeUnixNano": start,
        "endTimeUnixNano": start + 500,
        "attributes": [
            {"key": "order", "value": {"intValue": i}},
            {"key": "items", "value": {"arrayValue": {"values": [{"stringValue": "tea"}, {"boolValue": true}]}}},
        ],
        "droppedEventsCount": i % 2,
        "events": [{
            "timeUnixNano": start + 100,
            "name": "paid",
            "attributes": [{"key": "sum", "value": {"doubleValue": 1.5}}],
        }],
        "links": [{"traceId": trace_id(2 + i), "spanId": span_id(2 + i)}],
        "status": {"code": i % 3, "message": (i % 3 == 2).then_some("there is no tea")},
    })
}

fn metric(i: usize) -> Value {
    let time = START + 1000 * i as i64;
    let (kind, mut point) = match i % 5 {
        0 => ("gauge", json!({"asDouble": i as f64 / 4.0})),
        1 => (
            "sum",
            json!({
                "asInt": i,
                "startTimeUnixNano": START,
                "exemplars": [{"timeUnixNano": time, "asInt": 1, "spanId": "eee19b7ec3c1b174"}],
            }),
        ),
        2 => (
            "histogram",
            json!({"count": 3, "sum": 4.5, "min": 0.5, "max": 3, "bucketCounts": [1, 2], "explicitBounds": [1]}),
        ),
        3 => (
            "exponentialHistogram",
            json!({"count": 3, "scale": -1, "zeroCount": 1, "positive": {"offset": -2, "bucketCounts": [1, 1]}}),
        ),
        _ => {
            ("summary", json!({"count": 3, "sum": 4.5, "quantileValues": [{"quantile": 0.5, "value": 1.5}]}))
        }
    };
    point["timeUnixNano"] = json!(time);
    point["attributes"] = json!([{"key": "order", "value": {"stringValue": format!("order {i}")}}]);
    // what a kind does not have is passed over
    json!({
        "name": format!("metric {i}"),
        "description": "made up",
        "unit": "1",
        kind: {"dataPoints": [point], "aggregationTemporality": 1 + i % 2, "isMonotonic": i.is_multiple_of(2)},
    })
}
