//! `ci`: all checks.

use crate::Outcome;
use crate::cargo::{root, run as run_to_end};
use std::process::Command;

/// Runs the repository's script with these arguments. It also works without this program.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let mut command = Command::new("bash");
    command.arg(".ci/run").args(arguments).current_dir(root());
    run_to_end(command)
}
