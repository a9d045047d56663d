//! `fuzz`: every fuzz target for a while, on the inputs that are kept in `fuzz/corpus`.
//!
//! `cargo fuzz` needs the nightly toolchain, and instruments every crate: the engine is then compiled once more. Here the
//! stable one compiles crates of others as everywhere else, so they are shared with the tests, and instruments our own,
//! which are those that are tested. Address sanitizing has nothing to find in them: `unsafe` is denied.

use crate::cargo::{cargo, root, run as run_to_end, target_directory};
use crate::scratch::Scratch;
use crate::{Outcome, misused};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

/// The compiler's path, set for cargo, which then calls this program in its place: so a `RUSTC_WRAPPER` that somebody has,
/// `sccache` say, still works.
const COMPILER: &str = "BELVEDERE_XTASK_COMPILER";

/// What makes libFuzzer see which branches an input takes, and what it is compared with.
const INSTRUMENTED: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

const SECONDS: &str = "60";

/// Builds all targets, or those that are named, and runs each.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (seconds, names) = match arguments {
        ["--seconds", seconds, names @ ..] => (*seconds, names),
        names => (SECONDS, names),
    };
    if names.iter().any(|name| name.starts_with('-')) || seconds.parse::<u32>().is_err() {
        return misused();
    }
    let mut targets = targets(&root().join("fuzz/fuzz_targets"))?;
    if let Some(unknown) = names.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        return Err(format!("there is no fuzz target '{unknown}': there are {}", targets.join(", ")));
    }
    targets.retain(|target| names.is_empty() || names.contains(&target.as_str()));
    build(&targets)?;
    let (queue, outcomes) = (Mutex::new(targets), Mutex::new(Vec::new()));
    let work = || {
        // the queue is not held while a target runs
        while let Some(target) = queue.lock().ok().and_then(|mut targets| targets.pop()) {
            let outcome = fuzz(&target, seconds);
            match &outcome {
                Ok(said) => println!("ok      {target:<16} {said}"),
                Err(e) => println!("FAILED  {target:<16} {e}"),
            }
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.push(outcome.map_err(|_| target));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let outcomes = outcomes.into_inner().map_err(|e| e.to_string())?;
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// Every file is a target.
fn targets(directory: &Path) -> Result<Vec<String>, String> {
    let fault = |e| format!("{} can't be read: {e}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    if names.is_empty() { Err(format!("{} has no targets", directory.display())) } else { Ok(names) }
}

fn build(targets: &[String]) -> Outcome {
    let this = std::env::current_exe().map_err(|e| format!("this program does not know where it is: {e}"))?;
    let mut command = cargo();
    command.args(["build", "--manifest-path", "fuzz/Cargo.toml", "--locked", "--target-dir"]);
    command.arg(target_directory());
    // by name: one that the manifest forgot is an error
    for target in targets {
        command.args(["--bin", target]);
    }
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    command.env("RUSTC", this).env(COMPILER, compiler);
    run_to_end(command)
}

/// Runs a target on what is kept, and tells how often it ran.
fn fuzz(target: &str, seconds: &str) -> Result<String, String> {
    let kept = root().join("fuzz/corpus").join(target);
    let count = std::fs::read_dir(&kept).map(Iterator::count).unwrap_or_default();
    if count == 0 {
        return Err(format!("there are no inputs in {}", kept.display()));
    }
    // what is found in this run goes into the first directory, so that the repository stays as it is
    let scratch = Scratch::new()?;
    let found = root().join("fuzz/artifacts").join(target);
    std::fs::create_dir_all(&found).map_err(|e| format!("{} can't be made: {e}", found.display()))?;
    let mut command = Command::new(target_directory().join("debug").join(target));
    command.arg(format!("-max_total_time={seconds}")).args(["-timeout=20", "-rss_limit_mb=3000"]);
    command.arg(format!("-artifact_prefix={}/", found.display())).arg(scratch.path()).arg(&kept);
    let output =
        command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?} can't be run: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(format!(
            "{count} inputs kept; {}",
            runs(&said).unwrap_or("it does not say how often it ran")
        ));
    }
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
    Err(format!("it ended with {}; the input is in {}\n{last}", output.status, found.display()))
}

/// The last line of libFuzzer: `Done 123 runs in 61 second(s)`.
fn runs(said: &str) -> Option<&str> {
    said.lines().rev().find(|line| line.starts_with("Done ") && line.contains(" runs"))
}

/// Compiles for cargo, if it is cargo that called.
pub(crate) fn compile() -> Option<ExitCode> {
    let mut command = Command::new(std::env::var_os(COMPILER)?);
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    command.args(&arguments).args(if is_instrumented(&arguments) { INSTRUMENTED } else { &[] });
    let is_ok = command.status().is_ok_and(|status| status.success());
    Some(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Crates of this repository, but for what only runs while others are compiled.
fn is_instrumented(arguments: &[String]) -> bool {
    let value =
        |flag: &str| arguments.iter().skip_while(|argument| *argument != flag).nth(1).map(String::as_str);
    value("--crate-name").is_some_and(|name| name.starts_with("belvedere"))
        && value("--crate-type") != Some("proc-macro")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_crates_are_instrumented_and_no_others() {
        let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_instrumented(&arguments("--crate-name belvedere_model --edition=2024 --crate-type lib")));
        assert!(!is_instrumented(&arguments("--crate-name belvedere_macros --crate-type proc-macro")));
        assert!(!is_instrumented(&arguments("--crate-name tokio --crate-type lib")));
        assert!(!is_instrumented(&arguments("-vV")));
    }

    #[test]
    fn every_fuzz_target_is_found() {
        let found = targets(&root().join("fuzz/fuzz_targets")).unwrap();
        assert!(
            ["transit", "wire"].iter().all(|name| found.iter().any(|target| target == name)),
            "{found:?}"
        );
    }

    #[test]
    fn how_often_a_target_ran_stands_in_its_last_line() {
        let said = "#2\tINITED cov: 1\n#99\tDONE cov: 1\nDone 99 runs in 61 second(s)\n";
        assert_eq!(runs(said), Some("Done 99 runs in 61 second(s)"));
        assert_eq!(runs("INFO: nothing\n"), None);
    }
}
