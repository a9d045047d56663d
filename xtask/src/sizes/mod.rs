//! `sizes`: measures what features cost, in release builds.
//!
//! The base is `log`: the cost of a feature is the difference between `log + FEATURE` and `log`. Each row is written when it
//! is measured, so a run that is interrupted, or that measures only a part with `--only`, keeps the other rows.

mod table;

use crate::binary::{Built, Features, build, features};
use crate::cargo::{cargo, output, read, root, write};
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Outcome, misused};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use table::Row;

/// The features that are measured beside `log`, in the order of the table.
const BESIDE_LOG: &[&str] = &[
    "metrics",
    "net",
    "otel",
    "spans",
    "sql",
    "flight-sql",
    "web",
    "cli-client",
    "tls",
    "oidc",
    "prompt",
    "demo",
    "postgres",
    "s3",
    "gcs",
    "azure",
];

const PROFILE: &str = "dist";
const STARTS: usize = 7;
/// So many of them are left idle, for their memory.
const IDLE: usize = 3;
const IDLE_FOR: Duration = Duration::from_secs(2);

/// Measures all binaries of the table, or some.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let wanted: Vec<&str> = match arguments {
        [] => Vec::new(),
        ["--only", names] => names.split(',').map(str::trim).collect(),
        _ => return misused(),
    };
    let binaries = binaries(&wanted, &features()?)?;
    let path = root().join("docs/slim.md");
    if !path.exists() {
        write(&path, &format!("# Binary size and Cargo features\n\n{}\n{}\n", table::BEGIN, table::END))?;
    }
    // checked first: the builds take an hour
    table::rows_of(&read(&path)?)?;
    for (name, features) in binaries {
        println!("{name} …");
        let row = measure(&name, &features).map_err(|e| format!("{name}: {e}"))?;
        // read again: somebody may have edited the page during the build
        let page = read(&path)?;
        let rows = table::with(table::rows_of(&page)?, row, &order());
        write(&path, &table::with_rows(&page, &rows)?)?;
    }
    Ok(())
}

/// The names of the rows from top to bottom; a row that is not among them comes last but one.
fn order() -> Vec<String> {
    let beside = BESIDE_LOG.iter().map(|name| beside_log(name));
    ["none".to_owned(), "log".to_owned()].into_iter().chain(beside).collect()
}

fn beside_log(feature: &str) -> String {
    format!("log + {feature}")
}

/// The binaries to be measured. A feature that is not in the table is measured when it is asked for.
fn binaries(wanted: &[&str], known: &[String]) -> Result<Vec<(String, Features)>, String> {
    let only = |names: &[&str]| Features::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let feature = |name: &str| (beside_log(name), only(&["log", name]));
    let base = || ("log".to_owned(), only(&["log"]));
    let none = || ("none".to_owned(), only(&[]));
    let full = || ("full".to_owned(), Features::Default);
    if wanted.is_empty() {
        let beside = BESIDE_LOG.iter().map(|name| feature(name));
        return Ok([none(), base()].into_iter().chain(beside).chain([full()]).collect());
    }
    let binary = |name: &&str| match name.trim_start_matches("log + ") {
        "none" => Ok(none()),
        "log" => Ok(base()),
        "full" => Ok(full()),
        name if known.iter().any(|feature| feature == name) => Ok(feature(name)),
        name => Err(format!(
            "'{name}' is not measured: there are none, full, and the features {}",
            known.join(", ")
        )),
    };
    wanted.iter().map(binary).collect()
}

fn measure(name: &str, features: &Features) -> Result<Row, String> {
    let Built { path, time, compiled } = build(features, PROFILE)?;
    let bytes = std::fs::metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.len();
    let (start, memory) = start_and_rest(&path)?;
    Ok(Row {
        name: name.to_owned(),
        bytes,
        dependencies: dependencies(features)?.to_string(),
        start: format!("{:.0}", start.as_secs_f64() * 1000.0),
        memory: memory.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20))),
        // the time depends on how many crates were compiled already
        build: format!("{:.0} ({compiled})", time.as_secs_f64()),
    })
}

/// How long a server takes until it listens, and its memory when it is idle: the medians, on an empty lake.
fn start_and_rest(binary: &Path) -> Result<(Duration, Option<u64>), String> {
    let scratch = Scratch::new()?;
    let lake = scratch.path().join("lake");
    // the first start creates the lake
    drop(Server::start(binary, &lake)?);
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for turn in 0..STARTS {
        let server = Server::start(binary, &lake)?;
        starts.push(server.ready_after());
        if turn < IDLE {
            memory.extend(server.idle_memory(IDLE_FOR)?);
        }
    }
    Ok((median(starts).unwrap_or_default(), median(memory)))
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Number of third-party crates that are linked: without build dependencies and macros.
fn dependencies(features: &Features) -> Result<usize, String> {
    let mut command = cargo();
    command.args(["tree", "-p", "belvedere", "--locked", "-e", "normal,no-proc-macro", "--prefix", "none"]);
    command.args(features.flags());
    Ok(count_foreign(&output(command)?))
}

/// Distinct names and versions among the lines of `cargo tree`; the crates of the workspace have a path.
fn count_foreign(tree: &str) -> usize {
    let lines = tree.lines().map(|line| line.trim_end().trim_end_matches(" (*)"));
    lines.filter(|line| !line.is_empty() && !line.contains("(/")).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_counted_once_and_without_our_own() {
        let tree = "belvedere v0.1.0 (/somewhere/crates/app)\nanyhow v1.0.0\narrow v59.0.0\nanyhow v1.0.0 (*)\n\
                    arrow v58.0.0\nbelvedere-core v0.1.0 (/somewhere/crates/core)\n\
                    belvedere-core v0.1.0 (/somewhere/crates/core) (*)\n";
        assert_eq!(count_foreign(tree), 3);
    }

    #[test]
    fn a_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![5, 1, 9]), Some(5));
        assert_eq!(median(Vec::<u64>::new()), None);
    }

    #[test]
    fn a_row_is_asked_for_by_its_name_or_its_feature() {
        let known = ["log", "net", "pulse"].map(str::to_owned);
        let names = |wanted: &[&str]| -> Result<Vec<String>, String> {
            Ok(binaries(wanted, &known)?.into_iter().map(|(name, _)| name).collect())
        };
        assert_eq!(
            names(&["net", "log + pulse", "full", "none"]).unwrap(),
            ["log + net", "log + pulse", "full", "none"]
        );
        assert!(names(&["nte"]).unwrap_err().contains("'nte'"));
        let all = names(&[]).unwrap();
        assert_eq!((all.len(), &*all[0], &*all[1], &*all[18]), (19, "none", "log", "full"));
    }
}
