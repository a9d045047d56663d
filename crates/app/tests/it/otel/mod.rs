//! OpenTelemetry: what SDKs sent is what SQL gives back, however it came and however rows are kept.

mod recordings;
mod requests;
mod sdk;
mod service;

pub(crate) use service::lake;

use crate::golden::{read_parquet, rows_of};
use crate::support::{Place, Request, recording, replay, testdata};
use belvedere::core::Lake;
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use serde_json::{Map, Value, json};

fn requests(name: &str) -> Vec<Request> {
    recording(&testdata(&format!("recordings/{name}.jsonl.gz")))
}

/// Rows that don't depend on the server: everything but its own clock, how it names and packs blocks, and the ids that
/// it gives to processes: the other server looks at fewer attributes.
fn is_comparable(column: &str) -> bool {
    !["insert_time", "process_id", "stream_id"].iter().any(|own| column.contains(own))
        && !["block_id", "last_update_time", "payload_size"].contains(&column)
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
