//! `simulate`: a lake that lives through faults of its store and its catalog, seed after seed. What it does is in
//! `crates/testkit/src/simulation`.

use crate::cargo::{cargo, run as run_to_end};
use crate::{Outcome, misused};

/// Hands the flags on, after a look at their names.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    const FLAGS: [&str; 5] = ["--seconds", "--seed", "--runs", "--threads", "--backends"];
    let is_flag = |pair: &[&str]| pair.len() == 2 && FLAGS.contains(&pair[0]);
    if !arguments.chunks(2).all(is_flag) {
        return misused();
    }
    let mut command = cargo();
    command.args(["run", "--quiet", "--locked", "-p", "belvedere-testkit", "--example", "simulate"]);
    command.args(["--features", "unified-build", "--"]).args(arguments);
    run_to_end(command)
}
