//! Published clients, unmodified, against the real server: `micromegas`, `adbc-driver-flightsql`, `pyarrow`.

use crate::security::make_key;
use crate::support::{Place, recording, replay, testdata};
use belvedere_testkit::backend;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Runs a script of checks on a server of its own with the smallest recording; it says itself what must hold.
fn check(script: &str) {
    let Some(python) = backend("adbc") else { return };
    let place = Place::new();
    // partitions are only made when a check makes them
    let roles = ["--roles", "ingest,query"];
    let sending = place.serve(&roles);
    let statuses = replay(&sending, &recording(&testdata("recordings/native-small.jsonl.gz")));
    assert!(statuses.iter().all(|s| *s == 200));
    sending.stop();
    let key = make_key(&place, "clients", "send,read,admin");
    let server = place.serve(&[&roles[..], &["--require-keys"]].concat());
    let script_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut arguments: Vec<OsString> = vec![
        "-B".into(),
        script_path.into(),
        format!("grpc://{}", server.flight_sql).into(),
        testdata("recordings/native-small.truth.json").into(),
        "--key".into(),
        key.into(),
    ];
    if script == "micromegas_client.py" {
        arguments.extend(["--catalog".into(), place.directory.path().join("catalog.sqlite").into()]);
    }
    let output = Command::new(python).args(&arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{stdout}");
    assert!(output.status.success(), "{script}: {}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.lines().count() > 5, "{script} checked nothing:\n{stdout}\n{stderr}");
    server.stop();
}

#[test]
#[cfg(all(feature = "log", feature = "metrics", feature = "spans"))]
fn every_method_and_tool_of_the_published_python_client_works() {
    check("micromegas_client.py");
}

#[test]
#[cfg(all(feature = "log", feature = "metrics"))]
fn drivers_and_data_sources_that_know_only_flight_sql_work() {
    check("adbc_client.py");
}
