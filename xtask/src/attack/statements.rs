//! Statements that are kept: one a line, after a `*` if it is in the short form too.
//!
//! `{{TEXT*COUNT}}` in a statement stands for that text so many times. Statements that are to run at once stand in one line
//! with [`AT_ONCE`] between them.

use crate::cargo::{read, root};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// Between statements of a line.
const AT_ONCE: &str = " ;;; ";

/// One entry of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) statements: Vec<String>,
    /// Whether it is in the short form too.
    pub(super) is_short: bool,
}

/// The table of statements.
pub(super) fn table() -> Result<Vec<Kept>, String> {
    read(&directory().join("statements.sql")).map(|text| parse(&text))
}

/// What fuzzers have found.
pub(super) fn found() -> Result<Vec<Kept>, String> {
    read(&found_file()).map(|text| parse(&text))
}

/// Keeps what was found, if it is not yet.
pub(super) fn keep(statements: &[String]) -> Result<(), String> {
    let line = statements.join(AT_ONCE);
    let path = found_file();
    if read(&path)?.lines().any(|kept| kept.trim_start_matches("* ") == line) {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(|e| format!("{} can't be written: {e}", path.display()))
}

fn directory() -> PathBuf {
    root().join("xtask/src/attack")
}

fn found_file() -> PathBuf {
    directory().join("found.sql")
}

fn parse(text: &str) -> Vec<Kept> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    let entries = lines.map(|line| {
        let (is_short, line) = match line.strip_prefix("* ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        Kept { statements: line.split(AT_ONCE).map(str::to_owned).collect(), is_short }
    });
    let mut seen = BTreeSet::new();
    entries.filter(|kept| seen.insert(kept.statements.clone())).collect()
}

/// A statement with its long texts.
pub(super) fn expand(statement: &str) -> String {
    let (mut text, mut rest) = (String::new(), statement);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((what, after)) = after.split_once("}}") else { break };
        let Some((repeated, count)) = what.rsplit_once('*') else { break };
        let Ok(count) = count.parse::<usize>() else { break };
        text.push_str(before);
        text.push_str(&repeated.repeat(count));
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_written_as_its_part_and_how_often() {
        assert_eq!(expand("SELECT '{{ab*3}}', '{{*}*2}}'"), "SELECT 'ababab', '*}*}'");
        assert_eq!(expand("SELECT '{{x', '{{x*y}}'"), "SELECT '{{x', '{{x*y}}'");
    }

    #[test]
    fn a_line_is_a_statement_or_several_at_once() {
        let kept = parse("-- of these\n* SELECT 1\n\nSELECT 2 ;;; SELECT 3\nSELECT 2 ;;; SELECT 3\n");
        let expected = [(vec!["SELECT 1"], true), (vec!["SELECT 2", "SELECT 3"], false)];
        let expected = expected.map(|(statements, is_short)| Kept {
            statements: statements.into_iter().map(str::to_owned).collect(),
            is_short,
        });
        assert_eq!(kept, expected);
    }

    #[test]
    fn the_table_has_many_statements_and_each_fits_into_a_request() {
        let table = table().unwrap();
        assert!(
            table.len() >= 80 && table.iter().filter(|kept| kept.is_short).count() >= 20,
            "{}",
            table.len()
        );
        let all = table.into_iter().chain(found().unwrap()).flat_map(|kept| kept.statements);
        assert!(all.map(|statement| expand(&statement)).all(|sql| sql.len() < 1 << 20));
    }
}
