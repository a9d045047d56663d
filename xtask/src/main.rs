//! `cargo xtask`: chores of this repository.

use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask COMMAND

  schema-docs [--check]      write docs/schema from the registrations; with --check only compare
  bench [--recordings DIR]   run the benchmarks in the release profile";

/// Chores fail with a text for people.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["schema-docs"] => schema_docs(true),
        ["schema-docs", "--check"] => schema_docs(false),
        ["bench"] => bench(None),
        ["bench", "--recordings", directory] => bench(Some(directory)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// The pages are made and compared by an ordinary test, which writes them if it is told to.
fn schema_docs(write: bool) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace", "--test", "it", "--", "schema_docs"]);
    if write {
        command.env("BELVEDERE_WRITE_SCHEMA_DOCS", "1");
    }
    run(command)
}

/// Decoding on one core, and ingestion into a real server.
fn bench(recordings: Option<&str>) -> Outcome {
    let mut command = cargo();
    command.args(["bench", "--workspace", "--bench", "lake", "--bench", "spans", "--bench", "otel"]);
    if let Some(directory) = recordings {
        let directory = std::fs::canonicalize(directory).map_err(|e| format!("{directory}: {e}"))?;
        command.env("BELVEDERE_RECORDINGS", directory);
    }
    run(command)
}

/// The cargo that runs us, in the root of the repository.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo
}

fn run(mut command: Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(e) => Err(format!("{command:?} can't be run: {e}")),
    }
}
