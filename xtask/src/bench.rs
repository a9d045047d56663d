//! `bench`: decoding on one core, ingestion into a real server, and queries over the network.

use crate::cargo::{cargo, run as run_to_end};
use crate::{Outcome, misused};

/// Runs the benchmarks, with recordings of real clients if their directory is given.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let mut command = cargo();
    command.args(["bench", "--workspace"]);
    command.args(["lake", "spans", "otel", "queries"].iter().flat_map(|name| ["--bench", name]));
    match arguments {
        [] => {}
        ["--recordings", directory] => {
            let directory = std::fs::canonicalize(directory).map_err(|e| format!("{directory}: {e}"))?;
            command.env("BELVEDERE_RECORDINGS", directory);
        }
        _ => return misused(),
    }
    run_to_end(command)
}
