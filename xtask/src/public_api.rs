//! `public-api`: the surface that third parties build on, as a file. A change of it is a diff that somebody sees.
//!
//! The list is read from the source, which rustfmt has brought into form, and not from the compiler: so it needs nothing
//! but a stable toolchain and no build. It has what `pub use` and `pub mod` show and `#[doc(hidden)]` does not hide.

mod source;

use crate::cargo::{read, root, write};
use crate::{Outcome, misused};
use source::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crate, and the file with its surface.
const CRATE: &str = "crates/view";
const FILE: &str = "public-api.txt";
/// Items that fit on one page: types, traits, macros, functions, modules.
const MOST_ITEMS: usize = 60;

/// Crates that few build on, and how many names they may show together.
const ENGINE: [&str; 3] = ["crates/model", "crates/lake", "crates/core"];
const MOST_ENGINE_ITEMS: usize = 120;

/// Compares the surface with its file, or writes the file.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let directory = root().join(CRATE);
    match arguments {
        [] => compare(&directory),
        ["--bless"] => write(&directory.join(FILE), &surface(&directory)?),
        _ => misused(),
    }
}

fn compare(directory: &Path) -> Outcome {
    let (then, now) = (read(&directory.join(FILE))?, surface(directory)?);
    if then == now {
        return Ok(());
    }
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (then.lines().collect(), now.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}\n"));
    let added = new.difference(&old).map(|line| format!("+ {line}\n"));
    Err(format!(
        "{CRATE}/{FILE} is not the surface of the crate:\n{}if that is meant, `cargo xtask public-api --bless` writes it; \
         what third parties compile against it must still compile, or API_VERSION goes up",
        gone.chain(added).collect::<String>()
    ))
}

/// The items of a crate that others see.
fn public_items(directory: &Path) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    visit(&directory.join("src/lib.rs"), "", true, &mut items)?;
    // what is re-exported is shown under the name that it has there
    let shown: BTreeSet<String> = items.iter().flat_map(Item::shown).collect();
    let hidden: BTreeSet<String> = items.iter().flat_map(Item::hidden).collect();
    items.retain(|item| {
        !item.is_hidden && !hidden.contains(&item.name) && (item.is_reachable || shown.contains(&item.name))
    });
    Ok(items)
}

/// How many names the crates of the engine show together: types, traits, macros, functions, constants.
pub(crate) fn engine() -> Result<String, Vec<String>> {
    let mut count = 0;
    for name in ENGINE {
        let items = public_items(&root().join(name)).map_err(|e| vec![e])?;
        let is_name = |item: &&Item| !item.lines.iter().any(|line| line.starts_with("mod "));
        count += items.iter().filter(is_name).map(|item| item.entries).sum::<usize>();
    }
    let shown = format!("{count} of at most {MOST_ENGINE_ITEMS}");
    if count > MOST_ENGINE_ITEMS { Err(vec![shown]) } else { Ok(shown) }
}

/// The surface of a crate, a line for each item and each member.
fn surface(directory: &Path) -> Result<String, String> {
    let public = public_items(directory)?;
    let names: BTreeSet<&str> = public.iter().map(|item| item.name.as_str()).collect();
    let count: usize = public.iter().map(|item| item.entries).sum();
    // an item first, then its members
    let mut lines: BTreeMap<(&str, bool), BTreeSet<&str>> = BTreeMap::new();
    for item in public.iter().filter(|item| item.of.as_deref().is_none_or(|of| names.contains(of))) {
        for line in &item.lines {
            let is_member = line.starts_with("    ");
            lines.entry((&item.name, is_member)).or_default().insert(line);
        }
    }
    if count > MOST_ITEMS {
        return Err(format!(
            "the surface of {CRATE} has {count} items, more than the {MOST_ITEMS} of one page"
        ));
    }
    let mut text = format!("{count} items; written by `cargo xtask public-api --bless`\n\n");
    for line in lines.into_values().flatten() {
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// Adds what the module in a file has, and what the modules in it have.
fn visit(file: &Path, module: &str, is_reachable: bool, items: &mut Vec<Item>) -> Outcome {
    let parsed = source::parse(&read(file)?, module, is_reachable);
    for child in &parsed.modules {
        let is_root = file.file_name().is_some_and(|name| name == "lib.rs" || name == "mod.rs");
        let stem = file.file_stem().unwrap_or_default();
        let parent = file.parent().unwrap_or(file);
        let directory: PathBuf = if is_root { parent.to_owned() } else { parent.join(stem) };
        let (flat, nested) =
            (directory.join(format!("{}.rs", child.name)), directory.join(&child.name).join("mod.rs"));
        let path = if flat.exists() { flat } else { nested };
        let inner = if module.is_empty() { child.name.clone() } else { format!("{module}::{}", child.name) };
        visit(&path, &inner, is_reachable && child.is_public, items)?;
    }
    items.extend(parsed.items);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surface_of_the_view_crate_is_the_one_in_its_file() {
        compare(&root().join(CRATE)).unwrap();
    }
}
