//! Lakes that earlier versions wrote open with this one and answer the same, however their rows are kept, and nothing
//! of them is made again that is valid.
//!
//! `testdata/lakes` says what a kept lake is and how one is added.

mod keep;

use crate::support::{Place, testdata};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lakes in the repository, by the names of their folders.
fn kept_lakes() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(testdata("lakes")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// A kept lake, and what the binary that wrote it said of it.
struct Kept {
    place: Place,
    directory: PathBuf,
}

/// Rows without order, as texts: two answers are compared as such.
type Rows = Vec<Map<String, Value>>;

fn rows(text: &str) -> Rows {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What a command prints.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

impl Kept {
    /// A copy that a test may change.
    fn unpack(folder: &Path) -> Self {
        let mut place = Place::new();
        let directory = place.directory.path().to_owned();
        let archive = folder.join("lake.tar.gz");
        let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&directory).status();
        assert!(unpacked.unwrap().success());
        place.flags = vec!["--lake".to_owned(), directory.join("lake").display().to_string()];
        Self { place, directory }
    }

    fn answer_of_the_writer(&self, name: &str) -> Rows {
        rows(&read(&self.directory.join("answers").join(format!("{name}.ndjson"))))
    }

    fn ask(&self, name: &str) -> Rows {
        let sql = read(&self.directory.join("answers").join(format!("{name}.sql")));
        rows(&said(self.place.command("query").args([sql.trim(), "--format", "ndjson"])))
    }

    /// Names of the queries that were asked of the writer.
    fn queries(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.directory.join("answers")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| Some(name.strip_suffix(".sql")?.to_owned())).collect()
    }

    fn partitions(&self) -> BTreeSet<String> {
        let rows = self.ask("list_partitions").into_iter();
        rows.map(|row| row["file_path"].as_str().unwrap().to_owned()).collect()
    }

    /// Every answer is the writer's.
    fn check_answers(&self, state: &str) {
        for name in self.queries().into_iter().filter(|name| name != "list_partitions") {
            assert_same(&self.ask(&name), &self.answer_of_the_writer(&name), &format!("{name} {state}"));
        }
    }
}

/// Columns that a later version added are none of the writer's business.
fn assert_same(found: &Rows, expected: &Rows, what: &str) {
    let known: BTreeSet<&String> = expected.iter().flat_map(Map::keys).collect();
    let mut found: Vec<String> = found
        .iter()
        .map(|row| {
            let row: Map<_, _> =
                row.clone().into_iter().filter(|(column, _)| known.contains(column)).collect();
            Value::from(row).to_string()
        })
        .collect();
    let mut expected: Vec<String> = expected.iter().map(|row| Value::from(row.clone()).to_string()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found.len(), expected.len(), "{what}: another number of rows");
    if let Some((found, expected)) = found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        panic!("{what}: {found} instead of {expected}");
    }
}

/// View sets that give other rows of some blocks since version 2, and those that are made of them: their partitions are made
/// again. Times of senders whose clocks jump are right since then, and so is what OpenTelemetry says of ids and resources.
const RAISED: &[&str] = &[
    "async_events",
    "frame_times",
    "images",
    "log_entries",
    "log_levels",
    "log_stats",
    "measures",
    "net_spans",
    "otel_metrics",
    "otel_spans",
    "thread_spans",
];

fn is_raised(row: &Map<String, Value>) -> bool {
    RAISED.iter().any(|name| row["view_set"] == *name)
}

/// All that a kept lake must hold with this binary.
fn check(folder: &Path) {
    let kept = Kept::unpack(folder);
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();

    // nothing that holds is made again, neither at the opening nor by questions
    let (now, then) = (kept.ask("list_partitions"), kept.answer_of_the_writer("list_partitions"));
    assert_same(&now, &then, &format!("{name}: partitions"));
    let plan = rows(&said(kept.place.command("plan").args(["--format", "ndjson"])));
    let mut of_writer = kept.answer_of_the_writer("plan");
    // words may change
    of_writer.iter_mut().for_each(|row| drop(row.remove("what")));
    of_writer.retain(|row| !is_raised(row));
    let is_known = |row: &Map<String, Value>| of_writer.iter().any(|old| old["view_set"] == row["view_set"]);
    let of_known = plan.iter().filter(|row| is_known(row)).cloned().collect();
    assert_same(&of_known, &of_writer, &format!("{name}: plan"));
    assert!(plan.iter().all(|row| row["stale_partitions"] == 0 || is_raised(row)), "{name}: {plan:?}");
    let checked = said(&mut kept.place.command("fsck"));
    assert_eq!(checked.lines().last(), Some("clean"), "{name}: {checked}");
    kept.check_answers(&format!("of {name} as it was kept"));
    let before = kept.partitions();
    assert!(
        before.len() >= then.len()
            && then.iter().all(|row| before.contains(row["file_path"].as_str().unwrap()))
    );

    // who may send still may, and who is kept away still is
    let keys = rows(&said(&mut kept.place.keys(&["list", "--format", "ndjson"])));
    assert_same(&keys, &kept.answer_of_the_writer("keys"), &format!("{name}: keys"));
    let server = kept.place.serve(&["--require-keys", "--roles", "ingest"]);
    let process = keep::requests("native-small").remove(0);
    let authorization = format!("Bearer {}", read(&kept.directory.join("answers/key.txt")).trim());
    let send =
        |headers: &[(&str, &str)]| server.connect().send("POST", &process.path, headers, &process.body).0;
    assert_eq!(send(&[("authorization", &authorization)]), 200, "{name}");
    assert_eq!(send(&[]), 401, "{name}");
    server.stop();

    // rows come from blocks alone
    let live = Kept::unpack(folder);
    for row in &then {
        let instance = [&row["view_set_name"], &row["view_instance_id"]].map(|v| v.as_str().unwrap());
        let sql = format!(
            "SELECT * FROM retire_partitions('{}', '{}', '2000-01-01T00:00:00Z', '2100-01-01T00:00:00Z')",
            instance[0], instance[1]
        );
        live.place.query(&sql);
    }
    assert_eq!(live.partitions(), BTreeSet::new(), "{name}");
    live.check_answers(&format!("of {name} from blocks alone"));

    // rows come from new partitions
    said(live.place.command("maintain").arg("--once"));
    live.check_answers(&format!("of {name} from new partitions"));
    let checked = said(&mut live.place.command("fsck"));
    assert_eq!(checked.lines().last(), Some("clean"), "{name}: {checked}");
}

#[test]
fn every_kept_lake_opens_and_answers_as_it_did() {
    let kept = kept_lakes();
    assert!(!kept.is_empty(), "testdata/lakes has no folder");
    kept.iter().for_each(|folder| check(folder));
}

/// With `BELVEDERE_KEEP_LAKE` set, it is written into the folder of that name.
#[test]
fn a_lake_that_this_version_keeps_opens_and_answers_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let binary = std::env::var_os("BELVEDERE_KEEP_LAKE_WITH").map(PathBuf::from);
    keep::keep(binary, scratch.path());
    check(scratch.path());
    if let Some(name) = std::env::var_os("BELVEDERE_KEEP_LAKE") {
        let folder = testdata("lakes").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(scratch.path().join("lake.tar.gz"), folder.join("lake.tar.gz")).unwrap();
    }
}
