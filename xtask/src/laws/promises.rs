//! What the page of promises names as a test is one.

use super::files::files;
use crate::cargo::{read, root};
use std::collections::BTreeSet;

/// The page with the promises, and their tests in the second cells of its tables.
const PAGE: &str = "docs/promises.md";

/// Looks for each test that the page names.
pub(super) fn check() -> Result<String, Vec<String>> {
    let page = read(&root().join(PAGE)).map_err(|e| vec![e])?;
    let mut functions = BTreeSet::new();
    for text in files(&root().join("crates")).map_err(|e| vec![e])?.values() {
        functions.extend(functions_of(text).map(str::to_owned));
    }
    let named = named(&page);
    let faults: Vec<String> = named
        .iter()
        .filter(|name| !functions.contains(**name))
        .map(|name| format!("{PAGE} names the test {name}, which is not there"))
        .collect();
    if faults.is_empty() { Ok(format!("{} tests", named.len())) } else { Err(faults) }
}

/// Names of functions in a source.
fn functions_of(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split("fn ").skip(1).filter_map(move |rest| rest.split(|c| !is_part(c)).next())
}

/// Tests that a page names: words in code style, in the last cells of tables.
fn named(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.filter(|word| !word.contains(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_words_in_the_last_cells_and_programs_are_not() {
        let page = "`a`\n| promise | tests |\n| --- | --- |\n| `b` holds | `c_d`, `e`; `cargo run` |\n";
        assert_eq!(named(page).into_iter().collect::<Vec<_>>(), ["c_d", "e"]);
        let functions: Vec<&str> = functions_of("async fn c_d() {}\nfn e<T>(of: &dyn Fn()) {}").collect();
        assert_eq!(functions, ["c_d", "e"]);
    }
}
