//! `--url`: what a server answers is what the lake itself would, to the byte.

#[cfg(feature = "prompt")]
use crate::support::with_input;
use crate::support::{BELVEDERE, Place, Server, recording, replay, testdata};
use std::process::{Command, Output};

/// A server of a lake with the smallest recording, and that lake.
struct Served {
    place: Place,
    server: Server,
}

impl Served {
    fn start() -> Self {
        let place = Place::new();
        let sending = place.serve(&[]);
        replay(&sending, &recording(&testdata("recordings/native-small.jsonl.gz")));
        sending.stop();
        // what is kept as files does not change beside the queries
        assert!(place.command("maintain").arg("--once").output().unwrap().status.success());
        let server = place.serve(&[]);
        Self { place, server }
    }

    fn here(&self, subcommand: &str) -> Command {
        self.place.command(subcommand)
    }

    fn there(&self, subcommand: &str) -> Command {
        let mut command = Command::new(BELVEDERE);
        command.args([subcommand, "--url", &format!("grpc://{}", self.server.flight_sql)]);
        command
    }

    /// Asks both the same and sees that they say the same. Returns what they said.
    fn both(&self, run: impl Fn(&dyn Fn(&str) -> Command) -> Output, what: &str) -> Output {
        let here = run(&|subcommand| self.here(subcommand));
        let there = run(&|subcommand| self.there(subcommand));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&there.stderr), text(&here.stderr), "{what}");
        assert_eq!(there.status.code(), here.status.code(), "{what}");
        // bits behind the last row of a bitmap mean nothing, and need not survive the network
        if here.stdout != there.stdout && what.ends_with("as arrow") {
            assert_eq!(arrow_rows(&there.stdout), arrow_rows(&here.stdout), "{what}");
        } else if here.stdout != there.stdout {
            assert_eq!(text(&there.stdout), text(&here.stdout), "{what}");
            panic!("{what}: the bytes differ");
        }
        there
    }
}

/// All rows in one batch: how many come at once is not a part of the answer.
fn arrow_rows(stream: &[u8]) -> arrow::array::RecordBatch {
    let reader = arrow::ipc::reader::StreamReader::try_new(stream, None).unwrap();
    let (schema, batches) = (reader.schema(), reader.map(Result::unwrap).collect::<Vec<_>>());
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

const QUERIES: &[&str] = &[
    "SELECT * FROM log_entries ORDER BY time, msg LIMIT 20",
    "SELECT * FROM measures ORDER BY time, name LIMIT 20",
    "SELECT * FROM blocks ORDER BY block_id",
    "SELECT * FROM streams ORDER BY stream_id",
    "SELECT * FROM processes",
    "SELECT level, count(*) AS n FROM log_entries GROUP BY level ORDER BY level",
    "SELECT properties FROM log_entries ORDER BY time, msg LIMIT 3",
    "SELECT msg FROM log_entries LIMIT 0",
    "SELECT 1 AS one, NULL AS nothing, 'ü' AS text, make_array(1, 2) AS list",
    "SELECT table_name, description FROM information_schema.tables ORDER BY table_name",
    "DESCRIBE log_entries",
];

#[test]
fn every_format_has_the_same_bytes_from_a_server_and_from_the_lake() {
    let served = Served::start();
    for sql in QUERIES {
        for format in ["table", "json", "ndjson", "csv", "arrow", "parquet"] {
            let what = format!("{sql} as {format}");
            let output = served.both(|c| c("query").args([sql, "--format", format]).output().unwrap(), &what);
            let said = String::from_utf8_lossy(&output.stderr);
            // Parquet has no type for a column of NULLs in some versions; then both say so
            assert!(output.status.success() || format == "parquet", "{what}: {said}");
        }
    }
}

#[test]
fn a_time_range_reaches_a_server_and_each_bound_works_alone() {
    let served = Served::start();
    let sql = "SELECT count(*) AS n FROM log_entries";
    let middle = served.place.query("SELECT time FROM log_entries ORDER BY time")[98]["time"].clone();
    let middle = middle.as_str().unwrap();
    for flags in [
        &["--begin", middle][..],
        &["--end", middle],
        &["--begin", middle, "--end", middle],
        &["--begin", "2100-01-01"],
    ] {
        served.both(|c| c("query").arg(sql).args(flags).output().unwrap(), &format!("{flags:?}"));
    }
}

#[test]
fn mistakes_are_told_by_a_server_in_the_words_of_the_lake() {
    let served = Served::start();
    for sql in [
        "SELECT * FROM nope",
        "SELECT nope FROM log_entries",
        "SELEC 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM view_instance('log_entrys', 'global')",
        "SELECT * FROM view_instance('log_entries', '00000000-0000-0000-0000-000000000000')",
        "DROP TABLE log_entries",
        "SELECT 1 / 0",
    ] {
        let output = served.both(|c| c("query").arg(sql).output().unwrap(), sql);
        assert_eq!(output.status.code(), Some(1), "{sql}");
    }
}

#[test]
fn views_are_listed_and_so_are_those_of_a_server() {
    let served = Served::start();
    let output = served.both(|c| c("views").output().unwrap(), "views");
    assert!(String::from_utf8(output.stdout).unwrap().contains("log_entries"));
}

#[cfg(feature = "prompt")]
#[test]
fn statements_from_a_pipe_are_answered_by_a_server() {
    let served = Served::start();
    let script =
        "\\format csv\nSELECT count(*) FROM log_entries;\n\\d log_entries\n\\d\nSELECT nope; SELECT 1;";
    let output = served.both(|c| with_input(c("sql"), script), "sql");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("1 fatal, 2 error"));
}

#[cfg(feature = "spans")]
#[test]
fn a_trace_comes_from_a_server_too() {
    let served = Served::start();
    let process = served.place.query("SELECT process_id FROM processes")[0]["process_id"].clone();
    let file = served.place.directory.path().join("there.pftrace");
    let mut command = served.there("trace");
    let output = command.arg(process.as_str().unwrap()).arg("-o").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("ui.perfetto.dev"), "{said}");
    assert!(std::fs::metadata(&file).unwrap().len() > 10_000);
    let unknown = "00000000-0000-0000-0000-000000000000";
    let output = served.there("trace").args([unknown, "-o"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(unknown));
}

#[test]
fn a_lake_and_a_server_are_not_asked_at_once_and_what_is_typed_goes_before_variables() {
    let place = Place::new();
    let nobody = "grpc://127.0.0.1:1";
    let output = place.command("query").args(["SELECT 1", "--url", nobody]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("use only one of them"));
    // the lake is typed: nobody is asked at the address of the variable
    let output = place.command("query").arg("SELECT 1").env("BELVEDERE_URL", nobody).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("no lake in"));
    let mut command = Command::new(BELVEDERE);
    command.args(["query", "SELECT 1", "--url", nobody]).env("BELVEDERE_LAKE", place.directory.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("belvedere: can't connect to grpc://127.0.0.1:1: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn an_address_for_another_protocol_is_told_and_which_one_is_meant() {
    let place = Place::new();
    let server = place.serve(&[]);
    let mut command = Command::new(BELVEDERE);
    command.args(["query", "SELECT 1", "--url", &format!("http://{}", server.address)]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("does not speak FlightSQL") && said.contains("listening flight-sql"), "{said}");
}
