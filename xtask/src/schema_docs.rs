//! `schema-docs`: the pages in `docs/schema`.

use crate::cargo::{cargo, run as run_to_end};
use crate::{Outcome, misused};

/// The pages are made and compared by an ordinary test, which writes them if it is told to.
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
