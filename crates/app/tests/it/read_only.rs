//! Lakes that can only be read: somebody else's, or mounted read-only.

use crate::support::{Place, recording, replay, testdata};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A user without rights.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Takes the right to write to a directory and all in it, from everybody but root.
fn protect(directory: &Path, is_writable: bool) {
    let mode = |is_directory: bool| match (is_directory, is_writable) {
        (true, true) => 0o755,
        (true, false) => 0o555,
        (false, true) => 0o644,
        (false, false) => 0o444,
    };
    let set = |path: &Path, is_directory| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode(is_directory))).unwrap();
    };
    set(directory, true);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            protect(&path, is_writable);
        } else {
            set(&path, false);
        }
    }
    set(directory, true);
}

/// The binary where everybody can run it: the directory that it was built in may be root's alone.
fn for_everybody(place: &Place, directory: &Path) -> PathBuf {
    let binary = directory.join("belvedere");
    if std::fs::hard_link(&place.binary, &binary).is_err() {
        std::fs::copy(&place.binary, &binary).unwrap();
    }
    binary
}

/// The binary, as somebody who can't write the lake.
fn run(binary: &Path, place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--lake").arg(place.directory.path()).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn said(output: Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_lake_that_can_only_be_read_is_queried_listed_checked_drawn_and_served() {
    let place = Place::new();
    let server = place.serve(&[]);
    replay(&server, &recording(&testdata("recordings/native-small.jsonl.gz")));
    let count = "SELECT count(*) AS n FROM log_entries";
    let expected = place.number(count);
    let process = place.query("SELECT process_id FROM processes LIMIT 1")[0]["process_id"].clone();
    let drawn = tempfile::tempdir().unwrap();
    std::fs::set_permissions(drawn.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let binary = for_everybody(&place, drawn.path());
    let check = |what: &str| {
        protect(place.directory.path(), false);
        let before = files(place.directory.path());
        let rows = said(run(&binary, &place, &["query", count, "--format", "ndjson"]).output().unwrap());
        let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        assert_eq!(row["n"], expected, "{what}: {rows}");
        assert!(said(run(&binary, &place, &["views"]).output().unwrap()).contains("log_entries"), "{what}");
        said(run(&binary, &place, &["fsck"]).output().unwrap());
        if cfg!(feature = "spans") {
            let picture = drawn.path().join("flame.svg");
            let id = process.as_str().unwrap();
            said(run(&binary, &place, &["flame", id, "-o", picture.to_str().unwrap()]).output().unwrap());
            assert!(std::fs::read_to_string(picture).unwrap().contains("</svg>"), "{what}");
        }
        for (arguments, advice) in [
            (&["serve", "--http", "127.0.0.1:0"][..], "--roles query"),
            (&["maintain", "--once"], "can only be read"),
            (&["fsck", "--repair"], "can only be read"),
        ] {
            let refused = run(&binary, &place, arguments).output().unwrap();
            let text = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && text.contains(advice), "{what}: {text}");
        }
        assert_eq!(files(place.directory.path()), before, "{what}: nothing is written");
    };
    // somebody else's server has it open: what it has acknowledged is seen
    check("beside a server");
    // a copy of the moment of a crash: the log of the catalog is there, and the file that says what is in it is not
    protect(place.directory.path(), true);
    server.kill();
    let _ = std::fs::remove_file(place.directory.path().join("catalog.sqlite-shm"));
    check("after a crash");
    protect(place.directory.path(), true);
    place.serve(&[]).stop();
    assert!(!place.directory.path().join("catalog.sqlite-wal").exists());
    check("at rest");

    // served to those who ask
    let mut child =
        run(&binary, &place, &["serve", "--roles", "query", "--http", "127.0.0.1:0", "--flight-sql", "off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let address =
        lines.find_map(|line| Some(line.ok()?.strip_prefix("listening http ")?.to_owned())).unwrap();
    let mut connection = crate::support::Server::connect_to(&address);
    assert_eq!(connection.get("/ready").0, 200);
    let headers = [("content-type", "text/plain")];
    assert_eq!(connection.send("POST", "/api/query", &headers, count.as_bytes()).0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
    protect(place.directory.path(), true);
}
