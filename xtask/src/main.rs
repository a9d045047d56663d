//! `cargo xtask`: chores of this repository, each in a module of its own.

mod attack;
mod bench;
mod binary;
mod cargo;
mod ci;
mod features;
mod fuzz;
mod laws;
mod new_view;
mod public_api;
mod schema_docs;
mod scratch;
mod server;
mod simulate;
mod sizes;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  new-view NAME [--no-snapshot]          create a view crate in crates/NAME, and link it into the binary
  schema-docs [--check]                  generate docs/schema from the registrations; with --check, only compare
  public-api [--bless]                   compare the public API of crates/view with its file, or update the file
  ci [quick]                             run everything that must pass: .ci/run
  features [--check | --profile P] [NAME...]
                                         build the binary with each feature alone, none and all, and test it;
                                         with --check, only compile it
  fuzz [--seconds N] [NAME...]           run the fuzz targets, each for a minute, starting from the kept inputs
  attack [--short] [--binary PATH] [--lake DIR] [--fuzz SECONDS] [--seed N]
                                         send statements that take memory, time or the process to a server, those of
                                         xtask/src/attack and those of a fuzzer; memory is that of all its processes
  simulate [--seconds N] [--seed S] [--runs N] [--threads N] [--backends directory|store|postgres]
                                         live through faults of the object store and the catalog, seed after seed,
                                         for a minute or so many seconds or runs; a seed that fails fails again
  laws [DIRECTORY...]                    check which crate may depend on which, and which may name a view set; or count
                                         what these decoder crates are built of
  sizes [--only NAME,...]                measure the cost of features, and write the table in docs/slim.md
  bench [--recordings DIR]               run the benchmarks in the release profile";

/// Chores fail with a message for people.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    if let Some(code) = fuzz::compile() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.split_first() {
        Some((&"new-view", rest)) => new_view::run(rest),
        Some((&"schema-docs", rest)) => schema_docs::run(rest),
        Some((&"public-api", rest)) => public_api::run(rest),
        Some((&"ci", rest)) => ci::run(rest),
        Some((&"features", rest)) => features::run(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        Some((&"attack", rest)) => attack::run(rest),
        Some((&"simulate", rest)) => simulate::run(rest),
        Some((&"laws", rest)) => laws::run(rest),
        Some((&"sizes", rest)) => sizes::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        _ => misused(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// The usage.
fn misused() -> Outcome {
    Err(USAGE.to_owned())
}
