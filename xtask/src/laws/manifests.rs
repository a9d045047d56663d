//! Which crate of the workspace may name which: the picture of the crates, as a table.

use crate::cargo::{cargo, output, root};
use std::collections::BTreeMap;

/// Each crate of the workspace with those that it may depend on, from the bottom to the top. `views-*` is every view
/// crate: none of them may name another.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("unified-features", &[]),
    ("model", &[]),
    ("view", &["model"]),
    ("lake", &["model", "view"]),
    ("core", &["model", "view", "lake"]),
    ("functions", &["model", "view", "lake", "core"]),
    ("http-api", &["model", "view", "lake", "core"]),
    ("flight-sql", &["model", "view", "lake", "core"]),
    ("web", &["model", "view", "lake", "core"]),
    ("views-*", &["model", "view", "lake", "core"]),
    ("testkit", &["model", "view", "lake", "core", "functions", "unified-features"]),
    (
        "app",
        &[
            "model",
            "view",
            "lake",
            "core",
            "functions",
            "http-api",
            "flight-sql",
            "web",
            "views-*",
            "unified-features",
        ],
    ),
    ("xtask", &[]),
];

/// Crates of others, by the beginnings of their names, that only these crates may name; an empty list of crates says:
/// who may not. What is forbidden to a crate is so to those that it is built on.
const MAY_NOT_NAME: &[(&str, &[&str])] = &[
    (
        "model",
        &[
            "tokio",
            "async-",
            "futures",
            "arrow",
            "axum",
            "hyper",
            "object_store",
            "sqlx",
            "datafusion",
            "parquet",
        ],
    ),
    (
        "view",
        &["tokio", "async-", "futures", "axum", "hyper", "object_store", "sqlx", "datafusion", "parquet"],
    ),
    ("lake", &["arrow", "datafusion", "parquet", "clap"]),
    ("core", &["sqlx", "clap", "axum", "tonic"]),
    ("functions", &["sqlx", "clap", "axum", "tonic", "object_store"]),
    ("http-api", &["sqlx", "clap", "tonic", "object_store"]),
    ("flight-sql", &["sqlx", "clap", "axum", "object_store"]),
    ("views-*", &["sqlx", "clap", "object_store"]),
    ("app", &["sqlx", "object_store", "datafusion"]),
];

/// A crate and what it names, by names without `belvedere-`.
type Named = BTreeMap<String, Vec<String>>;

/// Compares the manifests with the tables.
pub(super) fn check() -> Result<String, Vec<String>> {
    let mut command = cargo();
    command.args(["tree", "--workspace", "--offline", "--locked", "--all-features"]);
    command.args(["-e", "normal", "--depth", "1", "--prefix", "depth", "--no-dedupe"]);
    let named = named(&output(command).map_err(|e| vec![e])?);
    let faults = faults(&named, MAY_NAME, MAY_NOT_NAME);
    if faults.is_empty() { Ok(format!("{} crates", named.len())) } else { Err(faults) }
}

/// Reads what `cargo tree` prints of a workspace with a depth of one.
fn named(tree: &str) -> Named {
    let own = format!("({}", root().display());
    let mut named = Named::new();
    let mut of = String::new();
    for line in tree.lines() {
        let Some(name) = line.get(1..).and_then(|line| line.split_whitespace().next()) else { continue };
        let is_own = line.contains(&own);
        // a crate of others may be called like one of ours
        let shown = if is_own { short(line, name) } else { format!("{name} ") };
        if line.starts_with('0') {
            of = shown;
            named.entry(of.clone()).or_default();
        } else {
            named.entry(of.clone()).or_default().push(shown);
        }
    }
    named
}

/// The directory of a crate of ours is what it is called here.
fn short(line: &str, name: &str) -> String {
    let path = line.rsplit_once('(').map_or(name, |(_, path)| path.trim_end_matches([')', '*', ' ']));
    path.rsplit('/').next().unwrap_or(name).trim_end_matches(')').to_owned()
}

fn faults(named: &Named, may: &[(&str, &[&str])], may_not: &[(&str, &[&str])]) -> Vec<String> {
    let mut faults = Vec::new();
    for (of, names) in named {
        let group = group(of);
        let Some((_, allowed)) = may.iter().find(|(name, _)| *name == group) else {
            faults.push(format!("{of} is not in the table of crates: say there what it may name"));
            continue;
        };
        let forbidden = may_not.iter().find(|(name, _)| *name == group).map_or(&[][..], |(_, names)| names);
        for name in names {
            let is_wrong = match name.strip_suffix(' ') {
                Some(others) => forbidden.iter().any(|beginning| others.starts_with(beginning)),
                None => !allowed.contains(&self::group(name)),
            };
            if is_wrong {
                faults.push(format!("{of} may not name {}", name.trim_end()));
            }
        }
    }
    faults
}

fn group(name: &str) -> &str {
    if name.starts_with("views-") { "views-*" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_of(list: &[(&str, &[&str])]) -> Named {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        list.iter().map(|(of, names)| ((*of).to_owned(), owned(names))).collect()
    }

    #[test]
    fn the_tree_is_read_crate_by_crate() {
        let at = root().display().to_string();
        let tree = format!(
            "0belvedere v0.1.0 ({at}/crates/app)\n1belvedere-core v0.1.0 ({at}/crates/core)\n1view v1.0.0\n\n\
             0belvedere-core v0.1.0 ({at}/crates/core)\n1serde v1.0.0\n1serde_derive v1.0.0 (proc-macro)\n"
        );
        let expected = named_of(&[("app", &["core", "view "]), ("core", &["serde ", "serde_derive "])]);
        assert_eq!(named(&tree), expected);
    }

    #[test]
    fn view_crates_do_not_name_each_other_and_strangers_are_told() {
        let named =
            named_of(&[("views-a", &["view", "views-b"]), ("views-b", &["view"]), ("attic", &["view"])]);
        let faults = faults(&named, &[("views-*", &["view"])], &[]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("attic is not in the table"));
        assert_eq!(faults[1], "views-a may not name views-b");
    }

    #[test]
    fn crates_of_others_are_forbidden_by_the_beginning_of_their_names() {
        let named = named_of(&[("lake", &["arrow-array ", "serde ", "view"])]);
        let faults = faults(&named, &[("lake", &["view"])], &[("lake", &["arrow"])]);
        assert_eq!(faults, ["lake may not name arrow-array"]);
    }
}
