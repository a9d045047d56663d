//! No crate below the plug-ins knows a view set by name.

use super::source::{Source, code, is_word_byte, sources};
use crate::cargo::root;
use std::collections::BTreeSet;
use std::path::Path;

/// Crates that know no view set by name, comments included.
const CRATES: &[&str] =
    &["crates/model", "crates/view", "crates/lake", "crates/core", "crates/http-api", "crates/web", "xtask"];

/// Looks for the view sets of all plug-ins.
pub(super) fn check() -> Result<String, Vec<String>> {
    let view_sets = view_sets().map_err(|e| vec![e])?;
    let mut faults = Vec::new();
    for name in CRATES {
        let directory = root().join(name).join("src");
        if !directory.exists() {
            continue;
        }
        for source in sources(&directory).map_err(|e| vec![e])? {
            faults.extend(mentions(&source, &view_sets));
        }
    }
    let names: Vec<&str> = view_sets.iter().map(String::as_str).collect();
    if faults.is_empty() { Ok(names.join(", ")) } else { Err(faults) }
}

/// The view sets of view crates: each has a file with its schema beside the crate.
fn view_sets() -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for directory in ["crates", "examples"] {
        for plug_in in entries(&root().join(directory))? {
            if plug_in.starts_with("views-") {
                let schema = root().join(directory).join(&plug_in).join("schema");
                if directory == "examples" && !schema.exists() {
                    continue;
                }
                let files = entries(&schema)?;
                names.extend(files.iter().filter_map(|file| file.strip_suffix(".txt")).map(str::to_owned));
            }
        }
    }
    if names.is_empty() { Err("no view crate has a schema".to_owned()) } else { Ok(names) }
}

fn entries(directory: &Path) -> Result<Vec<String>, String> {
    let fault = |e| format!("{} can't be read: {e}", directory.display());
    let entries = std::fs::read_dir(directory).map_err(fault)?;
    let names = entries.map(|entry| Ok(entry.map_err(fault)?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The places where a source says the name of a view set.
fn mentions(source: &Source, view_sets: &BTreeSet<String>) -> Vec<String> {
    let code = code(&source.text);
    let mut found = Vec::new();
    for (number, (line, code)) in source.text.lines().zip(code.lines()).enumerate() {
        for name in view_sets.iter().filter(|name| mentioned(line, code, name)) {
            let path = source.path.strip_prefix(root()).unwrap_or(&source.path);
            found.push(format!("{}:{}: {name}", path.display(), number + 1));
        }
    }
    found
}

/// Whether a line has the name as a word. One that is an ordinary word must be quoted, or stand where SQL has a table.
fn mentioned(line: &str, code: &str, name: &str) -> bool {
    let places = line.match_indices(name).filter(|(begin, _)| {
        let before = line.get(..*begin).unwrap_or_default();
        let behind = line.get(begin + name.len()..).unwrap_or_default();
        let is_word = !before.bytes().next_back().is_some_and(is_word_byte)
            && !behind.bytes().next().is_some_and(is_word_byte);
        let is_quoted = [('"', '"'), ('`', '`'), ('\'', '\'')]
            .iter()
            .any(|(open, close)| before.ends_with(*open) && behind.starts_with(*close));
        // the name of a module or a function is none of a view set
        let is_in_code = code.get(*begin..begin + name.len()) == Some(name);
        let last = before.split_whitespace().next_back().unwrap_or_default().to_ascii_lowercase();
        let is_table =
            !is_in_code && matches!(last.as_str(), "from" | "join") && !before.trim_start().starts_with('/');
        is_word && (name.contains('_') || is_quoted || is_table)
    });
    places.count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_that_mention(text: &str) -> Vec<usize> {
        let source = Source { path: "a.rs".into(), text: text.to_owned() };
        let names = ["net_spans", "images"].map(str::to_owned).into();
        let line_of = |found: String| found.split(':').nth(1).unwrap_or_default().parse().unwrap();
        mentions(&source, &names).into_iter().map(line_of).collect()
    }

    #[test]
    fn a_name_is_found_in_code_comments_and_texts_and_not_inside_of_another() {
        let text = "fn net_spans() {}\n// of net_spans\nlet a = \"net_spans\";\nlet b = my_net_spans;\nnet_spans2();";
        assert_eq!(lines_that_mention(text), [1, 2, 3]);
    }

    #[test]
    fn an_ordinary_word_is_a_name_when_it_is_quoted_or_a_table() {
        let text = "// images are large, built from images\nlet images = 1;\nlet a = \"images\";\n\
                    let b = \"SELECT 1 FROM images\";\n/// `images` have it";
        assert_eq!(lines_that_mention(text), [3, 4, 5]);
    }

    #[test]
    fn every_view_crate_says_what_its_view_sets_are_called() {
        let names = view_sets().unwrap();
        assert!(names.len() >= 8, "{names:?}");
    }
}
