//! Every source file is a module of its crate: one that nobody declares is not compiled, and its tests do not run. And
//! every file that the documentation of a module lists is there.

use super::source::{code, is_word_byte};
use crate::cargo::{read, root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a crate's files are, each with the file that it begins with.
const ROOTS: &[&str] = &["src", "tests/it"];
/// First headers of the tables in a module's documentation that list its files.
const HEADERS: &[&str] = &["file", "module", "room"];

/// Looks for files that no other one declares, and for files that are listed and not there.
pub(super) fn check() -> Result<String, Vec<String>> {
    let mut crates = vec![root().join("xtask")];
    let fault = |e| vec![format!("crates can't be read: {e}")];
    for entry in std::fs::read_dir(root().join("crates")).map_err(fault)? {
        crates.push(entry.map_err(fault)?.path());
    }
    let (mut count, mut faults) = (0, Vec::new());
    for directory in crates.iter().flat_map(|of| ROOTS.iter().map(move |name| of.join(name))) {
        let files = files(&directory).map_err(|e| vec![e])?;
        count += files.len();
        let shown = |path: &Path| path.strip_prefix(root()).unwrap_or(path).display().to_string();
        for path in undeclared(&directory, &files) {
            faults.push(format!("{} is declared by no module", shown(&path)));
        }
        for (path, name) in missing(&files) {
            faults.push(format!("{} lists {name}, which is not there", shown(&path)));
        }
    }
    if faults.is_empty() { Ok(format!("{count} files")) } else { Err(faults) }
}

/// The files below a directory, with their texts.
pub(super) fn files(directory: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
    let mut files = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(files) };
    for entry in entries {
        let path = entry.map_err(|e| format!("{} can't be read: {e}", directory.display()))?.path();
        if path.is_dir() {
            files.append(&mut self::files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path)?;
            files.insert(path, text);
        }
    }
    Ok(files)
}

fn undeclared(directory: &Path, files: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let is_declared = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let parent = path.parent().unwrap_or(directory);
        let is_root = parent == directory && ["lib", "main"].contains(&&*stem);
        // a directory's module is declared one up
        let (name, place) = match &*stem {
            "mod" => {
                (parent.file_name().unwrap_or_default().to_string_lossy(), parent.parent().unwrap_or(parent))
            }
            _ => (stem, parent),
        };
        let beside = ["mod.rs", "lib.rs", "main.rs"].map(|file| place.join(file));
        let candidates = beside.into_iter().chain([place.with_extension("rs")]);
        let by_name = candidates.filter_map(|file| files.get(&file)).any(|text| declares(&code(text), &name));
        is_root || by_name || files.values().any(|text| names_file(text, path))
    };
    files.keys().filter(|path| !is_declared(path)).cloned().collect()
}

/// The files that the documentation of modules lists and that are not there, each with the file that lists it.
fn missing(files: &BTreeMap<PathBuf, String>) -> Vec<(PathBuf, String)> {
    let is_there = |directory: &Path, name: &str| {
        let places = [directory.join(name).with_extension("rs"), directory.join(name).join("mod.rs")];
        places.iter().any(|place| files.contains_key(place))
    };
    let mut missing = Vec::new();
    let has_files = |path: &Path| path.ends_with("mod.rs") || path.ends_with("lib.rs");
    for (path, text) in files.iter().filter(|(path, _)| has_files(path)) {
        let directory = path.parent().unwrap_or(path);
        let names = listed(text).into_iter().filter(|name| !is_there(directory, name));
        missing.extend(names.map(|name| (path.clone(), name.to_owned())));
    }
    missing
}

/// The names in the first cells of tables of files, in the documentation at the beginning of a text.
fn listed(text: &str) -> Vec<&str> {
    let (mut names, mut is_listing) = (Vec::new(), false);
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        let Some(row) = line.trim().strip_prefix('|') else {
            is_listing = false;
            continue;
        };
        let first = row.split('|').next().unwrap_or_default().trim();
        is_listing |= HEADERS.contains(&first);
        if is_listing {
            names.extend(first.split('`').skip(1).step_by(2));
        }
    }
    names
}

/// Whether there is a `mod name;`.
fn declares(code: &str, name: &str) -> bool {
    code.match_indices("mod ").any(|(begin, word)| {
        let is_word = !code.get(..begin).unwrap_or_default().bytes().next_back().is_some_and(is_word_byte);
        let behind = code.get(begin + word.len()..).unwrap_or_default().trim_start();
        let rest = behind.strip_prefix(name).map(str::trim_start);
        is_word && rest.is_some_and(|rest| rest.starts_with(';'))
    })
}

/// `#[path = "…"]` and `include!("…")`.
fn names_file(text: &str, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    text.lines().any(|line| (line.contains("#[path") || line.contains("include!")) && line.contains(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        let file = |(path, text): (&str, &str)| (PathBuf::from(path), text.to_owned());
        let files = [
            ("src/lib.rs", "pub mod a;\nmod b; // mod lost;\n#[path = \"odd/place.rs\"]\nmod c;"),
            ("src/a.rs", "#[cfg(test)]\nmod tests;"),
            ("src/a/tests.rs", ""),
            ("src/a/lost.rs", ""),
            ("src/b/mod.rs", "mod deep;"),
            ("src/b/deep/mod.rs", ""),
            ("src/b/deep/tests.rs", ""),
            ("src/odd/place.rs", ""),
            ("src/lost.rs", ""),
        ];
        let lost = undeclared(Path::new("src"), &files.map(file).into());
        assert_eq!(lost, ["src/a/lost.rs", "src/b/deep/tests.rs", "src/lost.rs"].map(PathBuf::from));
    }

    #[test]
    fn a_file_that_is_listed_and_not_there_is_found() {
        let table = "//! Does things.\n//!\n//! | file | idea |\n//! | --- | --- |\n//! | `b`, `gone` | `x` |\n\
                     //! | [`c`] | two |\n//!\n//! | table | columns |\n//! | `rows` | three |\n\
                     mod b;\n//! | `late` | not at the beginning |\n";
        let file = |(path, text): (&str, &str)| (PathBuf::from(path), text.to_owned());
        let files = [("src/a/mod.rs", table), ("src/a/b.rs", ""), ("src/a/c/mod.rs", "")].map(file).into();
        assert_eq!(missing(&files), [(PathBuf::from("src/a/mod.rs"), "gone".to_owned())]);
    }
}
