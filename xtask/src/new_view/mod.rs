//! `new-view`: creates a view crate. Without an edit it compiles, is linked into the binary, has documentation and passes
//! the conformance tests. The templates are in `templates/view`.

mod link;
mod names;

use crate::binary::features;
use crate::cargo::{cargo, read, root, run as run_to_end, write};
use crate::{Outcome, misused};
use names::Names;
use std::path::Path;
use std::process::Command;

/// Templates by the path of their file in the crate.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../templates/view/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../../templates/view/lib.rs")),
    ("src/{{set}}.rs", include_str!("../../templates/view/set.rs")),
    ("src/decoder.rs", include_str!("../../templates/view/decoder.rs")),
    ("src/tests.rs", include_str!("../../templates/view/tests.rs")),
];

/// Writes the crate, links it in, and lets its tests write the snapshot of its schema.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (name, has_snapshot) = match arguments {
        [name] | ["--no-snapshot", name] | [name, "--no-snapshot"] if name.starts_with('-') => {
            return misused();
        }
        [name] => (*name, true),
        ["--no-snapshot", name] | [name, "--no-snapshot"] => (*name, false),
        _ => return misused(),
    };
    let names = Names::new(name, &features()?)?;
    let root = root();
    check_free(&root, &names)?;
    let directory = root.join("crates").join(&names.package);
    for (path, template) in FILES {
        write(&directory.join(names.fill(path)), &names.fill(template))?;
    }
    format(&directory);
    link_in(&root, &names)?;
    println!("crates/{} has the view set {}, behind the feature {}", names.package, names.set, names.feature);
    if has_snapshot {
        write_snapshot(&names)?;
    }
    let Names { package, set, .. } = &names;
    println!("next:");
    let first =
        (format!("BELVEDERE_BLESS=1 cargo test -p {package}"), format!("schema/{set}.txt of the crate"));
    for (command, what) in (!has_snapshot).then_some(first).into_iter().chain([
        (format!("cargo test -p {package}"), "its own tests, and the promises of all view sets".to_owned()),
        ("cargo xtask schema-docs".to_owned(), format!("docs/schema/{set}.md")),
        (format!("cargo run -- schema {set}"), "the same, from the binary".to_owned()),
    ]) {
        println!("  {command:<45}  {what}");
    }
    Ok(())
}

/// Checks that no file is overwritten and no name is taken.
fn check_free(root: &Path, names: &Names) -> Outcome {
    let Names { package, set, .. } = names;
    if root.join("crates").join(package).exists() {
        return Err(format!("crates/{package} is there already: choose another name, or remove it"));
    }
    let page = root.join("docs/schema").join(format!("{set}.md"));
    if page.exists() {
        return Err(format!(
            "there is a view set {set} already, see docs/schema/{set}.md: choose another name"
        ));
    }
    Ok(())
}

/// Formats the crate: the lengths of lines depend on the names.
fn format(directory: &Path) {
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024"]).arg(directory.join("src/lib.rs"));
    if let Err(e) = run_to_end(command) {
        println!("not formatted: {e}");
    }
}

fn link_in(root: &Path, names: &Names) -> Outcome {
    for link::Edit { file, what, make } in link::edits(names) {
        let path = root.join(file);
        match make(&read(&path)?, names) {
            Some(text) => write(&path, &text)?,
            None => println!("{file} does not look as expected; add by hand, {what}"),
        }
    }
    Ok(())
}

/// Runs the tests that generate the snapshot and the documentation.
fn write_snapshot(names: &Names) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", &names.package, "the_schema_is_the_one_of_the_snapshot"]);
    command.env("BELVEDERE_BLESS", "1");
    run_to_end(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_no_place_that_nobody_fills() {
        let names = Names::new("views-frame-times", &[]).unwrap();
        for (path, template) in FILES {
            let (path, text) = (names.fill(path), names.fill(template));
            assert!(!path.contains("{{") && !text.contains("{{") && !text.contains("}}"), "{path}:\n{text}");
        }
    }

    #[test]
    fn what_an_author_sees_first_is_less_than_a_hundred_lines() {
        let code = FILES.iter().filter(|(path, _)| path.ends_with(".rs") && !path.contains("tests"));
        let lines: usize = code.map(|(_, template)| template.lines().count()).sum();
        assert!((60..=80).contains(&lines), "{lines}");
    }

    #[test]
    fn a_name_that_is_in_use_is_refused() {
        let refused = |name: &str| check_free(&root(), &Names::new(name, &[]).unwrap()).unwrap_err();
        assert!(refused("views-log").contains("crates/views-log"));
        assert!(refused("views-blocks").contains("view set blocks"));
    }
}
