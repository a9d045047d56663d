//! `docs/schema` is what `belvedere schema` says, one page a view set.

use crate::support::{BELVEDERE, testdata};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages by file name.
type Pages = BTreeMap<String, String>;

/// Run with `BELVEDERE_WRITE_SCHEMA_DOCS` set, it writes them.
#[test]
fn schema_docs_are_what_the_crates_register() {
    // the documentation is that of the full binary
    if !cfg!(all(feature = "log", feature = "metrics", feature = "net", feature = "spans", feature = "otel"))
    {
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    let pages = pages();
    if std::env::var_os("BELVEDERE_WRITE_SCHEMA_DOCS").is_some() {
        write(&directory, &pages);
    }
    let written = written(&directory);
    assert_eq!(
        written.keys().collect::<Vec<_>>(),
        pages.keys().collect::<Vec<_>>(),
        "run cargo xtask schema-docs"
    );
    for (name, page) in &pages {
        assert_eq!(&written[name], page, "docs/schema/{name} is stale: run cargo xtask schema-docs");
    }
}

fn write(directory: &PathBuf, pages: &Pages) {
    std::fs::create_dir_all(directory).unwrap();
    for name in written(directory).keys().filter(|name| !pages.contains_key(*name)) {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    for (name, page) in pages {
        std::fs::write(directory.join(name), page).unwrap();
    }
}

fn written(directory: &Path) -> Pages {
    let entries = std::fs::read_dir(directory).unwrap().map(|e| e.unwrap());
    entries
        .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(e.path()).unwrap()))
        .collect()
}

fn pages() -> Pages {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(BELVEDERE).args(["schema", "--output"]).arg(directory.path()).output().unwrap();
    assert!(output.status.success());
    written(directory.path())
}

/// Whoever reads the pages finds each column of the system that this one was founded on, in its order.
#[test]
fn the_pages_have_every_documented_column_of_the_seed() {
    let seed = std::fs::read(testdata("seed-schema.json")).unwrap();
    let seed: serde_json::Value = serde_json::from_slice(&seed).unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    for (name, set) in seed["view_sets"].as_object().unwrap() {
        let page = std::fs::read_to_string(directory.join(format!("{name}.md"))).unwrap();
        let mut rest = page.as_str();
        for column in set["columns"].as_array().unwrap() {
            let (name, of_type) = (column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
            let row = format!("| `{name}` | {of_type} |");
            let Some(found) = rest.find(&row) else {
                panic!("{name} of {of_type} is not where it should be:\n{page}")
            };
            rest = &rest[found + row.len()..];
        }
    }
}
