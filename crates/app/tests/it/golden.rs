//! The documented schema is the seed's, and rows are those that an independent server of the protocol gives.

use crate::support::{BELVEDERE, Place, recording, replay, testdata};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use base64::Engine;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn the_seeds_columns_stand_first_in_its_order_with_its_names_and_types() {
    let seed: Value = serde_json::from_slice(&std::fs::read(testdata("seed-schema.json")).unwrap()).unwrap();
    let output = Command::new(BELVEDERE).args(["schema", "--format", "json"]).output().unwrap();
    let ours: Value = serde_json::from_slice(&output.stdout).unwrap();
    let built = ["blocks", "processes", "streams"]
        .into_iter()
        .chain(cfg!(feature = "log").then_some("log_entries"))
        .chain(cfg!(feature = "metrics").then_some("measures"))
        .chain(cfg!(feature = "net").then_some("net_spans"))
        .chain(cfg!(feature = "spans").then_some("thread_spans"))
        .chain(cfg!(feature = "spans").then_some("async_events"));
    for name in built {
        let (set, seed) = (&ours["view_sets"][name], &seed["view_sets"][name]);
        let seed_columns = seed["columns"].as_array().unwrap();
        let columns = set["columns"].as_array().unwrap();
        for (column, seed_column) in columns.iter().zip(seed_columns) {
            assert_eq!(column["name"], seed_column["name"], "{name}");
            assert_eq!(column["type"], seed_column["type"], "{name}.{}", column["name"]);
        }
        assert!(columns.len() >= seed_columns.len(), "{name}");
        assert!(columns.iter().all(|c| !c["description"].as_str().unwrap().is_empty()), "{name}");
        assert_eq!(set["instances"], seed["instances"], "{name}");
    }
}

/// A table of the view set that has rows after native-old and net-small.
fn from(name: &str, set: &Value) -> String {
    let instances = set["instances"].as_array().unwrap();
    match name {
        _ if instances.contains(&json!("global")) => name.to_owned(),
        "net_spans" => format!("view_instance('{name}', '5ae2d1de-2701-4c09-a981-a6a8c42f4082')"),
        _ if instances.contains(&json!("process")) => {
            format!("view_instance('{name}', 'dbecb4f8-5a91-4738-81f2-b33c97d2043a')")
        }
        _ => format!("view_instance('{name}', '1889189e-a9d6-4faf-b82c-7c9a457b63c3')"),
    }
}

/// What leaves as Parquet or Arrow has the documented types, names and order.
#[test]
fn files_have_the_documented_types() {
    let place = Place::new();
    let server = place.serve(&[]);
    for name in ["native-old", "net-small"].into_iter().chain(cfg!(feature = "otel").then_some("otlp-small"))
    {
        replay(&server, &recording(&testdata(&format!("recordings/{name}.jsonl.gz"))));
    }
    let schema = Command::new(BELVEDERE).args(["schema", "--format", "json"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    for (name, set) in schema["view_sets"].as_object().unwrap() {
        let file = place.directory.path().join(format!("{name}.parquet"));
        let status = place
            .command("query")
            .args([&format!("SELECT * FROM {}", from(name, set)), "--format", "parquet", "--output"])
            .arg(&file)
            .status()
            .unwrap();
        assert!(status.success());
        let rows = read_parquet(&file);
        assert!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() > 0, "{name}");
        for (field, column) in rows[0].schema().fields().iter().zip(set["columns"].as_array().unwrap()) {
            assert_eq!(column["name"], field.name().as_str());
            let expected = column["type"].as_str().unwrap();
            let found = match field.data_type() {
                DataType::Timestamp(unit, Some(zone)) => format!("Timestamp({unit:?}, \"{zone}\")"),
                DataType::List(item) if item.data_type().is_nested() => {
                    "List(Struct(key: Utf8, value: Utf8))".to_owned()
                }
                DataType::List(item) => format!("List({})", item.data_type()),
                other => other.to_string(),
            };
            assert_eq!(found, expected, "{name}.{}", field.name());
        }
    }
}

pub(crate) fn read_parquet(path: &std::path::Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// A value as text, whatever type either side gives it.
fn text(column: &ArrayRef, row: usize) -> String {
    // only that value is converted
    let (column, row) = (&column.slice(row, 1), 0);
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::FixedSizeBinary(_) => {
            column.as_fixed_size_binary().value(row).iter().map(|byte| format!("{byte:02x}")).collect()
        }
        DataType::Binary => json_of(column.as_binary::<i32>().value(row)),
        DataType::Dictionary(_, value) => text(&cast(column, value).unwrap(), row),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            // the other server keeps microseconds, and converts ticks with them: compared as milliseconds
            let time = cast(column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(row);
            (time / 1_000_000).to_string()
        }
        DataType::List(_) => json_of_list(&column.as_list::<i32>().value(row)),
        _ => cast(column, &DataType::Utf8).unwrap().as_string::<i32>().value(row).to_owned(),
    }
}

/// JSONB as JSON with sorted keys; any other binary as base64.
fn json_of(bytes: &[u8]) -> String {
    match belvedere_model::jsonb::Jsonb::new(bytes)
        .map(|value| value.to_string())
        .map(|json| serde_json::from_str::<Value>(&json))
    {
        Some(Ok(value)) => value.to_string(),
        _ => base64::engine::general_purpose::STANDARD.encode(bytes),
    }
}

/// A list of {key, value} as the JSON object it stands for; a list of texts as JSON.
fn json_of_list(list: &ArrayRef) -> String {
    match list.as_struct_opt() {
        Some(pairs) => {
            let (keys, values) = (pairs.column(0).clone(), pairs.column(1).clone());
            let object: BTreeMap<String, String> =
                (0..pairs.len()).map(|i| (text(&keys, i), text(&values, i))).collect();
            json!(object).to_string()
        }
        None => json!((0..list.len()).map(|i| text(list, i)).collect::<Vec<_>>()).to_string(),
    }
}

/// Rows as texts, sorted: of each row its columns in the order of `columns`.
pub(crate) fn rows_of(batches: &[RecordBatch], columns: &[&str]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches {
        let arrays: Vec<&ArrayRef> = columns
            .iter()
            .map(|c| batch.column_by_name(c).unwrap_or_else(|| panic!("no column {c}")))
            .collect();
        rows.extend((0..batch.num_rows()).map(|i| arrays.iter().map(|a| text(a, i)).collect::<Vec<_>>()));
    }
    rows.sort();
    rows
}

#[test]
fn rows_are_those_of_an_independent_server_of_the_protocol() {
    let place = Place::new();
    let server = place.serve(&[]);
    for name in ["native-old", "net-small"] {
        let requests = recording(&testdata(&format!("recordings/{name}.jsonl.gz")));
        replay(&server, &requests);
        let process = crate::support::main_id(&requests[0]).unwrap();
        let mut views = vec!["blocks", "streams", "processes", "log_entries", "measures"];
        views.extend(if name == "net-small" {
            ["net_spans"].as_slice()
        } else {
            &["async_events", "thread_spans"]
        });
        for view in views {
            let expected = read_parquet(&testdata(&format!("expected/{name}/{view}.parquet")));
            let file = place.directory.path().join("rows.parquet");
            let sql = match view {
                "net_spans" | "async_events" => format!("SELECT * FROM view_instance('{view}', '{process}')"),
                "thread_spans" => format!("SELECT * FROM process_spans('{process}', 'thread')"),
                _ => format!("SELECT * FROM {view} WHERE process_id = '{process}'"),
            };
            let output = place
                .command("query")
                .args([&sql, "--format", "parquet", "--output"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let found = read_parquet(&file);
            // times of events are estimated by each server from what it has seen: compared below
            let of_the_server = [
                "insert_time",
                "streams.insert_time",
                "processes.insert_time",
                "last_update_time",
                "time",
                "begin",
                "end",
                "duration",
                "begin_time",
                "end_time",
            ];
            let schema = expected[0].schema();
            let columns: Vec<&str> = schema
                .fields()
                .iter()
                .map(|f| f.name().as_str())
                .filter(|c| !of_the_server.contains(c))
                .collect();
            let (found_rows, expected_rows) = (rows_of(&found, &columns), rows_of(&expected, &columns));
            if (name, view) == ("net-small", "log_entries") {
                // sent by a newer client: the other server does not know some of its event types
                assert!(expected_rows.iter().all(|row| found_rows.contains(row)), "{found_rows:#?}");
                continue;
            }
            assert_eq!(found_rows.len(), expected_rows.len(), "{name} {view}");
            for (found, expected) in found_rows.iter().zip(&expected_rows) {
                assert_eq!(found, expected, "{name} {view} {columns:?}");
            }
            match view {
                "log_entries" | "measures" | "async_events" => {
                    check_times(&found, &expected, ["block_id", "time"])
                }
                "thread_spans" => {
                    check_times(&found, &expected, ["stream_id", "begin"]);
                    check_times(&found, &expected, ["stream_id", "end"]);
                }
                "net_spans" => {
                    check_times(&found, &expected, ["stream_id", "begin_time"]);
                    check_times(&found, &expected, ["stream_id", "end_time"]);
                }
                _ => {}
            }
        }
    }
}

/// Times in the order of each block's events, within two milliseconds of the other server's.
fn check_times(found: &[RecordBatch], expected: &[RecordBatch], columns: [&str; 2]) {
    let (found, expected) = (rows_of(found, &columns), rows_of(expected, &columns));
    for (a, b) in found.iter().zip(&expected) {
        let (x, y): (i64, i64) = (a[1].parse().unwrap(), b[1].parse().unwrap());
        assert!(a[0] == b[0] && (x - y).abs() <= 2, "{a:?} {b:?}");
    }
}
