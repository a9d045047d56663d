//! A crate that only decodes is light: it builds without the engine.

use crate::cargo::{cargo, output, root};
use std::collections::BTreeSet;

/// So many crates at most, itself included.
const CRATES: usize = 90;

/// What a decoder's build must not have.
const FORBIDDEN: &[&str] = &["datafusion", "sqlx", "object_store", "axum", "tokio"];

/// Directories of crates that decode, of those that are there.
const DECODERS: &[&str] =
    &["crates/model", "crates/view", "crates/views-images", "crates/views-log", "crates/views-net"];

/// Counts what each of our own is built of.
pub(super) fn check() -> Result<String, Vec<String>> {
    of(DECODERS.iter().copied().filter(|name| root().join(name).exists()), &["--offline"])
}

/// Counts what the crates in these directories are built of, with flags for cargo.
pub(super) fn of<'a>(
    directories: impl Iterator<Item = &'a str>,
    flags: &[&str],
) -> Result<String, Vec<String>> {
    let (mut said, mut faults) = (Vec::new(), Vec::new());
    for name in directories {
        match tree(name, flags).and_then(|tree| weigh(&tree)) {
            Ok(count) => said.push(format!("{name} {count}")),
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(said.join(", ")) } else { Err(faults) }
}

fn tree(directory: &str, flags: &[&str]) -> Result<String, String> {
    let mut command = cargo();
    command.args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--manifest-path"]);
    command.arg(root().join(directory).join("Cargo.toml")).args(flags);
    output(command)
}

/// How many crates there are in a tree, if none is forbidden and they are few enough.
fn weigh(tree: &str) -> Result<usize, String> {
    let lines = tree.lines().map(|line| line.trim_end().trim_end_matches(" (*)"));
    let crates: BTreeSet<&str> = lines.filter(|line| !line.is_empty()).collect();
    let name = |line: &&str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let is_forbidden = |name: &String| FORBIDDEN.iter().any(|forbidden| belongs(name, forbidden));
    let forbidden: BTreeSet<String> = crates.iter().map(name).filter(is_forbidden).collect();
    match crates.len() {
        _ if !forbidden.is_empty() => {
            Err(format!("it is built of {}", forbidden.into_iter().collect::<Vec<_>>().join(", ")))
        }
        count if count >= CRATES => Err(format!("it is built of {count} crates, {CRATES} are too many")),
        count => Ok(count),
    }
}

/// `datafusion-common` belongs to `datafusion`, `tokio_x` and `tokio-x` to `tokio`.
fn belongs(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_once() {
        assert_eq!(weigh("a v1.0.0 (/somewhere)\nb v1.0.0\nb v1.0.0 (*)\nb v2.0.0\n"), Ok(3));
    }

    #[test]
    fn an_engine_and_a_crowd_are_faults() {
        let fault = weigh("a v1.0.0\ndatafusion-common v55.0.0\ntokio v1.0.0\ntokiox v1.0.0\n").unwrap_err();
        assert_eq!(fault, "it is built of datafusion-common, tokio");
        let crowd: String = (0..90).map(|number| format!("c{number} v1.0.0\n")).collect();
        assert!(weigh(&crowd).unwrap_err().contains("90 crates"));
    }
}
