//! What users type, and what they get.

use crate::support::{BELVEDERE, Place, recording, replay, testdata};
use serde_json::{Value, json};
use std::process::Command;

/// A lake with the smallest recording; the server has left.
fn small_lake() -> Place {
    let place = Place::new();
    let server = place.serve(&[]);
    replay(&server, &recording(&testdata("recordings/native-small.jsonl.gz")));
    server.stop();
    place
}

#[test]
fn the_prober_finds_health_readiness_and_metrics() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut connection = server.connect();
    assert_eq!(connection.get("/health").0, 200);
    assert_eq!(connection.get("/ready").0, 200);
    replay(&server, &recording(&testdata("recordings/native-small.jsonl.gz")));
    connection.post("/ingestion/insert_block", b"not CBOR");
    let (status, text) = connection.get("/metrics");
    assert_eq!(status, 200);
    for line in [
        "belvedere_blocks_added_total 24",
        r#"belvedere_requests_total{route="insert_block",status="200"} 24"#,
        r#"belvedere_requests_total{route="insert_block",status="400"} 1"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_server_that_lost_its_database_is_not_ready_and_asks_to_be_tried_again() {
    let place = Place::new();
    let server = place.serve(&[]);
    let requests = recording(&testdata("recordings/native-small.jsonl.gz"));
    assert_eq!(server.connect().get("/health").0, 200);
    // the disk takes nothing any more: the directory of the records is a file
    std::fs::write(place.directory.path().join("records"), b"").unwrap();
    let (status, body) = server.connect().post(&requests[0].path, &requests[0].body);
    assert_eq!(status, 503, "{body}");
    assert!(!body.contains(place.directory.path().to_str().unwrap()) && !body.contains("records"), "{body}");
    let id = body.trim_end().rsplit(' ').next().unwrap_or_default();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{body}");
    std::fs::remove_file(place.directory.path().join("records")).unwrap();
    assert_eq!(server.connect().post(&requests[0].path, &requests[0].body).0, 200);
}

#[test]
fn a_retention_of_a_view_set_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let place = Place::new();
    place.serve(&[]).stop();
    let lake = place.directory.path().to_str().unwrap();
    for command in
        [&["serve", "--http", "127.0.0.1:0"][..], &["maintain", "--once"], &["maintain", "--dry-run"]]
    {
        for keep in [["--keep-view", "procesess=90d"], ["--keep-view-bytes", "procesess=5GB"]] {
            let mut belvedere = Command::new(BELVEDERE);
            let output = belvedere.args(command).args(["--lake", lake]).args(keep).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success(), "{command:?} {keep:?}: {said}");
            assert!(said.contains("no view set 'procesess'"), "{said}");
            for known in ["processes", "streams", "blocks"] {
                assert!(said.contains(known), "{known}: {said}");
            }
        }
    }
}

#[test]
fn ndjson_has_rfc_3339_times_base64_binary_and_nested_json() {
    let place = small_lake();
    let row = &place.query(
        "SELECT arrow_cast('2024-01-02T03:04:05.123456789Z', 'Timestamp(Nanosecond, Some(\"+00:00\"))') AS zoned, \
         timestamp '2024-01-02T03:04:05' AS plain, arrow_cast('hi', 'Binary') AS bytes, make_array(1, 2) AS list, \
         named_struct('a', 1, 'b', 'x') AS struct, 9007199254740993 AS big, 0.1 AS float, NULL AS nothing, \
         true AS flag, 'NaN'::double AS nan, 'ü\"' AS text",
    )[0];
    assert_eq!(
        *row,
        json!({
            "zoned": "2024-01-02T03:04:05.123456789Z", "plain": "2024-01-02T03:04:05.000000000Z",
            "bytes": "aGk=", "list": [1, 2], "struct": {"a": 1, "b": "x"}, "big": 9_007_199_254_740_993_i64,
            "float": 0.1, "nothing": null, "flag": true, "nan": null, "text": "ü\"",
        })
    );
}

#[test]
fn every_format_has_all_rows() {
    let place = small_lake();
    let sql = "SELECT level, count(*) AS n FROM log_entries GROUP BY level ORDER BY level LIMIT 2";
    let run = |format: &str| {
        let output = place.command("query").args([sql, "--format", format]).output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    assert_eq!(String::from_utf8(run("csv")).unwrap(), "level,n\n1,4\n2,27\n");
    assert_eq!(String::from_utf8(run("ndjson")).unwrap(), "{\"level\":1,\"n\":4}\n{\"level\":2,\"n\":27}\n");
    assert_eq!(
        serde_json::from_slice::<Value>(&run("json")).unwrap(),
        json!([{"level": 1, "n": 4}, {"level": 2, "n": 27}])
    );
    insta::assert_snapshot!(String::from_utf8(run("table")).unwrap());
    let stream = run("arrow");
    let arrow = arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).unwrap();
    assert_eq!(arrow.map(|b| b.unwrap().num_rows()).sum::<usize>(), 2);
    assert_eq!(&run("parquet")[..4], b"PAR1");
}

#[test]
fn a_time_range_is_about_events_and_each_bound_works_alone_and_is_inclusive() {
    let place = small_lake();
    let all = place.query("SELECT time FROM log_entries ORDER BY time");
    let (middle, count) = (all.len() / 2, all.len() as i64);
    let bound = all[middle]["time"].as_str().unwrap();
    let same = all.iter().filter(|r| r["time"] == bound).count() as i64;
    let before = all.iter().filter(|r| r["time"].as_str().unwrap() < bound).count() as i64;
    for from in [
        "log_entries".to_owned(),
        format!("view_instance('log_entries', '{}')", "91c05919-9f9a-438b-a935-2ef0ef852b09"),
        "(SELECT msg FROM log_entries) AS inner_query".to_owned(),
    ] {
        let sql = format!("SELECT count(*) AS n FROM {from}");
        let number = |flags: &[&str]| place.query_with(&sql, flags).0[0]["n"].as_i64().unwrap();
        assert_eq!(number(&[]), count);
        assert_eq!(number(&["--begin", bound]), count - before);
        assert_eq!(number(&["--end", bound]), before + same);
        assert_eq!(number(&["--begin", bound, "--end", bound]), same);
        assert_eq!(number(&["--begin", "2100-01-01T00:00:00Z"]), 0);
    }
    // what the SQL says about time leaves out no row that matches, and agrees with the range
    let sql = format!("SELECT count(*) AS n FROM log_entries WHERE time >= timestamp '{bound}'");
    assert_eq!(place.number(&sql), count - before);
    for view in ["blocks", "processes", "streams"] {
        let sql = format!("SELECT count(*) AS n FROM {view}");
        let number = |flags: &[&str]| place.query_with(&sql, flags).0[0]["n"].as_i64().unwrap();
        assert!(number(&["--begin", bound]) > 0, "{view}");
        assert_eq!(number(&["--begin", "2100-01-01T00:00:00Z"]), 0, "{view}");
        assert_eq!(number(&["--end", "2000-01-01T00:00:00Z"]), 0, "{view}");
    }
}

#[test]
fn statements_that_are_no_queries_are_refused_and_touch_nothing() {
    let place = small_lake();
    let target = place.directory.path().join("stolen.csv");
    for sql in [
        format!("COPY (SELECT 1) TO '{}'", target.display()),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'", place.directory.path().display()),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "DROP TABLE log_entries".to_owned(),
        "DELETE FROM log_entries".to_owned(),
        "INSERT INTO log_entries SELECT * FROM log_entries".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "SELECT * FROM '/etc/passwd'".to_owned(),
    ] {
        let output = place.try_query(&sql, &[]);
        assert!(!output.status.success(), "{sql}");
        assert!(output.stdout.is_empty(), "{sql}");
    }
    assert!(!target.exists());
    for sql in ["EXPLAIN SELECT * FROM log_entries", "SHOW TABLES", "DESCRIBE log_entries"] {
        assert!(!place.query(sql).is_empty(), "{sql}");
    }
}

/// One line on stderr says what is wrong and what to do.
#[test]
fn mistakes_are_explained_in_one_line() {
    let place = small_lake();
    let unknown = "00000000-0000-0000-0000-000000000000";
    let mut said = Vec::new();
    for sql in [
        "SELECT * FROM nope",
        "SELECT nope FROM log_entries",
        "SELEC 1",
        "SELECT nope(1)",
        "SELECT 1; SELECT 2",
        "SELECT * FROM view_instance('log_entrys', 'global')",
        "SELECT * FROM view_instance('log_entries', 'not-an-id')",
        "SELECT * FROM view_instance('processes', 'x')",
        "SELECT * FROM view_instance('log_entries')",
        "SELECT * FROM view_instance('log_entries', 1)",
        &format!("SELECT * FROM view_instance('log_entries', '{unknown}')"),
        "SELECT property_get(level, 'a') FROM log_entries",
        "SELECT property_get(properties, 1) FROM log_entries",
    ] {
        let output = place.try_query(sql, &[]);
        assert_eq!(output.status.code(), Some(1), "{sql}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        said.push(format!("{sql}\n  {stderr}"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_lake_that_is_not_there_is_not_made_by_asking() {
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path().join("none");
    let output = Command::new(BELVEDERE).args(["query", "SELECT 1", "--lake"]).arg(&lake).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("no lake in") && stderr.contains("belvedere serve"), "{stderr}");
    assert!(!lake.exists());
}

#[test]
fn off_loopback_is_refused_unless_told_so() {
    let place = Place::new();
    let output = place.command("serve").args(["--http", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--insecure"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let place = Place::new();
    let server = place.serve(&[]);
    let output = Place::new().command("serve").args(["--http", &server.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&server.address) && stderr.contains("127.0.0.1:0"), "{stderr}");
}

#[test]
fn parts_that_are_not_built_are_named_and_are_no_error() {
    let place = Place::new();
    let mut child = place
        .command("serve")
        .args(["--http", "127.0.0.1:0", "--flight-sql", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = Vec::new();
    for line in std::io::BufRead::lines(stderr).map_while(Result::ok) {
        let is_last = line.starts_with("listening http");
        said.push(line);
        if is_last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let says = |line: &str| said.iter().any(|s| s == line);
    assert_eq!(says("not built: flight-sql"), !cfg!(feature = "flight-sql"), "{said:?}");
    assert_eq!(says("not built: otlp-grpc"), !cfg!(feature = "otel"), "{said:?}");
}

#[cfg(feature = "prompt")]
#[test]
fn statements_from_a_pipe_are_answered_until_one_fails() {
    let place = small_lake();
    let run = |input: &str| {
        let output = crate::support::with_input(place.command("sql"), input);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, said, errors) =
        run("SELECT count(*) AS n\nFROM log_entries WHERE level = 1; -- ;\nSELECT 7 AS seven");
    assert!(said.contains("| 4 |") && said.contains("| seven |"), "{said}");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let (code, said, errors) = run("\\format csv\nSELECT ';' AS a; SELECT nope; SELECT 7 AS seven");
    assert_eq!((code, said.as_str()), (Some(1), "a\n;\n"));
    assert!(errors.contains("nope") && errors.lines().count() == 1, "{errors}");
    let (code, said, _) = run("\\d log_entries");
    assert!(code == Some(0) && said.contains("1 fatal, 2 error") && said.contains("msg"), "{said}");
    let (code, _, errors) = run("\\nope");
    assert!(code == Some(1) && errors.contains("\\h lists all commands"), "{errors}");
}

#[test]
fn views_and_schema_need_no_lake() {
    let run = |args: &[&str]| {
        let output = Command::new(BELVEDERE).args(args).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let views = run(&["views"]);
    let schema = run(&["schema"]);
    for name in ["blocks", "processes", "streams", "log_entries", "measures"] {
        assert!(views.contains(name), "{views}");
        assert!(schema.contains(&format!("# {name}\n")), "{schema}");
    }
    assert!(run(&["schema", "log_entries"]).contains("| `msg` | Utf8 |"));
    let output = Command::new(BELVEDERE).args(["schema", "nope"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

/// The examples in the documentation give rows.
#[test]
fn the_example_of_every_view_set_and_a_call_of_every_function_work() {
    let place = small_lake();
    let output = Command::new(BELVEDERE).args(["schema", "--format", "json"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = |sql: &str| place.query(sql)[0]["id"].as_str().unwrap().to_owned();
    let process = one("SELECT process_id AS id FROM processes");
    let thread = one("SELECT stream_id AS id FROM streams WHERE array_has(tags, 'cpu') \
                      AND property_get(properties, 'thread-name') = 'builder-0'");
    if cfg!(feature = "otel") {
        let server = place.serve(&[]);
        replay(&server, &recording(&testdata("recordings/otlp-small.jsonl.gz")));
        server.stop();
    }
    for (name, set) in schema["view_sets"].as_object().unwrap() {
        let example = set["example"].as_str().unwrap();
        let rows = place.query(&example.replace("<process id>", &process).replace("<stream id>", &thread));
        // these programs have no network
        assert_eq!(rows.is_empty(), name == "net_spans", "{name}");
    }
    let sets = place.query("SELECT * FROM list_view_sets()");
    assert_eq!(sets.len(), schema["view_sets"].as_object().unwrap().len());
    assert_eq!(place.query("SELECT * FROM block_faults()").len(), 0);
}

#[test]
fn a_plan_says_what_is_to_be_decoded_until_it_is() {
    let place = small_lake();
    let plan = || -> Vec<Value> {
        let output = place.command("plan").args(["--format", "ndjson"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("would be decoded in the background"), "{said}");
        let rows = String::from_utf8(output.stdout).unwrap();
        rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let kept = |rows: &[Value]| rows.iter().filter(|r| r["open_blocks"] != 0).count();
    let before = plan();
    assert_eq!(
        kept(&before) > 0,
        cfg!(any(feature = "log", feature = "metrics", feature = "spans")),
        "{before:?}"
    );
    assert!(place.command("maintain").arg("--once").output().unwrap().status.success());
    for set in plan() {
        assert_eq!((&set["open_blocks"], &set["what"]), (&0.into(), &"up to date".into()), "{set}");
        assert_eq!(set["stale_partitions"], 0, "{set}");
    }
}
