//! Building and running the binary with chosen features.

use crate::Outcome;
use crate::cargo::{cargo, read, root, run, target_directory};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Which features a binary is built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Features {
    /// Only these.
    Only(Vec<String>),
    /// The default features.
    Default,
    /// All features.
    All,
}

/// Not a choice of what a binary can do: with it, crates of others are those that the tests use.
const UNIFIED: &str = "unified-build";

impl Features {
    /// The same choice, for a binary that is tried out and not shipped: it needs no other build of crates of others.
    pub(crate) fn unified(&self) -> Self {
        match self {
            Self::Only(names) => Self::Only(names.iter().cloned().chain([UNIFIED.to_owned()]).collect()),
            Self::Default | Self::All => self.clone(),
        }
    }

    /// What cargo is told.
    pub(crate) fn flags(&self) -> Vec<String> {
        match self {
            Self::Only(names) => {
                let mut flags = vec!["--no-default-features".to_owned()];
                if !names.is_empty() {
                    flags.extend(["--features".to_owned(), names.join(",")]);
                }
                flags
            }
            Self::Default => Vec::new(),
            Self::All => vec!["--all-features".to_owned()],
        }
    }
}

/// The features of the binary, in the order of its manifest.
pub(crate) fn features() -> Result<Vec<String>, String> {
    let path = root().join("crates/app/Cargo.toml");
    match features_of(&read(&path)?) {
        names if names.is_empty() => Err(format!("{} has no features", path.display())),
        names => Ok(names),
    }
}

/// Features that bring a view crate along, with the directory of that crate.
pub(crate) fn view_crates() -> Result<Vec<(String, String)>, String> {
    let path = root().join("crates/app/Cargo.toml");
    match view_crates_of(&read(&path)?) {
        crates if crates.is_empty() => Err(format!("{} has no view crates", path.display())),
        crates => Ok(crates),
    }
}

/// `log = ["dep:belvedere-views-log", …]` of a manifest.
fn view_crates_of(manifest: &str) -> Vec<(String, String)> {
    let crates = manifest.lines().filter_map(|line| {
        let (feature, wants) = line.split_once('=')?;
        let (_, package) = wants.split_once("\"dep:")?;
        let (package, _) = package.split_once('"')?;
        let directory = package.strip_prefix("belvedere-").unwrap_or(package);
        directory.starts_with("views-").then(|| (feature.trim().to_owned(), directory.to_owned()))
    });
    crates.collect()
}

/// The names in the section `[features]` of a manifest that are a choice: not `default`.
fn features_of(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let is_name = |name: &&str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    names.filter(is_name).filter(|name| !["default", UNIFIED].contains(name)).map(str::to_owned).collect()
}

/// A built binary.
#[derive(Debug)]
pub(crate) struct Built {
    /// Its path. The next build overwrites it.
    pub(crate) path: PathBuf,
    /// Time of the build.
    pub(crate) time: Duration,
    /// Number of crates that had to be compiled.
    pub(crate) compiled: usize,
}

/// Builds the binary with these features in this profile. Cargo's messages are shown.
pub(crate) fn build(features: &Features, profile: &str) -> Result<Built, String> {
    let mut command = cargo();
    command.args(["build", "-p", "belvedere", "--bin", "belvedere", "--locked", "--profile", profile]);
    command.args(features.flags()).stdin(Stdio::null()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|e| format!("{command:?} can't be run: {e}"))?;
    let mut compiled = 0;
    if let Some(said) = child.stderr.take() {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            compiled += usize::from(line.trim_start().starts_with("Compiling "));
            eprintln!("{line}");
        }
    }
    let status = child.wait().map_err(|e| format!("{command:?} got lost: {e}"))?;
    let time = begin.elapsed();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}"));
    }
    // cargo's name of the directory of its profiles for development
    let directory = match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    };
    let name = format!("belvedere{}", std::env::consts::EXE_SUFFIX);
    Ok(Built { path: target_directory().join(directory).join(name), time, compiled })
}

/// Checks the binary and its library with these features, lints included: nothing is linked, and nothing can be run.
pub(crate) fn check(features: &Features) -> Outcome {
    let mut command = cargo();
    command.args(["clippy", "-p", "belvedere", "--locked", "--quiet"]).args(features.flags());
    command.args(["--", "-D", "warnings"]);
    run(command)
}

/// A command line of a binary, without what our own environment would tell it of lakes.
pub(crate) fn command(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BELVEDERE_") {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_the_names_of_their_section_and_default_is_none() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = [\n    \"log\",\n]\n# a = comment\n\
                        unified-build = [\"dep:unified-features\"]\n\
                        log = [\"dep:views-log\"]\nsql-math = []\n\n[dependencies]\nserde = \"1\"\n";
        assert_eq!(features_of(manifest), ["log", "sql-math"]);
        assert_eq!(features_of("[package]\n"), Vec::<String>::new());
    }

    #[test]
    fn a_view_crate_stands_behind_the_feature_that_brings_it_along() {
        let manifest = "[features]\nlog = [\"dep:belvedere-views-log\", \"sql\"]\noidc = [\"dep:lru\"]\n\
                        pulse = [\"dep:views-pulse\"]\nsql = []\n";
        let expected = [("log", "views-log"), ("pulse", "views-pulse")];
        assert_eq!(view_crates_of(manifest), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn a_choice_without_features_leaves_out_the_default_ones() {
        assert_eq!(Features::Only(vec![]).flags(), ["--no-default-features"]);
        let two = Features::Only(vec!["log".to_owned(), "net".to_owned()]);
        assert_eq!(two.flags(), ["--no-default-features", "--features", "log,net"]);
        assert_eq!(two.unified().flags(), ["--no-default-features", "--features", "log,net,unified-build"]);
        assert_eq!(Features::Default.flags(), Vec::<String>::new());
    }
}
