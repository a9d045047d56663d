//! The parser's dialect answers every question as the engine's own does.
//!
//! `Dialect` has defaults, so the compiler says nothing when the engine's dialect begins to answer something of its own.

use crate::cargo::{cargo, output, read, root};
use std::collections::BTreeSet;
use std::path::Path;

/// Counts what the engine's dialect answers, if ours answers all of it.
pub(super) fn check() -> Result<String, Vec<String>> {
    let (theirs, ours) = sources().map_err(|fault| vec![fault])?;
    let unanswered = unanswered(&theirs, &ours);
    match functions(&theirs).len() {
        0 => Err(vec!["the engine's dialect has no functions: has its source moved?".to_owned()]),
        count if unanswered.is_empty() => Ok(format!("{count} functions")),
        _ => Err(unanswered
            .into_iter()
            .map(|name| format!("crates/core/src/parser/mod.rs leaves out {name}"))
            .collect()),
    }
}

fn sources() -> Result<(String, String), String> {
    let mut command = cargo();
    command.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    let metadata = output(command)?;
    let parser = directory(&metadata).ok_or("there is no crate sqlparser")?;
    Ok((read(&parser.join("src/dialect/generic.rs"))?, read(&root().join("crates/core/src/parser/mod.rs"))?))
}

/// Where the parser's source is, told from the paths of all manifests.
fn directory(metadata: &str) -> Option<&Path> {
    let manifests = metadata.split("\"manifest_path\":\"").skip(1);
    let directories = manifests.filter_map(|rest| Path::new(rest.split('"').next()?).parent());
    directories.into_iter().find(|directory| {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        name == "sqlparser" || name.starts_with("sqlparser-")
    })
}

fn functions(source: &str) -> BTreeSet<&str> {
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("fn "));
    lines.filter_map(|line| line.split_once("(&self")).map(|(name, _)| name).collect()
}

fn unanswered<'a>(theirs: &'a str, ours: &str) -> Vec<&'a str> {
    let words: BTreeSet<&str> = ours.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    functions(theirs).into_iter().filter(|name| !words.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_is_found_among_all_crates() {
        let metadata = r#"{"packages":[{"name":"sqlparser_derive","manifest_path":"/a/sqlparser_derive-0.5.0/Cargo.toml"},
            {"manifest_path":"/a/sqlparser-0.62.0/Cargo.toml"}]}"#;
        assert_eq!(directory(metadata), Some(Path::new("/a/sqlparser-0.62.0")));
    }

    #[test]
    fn an_answer_that_is_left_out_is_found() {
        let theirs = "impl Dialect for GenericDialect {\n    fn supports_a(&self) -> bool {\n        true\n    }\n\n    \
                      fn is_b(&self, ch: char) -> bool {\n";
        assert_eq!(unanswered(theirs, "as_generic! { supports_a is_b2 }"), ["is_b"]);
        assert_eq!(unanswered(theirs, "as_generic! { supports_a } fn is_b(&self, ch: char)"), [""; 0]);
    }
}
