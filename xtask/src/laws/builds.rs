//! Whatever is selected, crates of others are built with the same features, and so once.

use crate::cargo::{cargo, output, root};
use std::collections::BTreeSet;

/// Compares what the tests of each crate are built of with what those of the whole workspace are, and the binary too.
pub(super) fn check() -> Result<String, Vec<String>> {
    let whole = built(&["--workspace", "-e", "normal,build,dev"]).map_err(|e| vec![e])?;
    let names = names().map_err(|e| vec![e])?;
    let mut faults = Vec::new();
    for name in &names {
        faults.extend(compare(&whole, name, "normal,build,dev"));
    }
    faults.extend(compare(&whole, "belvedere", "normal,build"));
    if faults.is_empty() {
        Ok(format!("{} crates, {} builds", names.len(), whole.len()))
    } else {
        Err(faults)
    }
}

fn compare(whole: &BTreeSet<String>, name: &str, edges: &str) -> Option<String> {
    match built(&["--package", name, "-e", edges]) {
        Ok(one) => fault(whole, name, &one),
        Err(e) => Some(e),
    }
}

fn fault(whole: &BTreeSet<String>, name: &str, one: &BTreeSet<String>) -> Option<String> {
    let again: Vec<&str> = one.difference(whole).map(String::as_str).collect();
    let first = again.first()?;
    Some(format!(
        "`cargo test -p {name}` builds {} crates again, as {first}: let it depend on `unified-features` in its \
         [dev-dependencies], and run `cargo hakari generate`",
        again.len()
    ))
}

/// The packages of the workspace.
fn names() -> Result<BTreeSet<String>, String> {
    let mut command = cargo();
    command.args(["tree", "--offline", "--locked", "--workspace", "--depth", "0", "--prefix", "none"]);
    let tree = output(command)?;
    Ok(tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Crates of others with their versions and features. One that is built for build scripts too has two lines if their
/// features differ.
fn built(selected: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut command = cargo();
    command.args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p} {f}"]).args(selected);
    Ok(of_others(&output(command)?, &root().display().to_string()))
}

fn of_others(tree: &str, root: &str) -> BTreeSet<String> {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)").trim_end());
    lines.filter(|line| !line.is_empty() && !line.contains(root)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_of_others_with_other_features_is_a_fault() {
        let whole = of_others("a v1.0.0 std,x\nours v0.1.0 (/here/ours) \nb v1.0.0 \n", "/here");
        assert_eq!(whole.len(), 2);
        let same = of_others("b v1.0.0 (*)\nother v0.1.0 (/here/other) x\n", "/here");
        assert_eq!(fault(&whole, "other", &same), None);
        let less = of_others("a v1.0.0 std\n", "/here");
        let said = fault(&whole, "other", &less).unwrap();
        assert!(said.contains("-p other` builds 1 crates again, as a v1.0.0 std:"), "{said}");
    }
}
