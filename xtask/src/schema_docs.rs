//! `schema-docs`: the pages in `docs/schema`.

use crate::cargo::{cargo, run as run_to_end};
use crate::{Outcome, misused};

/// Runs the test that generates and compares the pages, and makes it write them.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let is_only_compared = match arguments {
        [] => false,
        ["--check"] => true,
        _ => return misused(),
    };
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace", "--test", "it", "--", "schema_docs"]);
    if !is_only_compared {
        command.env("BELVEDERE_WRITE_SCHEMA_DOCS", "1");
    }
    run_to_end(command)
}
