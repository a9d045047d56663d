//! `features`: every combination of features builds a binary that works and has the view sets that it should have.

use crate::binary::{Features, build, check, command, features, view_crates};
use crate::cargo::{output, root};
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Outcome, misused};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// The view sets of every binary.
const OWN: &[&str] = &["blocks", "processes", "streams"];

/// Builds and tries out each choice, goes on behind one that fails, and fails at the end. With `--check` what is compiled
/// is only checked, and nothing is tried out.
///
/// For `dev` and `--check`, crates of others are compiled once, as the tests have them. They then have features that a
/// crate of ours could rely on without asking for them: so `none` is checked without.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (profile, names) = match arguments {
        ["--check", names @ ..] => (None, names),
        ["--profile", profile, names @ ..] => (Some(*profile), names),
        names => (Some("dev"), names),
    };
    if names.iter().any(|name| name.starts_with('-')) {
        return misused();
    }
    let choices = choices(features()?);
    if let Some(unknown) = names.iter().find(|name| choices.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = choices.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("there is no feature '{unknown}': there are {}", known.join(", ")));
    }
    let mut failed = Vec::new();
    for (name, features) in choices {
        if !names.is_empty() && !names.contains(&name.as_str()) {
            continue;
        }
        let begin = Instant::now();
        let features = match profile {
            Some("dev") => features.unified(),
            None if name != "none" => features.unified(),
            _ => features,
        };
        let outcome = match profile {
            Some(profile) => build(&features, profile).and_then(|built| try_out(&built.path, &features)),
            None => check(&features),
        };
        let seconds = begin.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok      {name:<14} {seconds:7.1} s"),
            Err(e) => {
                println!("FAILED  {name:<14} {seconds:7.1} s  {e}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// No feature, each one alone, and all of them.
fn choices(features: Vec<String>) -> Vec<(String, Features)> {
    let mut choices = vec![("none".to_owned(), Features::Only(Vec::new()))];
    choices.extend(features.into_iter().map(|name| (name.clone(), Features::Only(vec![name]))));
    choices.push(("all".to_owned(), Features::All));
    choices
}

/// Tries a binary: from its version to a query over a lake that its server made.
fn try_out(binary: &Path, features: &Features) -> Outcome {
    let scratch = Scratch::new()?;
    let lake = scratch.path().join("lake");
    let (lake_shown, none) = (lake.display().to_string(), scratch.path().join("none").display().to_string());
    let ask = |arguments: &[&str]| output(command(binary, arguments));

    let version = ask(&["--version"])?;
    if !version.starts_with("belvedere ") {
        return Err(format!("its version is '{}'", version.trim_end()));
    }
    ask(&["views", "--lake", &none])?;
    check_view_sets(&ask(&["schema", "--format", "json"])?, features)?;

    Server::start(binary, &lake)?.check_health()?;
    let sql = "SELECT count(*) AS n FROM blocks";
    match ask(&["query", "--lake", &lake_shown, sql, "--format", "ndjson"])?.trim_end() {
        "{\"n\":0}" => Ok(()),
        other => Err(format!("of an empty lake it says {other}")),
    }
}

/// The view sets that there should be, and no others: core's own, and those of the view crates that were chosen. What
/// these are called stands in the files beside each crate that hold its schemas.
fn check_view_sets(schema: &str, features: &Features) -> Outcome {
    let is_chosen = |feature: &str| match features {
        Features::Only(names) => names.iter().any(|name| name == feature),
        Features::Default | Features::All => true,
    };
    let mut expected: BTreeSet<String> = OWN.iter().map(|name| (*name).to_owned()).collect();
    for (feature, directory) in view_crates()? {
        if is_chosen(&feature) {
            expected.extend(snapshots(&root().join("crates").join(directory).join("schema"))?);
        }
    }
    compare(&expected, &view_sets(schema))
}

/// The names of the files that hold schemas.
fn snapshots(directory: &Path) -> Result<BTreeSet<String>, String> {
    let fault = |e| format!("{} can't be read: {e}", directory.display());
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".txt").map(str::to_owned));
    }
    if names.is_empty() { Err(format!("{} has no schemas", directory.display())) } else { Ok(names) }
}

fn compare(expected: &BTreeSet<String>, found: &[&str]) -> Outcome {
    if let Some(missing) = expected.iter().find(|set| !found.contains(&set.as_str())) {
        return Err(format!("it has no view set {missing}, only {}", found.join(", ")));
    }
    match found.iter().find(|set| !expected.contains(**set)) {
        Some(odd) => Err(format!("it has the view set {odd}, which no chosen feature brings along")),
        None => Ok(()),
    }
}

/// The keys of `view_sets` in JSON that is indented by two spaces. Needs no parser: texts in JSON have no line breaks, so
/// the indentation can't be faked.
fn view_sets(schema: &str) -> Vec<&str> {
    let lines = schema.lines().skip_while(|line| *line != "  \"view_sets\": {").skip(1);
    let lines = lines.take_while(|line| !line.starts_with("  }"));
    lines.filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\": {")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
  "functions": [
    {
      "name": "property_get"
    }
  ],
  "view_sets": {
    "blocks": {
      "columns": [
        {
          "name": "block_id"
        }
      ]
    },
    "log_entries": {
      "columns": []
    },
    "log_stats": {
      "columns": []
    },
    "processes": {
      "columns": []
    },
    "pulse": {
      "columns": []
    },
    "streams": {
      "columns": []
    }
  }
}
"#;

    #[test]
    fn view_sets_are_the_keys_of_their_object_and_nothing_else() {
        assert_eq!(
            view_sets(SCHEMA),
            ["blocks", "log_entries", "log_stats", "processes", "pulse", "streams"]
        );
        assert_eq!(view_sets("{\n  \"view_sets\": {}\n}\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_view_set_that_is_missing_or_should_be_is_named() {
        let found = view_sets(SCHEMA);
        let compared =
            |names: &[&str]| compare(&names.iter().map(|name| (*name).to_owned()).collect(), &found);
        assert_eq!(compared(&found), Ok(()));
        let odd = compared(&found[1..]).unwrap_err();
        assert!(odd.contains("blocks"), "{odd}");
        let missing = compared(&[&found[..], &["net_spans"]].concat()).unwrap_err();
        assert!(missing.contains("net_spans"), "{missing}");
    }

    #[test]
    fn what_a_feature_brings_along_stands_beside_its_crate() {
        let without = check_view_sets(SCHEMA, &Features::Only(vec![])).unwrap_err();
        assert!(without.contains("log_entries"), "{without}");
        let with_more = check_view_sets(SCHEMA, &Features::Only(vec!["log".to_owned()])).unwrap_err();
        assert!(with_more.contains("pulse"), "{with_more}");
        let with_less = check_view_sets(SCHEMA, &Features::All).unwrap_err();
        assert!(with_less.contains("it has no view set"), "{with_less}");
    }

    #[test]
    fn every_feature_is_tried_out_alone() {
        let choices = choices(vec!["log".to_owned(), "net".to_owned()]);
        let names: Vec<&str> = choices.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["none", "log", "net", "all"]);
    }
}
