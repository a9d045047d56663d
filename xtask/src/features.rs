//! `features`: every combination of features builds a binary that works and has the view sets that it should have.

use crate::binary::{Features, build, command, features};
use crate::cargo::output;
use crate::scratch::Scratch;
use crate::server::Server;
use crate::{Outcome, misused};
use std::path::Path;
use std::time::Instant;

/// The view sets of features. Nothing is expected of features that are not listed.
const VIEW_SETS: &[(&str, &[&str])] = &[
    ("log", &["log_entries", "log_stats"]),
    ("metrics", &["measures"]),
    ("net", &["net_spans"]),
    ("otel", &["otel_spans", "otel_metrics"]),
    ("spans", &["thread_spans", "async_events"]),
];

/// The view sets of every binary.
const OWN: &[&str] = &["blocks", "processes", "streams"];

/// Builds and tries each combination. If one fails, the others are still tried, and the whole fails at the end.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (profile, names) = match arguments {
        ["--profile", profile, names @ ..] => (*profile, names),
        names => ("dev", names),
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
        let outcome = build(&features, profile).and_then(|built| try_out(&built.path, &features));
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

/// Checks that the binary has all view sets of its features and none of others.
fn check_view_sets(schema: &str, features: &Features) -> Outcome {
    let found = view_sets(schema);
    let is_chosen = |feature: &str| match features {
        Features::Only(names) => names.iter().any(|name| name == feature),
        Features::Default | Features::All => true,
    };
    let of_features =
        VIEW_SETS.iter().flat_map(|(feature, sets)| sets.iter().map(|s| (*s, is_chosen(feature))));
    for (set, is_expected) in OWN.iter().map(|set| (*set, true)).chain(of_features) {
        match (is_expected, found.contains(&set)) {
            (true, false) => return Err(format!("it has no view set {set}, only {}", found.join(", "))),
            (false, true) => return Err(format!("it has the view set {set}, whose feature was not chosen")),
            _ => {}
        }
    }
    Ok(())
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
        let only = |names: &[&str]| Features::Only(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(check_view_sets(SCHEMA, &only(&["log", "pulse"])), Ok(()));
        let odd = check_view_sets(SCHEMA, &only(&["pulse"])).unwrap_err();
        assert!(odd.contains("log_entries"), "{odd}");
        let missing = check_view_sets(SCHEMA, &only(&["log", "net"])).unwrap_err();
        assert!(missing.contains("net_spans"), "{missing}");
    }

    #[test]
    fn every_feature_is_tried_out_alone() {
        let choices = choices(vec!["log".to_owned(), "net".to_owned()]);
        let names: Vec<&str> = choices.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["none", "log", "net", "all"]);
    }
}
