//! Rooms of a crate are its first-level modules: what uses what goes down only, there is no circle.

use super::source::{Source, code, is_word_byte, sources};
use crate::cargo::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crates whose rooms are held apart.
const CRATES: &[&str] = &["core"];

/// Who uses whom, and in which files.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// No circle between the rooms of a crate.
pub(super) fn check() -> Result<String, Vec<String>> {
    let (mut said, mut faults) = (Vec::new(), Vec::new());
    for name in CRATES {
        let directory = root().join("crates").join(name).join("src");
        let arrows = sources(&directory).map_err(|e| vec![e]).map(|found| arrows(&directory, &found))?;
        faults.extend(circles(&arrows).into_iter().map(|fault| format!("{name}: {fault}")));
        said.push(format!("{name}: {} arrows", arrows.len()));
    }
    if faults.is_empty() { Ok(said.join("; ")) } else { Err(faults) }
}

/// What is wrong with these arrows.
fn circles(arrows: &Arrows) -> Vec<String> {
    let mut faults = Vec::new();
    for ((from, to), files) in arrows {
        if reaches(arrows, to, from) {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            faults.push(format!("{from} → {to} closes a circle: {}", files.join(", ")));
        }
    }
    faults
}

/// Whether arrows lead from one room to another.
fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(room) = next.pop() {
        if room == to {
            return true;
        }
        let below = arrows.keys().filter(|(from, _)| from == room).map(|(_, to)| to.as_str());
        next.extend(below.filter(|room| seen.insert(room)));
    }
    false
}

/// Which room uses which.
fn arrows(directory: &Path, sources: &[Source]) -> Arrows {
    let mut arrows = Arrows::new();
    let module_of = |source: &Source| module(source.path.strip_prefix(directory).unwrap_or(&source.path));
    let rooms: BTreeSet<String> =
        sources.iter().filter_map(|source| module_of(source).into_iter().next()).collect();
    let at_root = sources.iter().find(|source| module_of(source).is_empty());
    let exported = at_root.map(|root| exported(&code(&root.text), &rooms)).unwrap_or_default();
    for source in sources {
        let module = module_of(source);
        let Some(from) = module.first() else { continue };
        for name in names_at_root(&code(&source.text), module.len()) {
            let to = if rooms.contains(&name) { Some(&name) } else { exported.get(&name) };
            if let Some(to) = to.filter(|to| *to != from) {
                let shown = source.path.strip_prefix(directory).unwrap_or(&source.path).display();
                arrows.entry((from.clone(), to.clone())).or_default().insert(shown.to_string());
            }
        }
    }
    arrows
}

/// The module that a file is, from the root of its crate.
fn module(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod" || name == "lib") {
        names.pop();
    }
    names
}

/// Names that the root of the crate has from a room: `pub use room::{Name, …}`.
fn exported(code: &str, rooms: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut exported = BTreeMap::new();
    let tokens = tokens(code);
    for (position, token) in tokens.iter().enumerate() {
        let Some([room, colons]) = tokens.get(position + 1..position + 3) else { continue };
        if *token != "use" || !rooms.contains(*room) || *colons != "::" {
            continue;
        }
        let items = tokens.iter().skip(position + 3).take_while(|token| **token != ";");
        exported.extend(
            items.filter(|token| is_name(token)).map(|name| ((*name).to_owned(), (*room).to_owned())),
        );
    }
    exported
}

/// The first names of all paths that begin at the root of the crate, in a module so many names below it.
fn names_at_root(code: &str, depth: usize) -> BTreeSet<String> {
    let tokens = tokens(code);
    let mut names = BTreeSet::new();
    let mut position = 0;
    while position < tokens.len() {
        let begin = position;
        let mut ups = 0;
        while tokens.get(position) == Some(&"super") && tokens.get(position + 1) == Some(&"::") {
            ups += 1;
            position += 2;
        }
        if tokens.get(position) == Some(&"crate") && tokens.get(position + 1) == Some(&"::") {
            (ups, position) = (depth, position + 2);
        }
        if ups == depth && position > begin {
            names.extend(first_names(tokens.get(position..).unwrap_or_default()));
        }
        position = position.max(begin + 1);
    }
    names
}

/// `a` of `a::b`, `a` and `c` of `{a::b, c}`.
fn first_names(tokens: &[&str]) -> Vec<String> {
    if tokens.first() != Some(&"{") {
        return tokens
            .first()
            .filter(|token| is_name(token))
            .map(|name| (*name).to_owned())
            .into_iter()
            .collect();
    }
    let (mut names, mut depth, mut is_first) = (Vec::new(), 0_usize, false);
    for token in tokens {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && is_first && is_name(name) => names.push(name.to_owned()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        is_first = depth == 1 && matches!(*token, "{" | ",");
    }
    names
}

fn is_name(token: &str) -> bool {
    token.bytes().next().is_some_and(|byte| is_word_byte(byte) && !byte.is_ascii_digit())
}

/// Names, `::`, and all else a character at a time.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match rest.bytes().position(|byte| !is_word_byte(byte)) {
            _ if rest.starts_with("::") => 2,
            Some(0) => first.len_utf8(),
            Some(length) => length,
            None => rest.len(),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn arrows_of(files: &[(&str, &str)]) -> Arrows {
        let source = |(path, text): &(&str, &str)| Source {
            path: PathBuf::from("src").join(path),
            text: (*text).to_owned(),
        };
        arrows(Path::new("src"), &files.iter().map(source).collect::<Vec<_>>())
    }

    #[test]
    fn arrows_are_found_in_every_way_of_writing_a_path() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d; pub use d::{Door, key::Key as Opener};"),
            ("a/mod.rs", "use crate::{b::{x, y}, self as this, c}; // crate::d"),
            ("b.rs", "fn f() -> Vec<crate::Opener> { super::c::g(\"crate::a\") }"),
            ("c/deep.rs", "use super::super::d::Door; use super::a; use super::super::super::a;"),
            ("d.rs", "use other_crate::a; use self::b;"),
        ];
        let found: Vec<String> = arrows_of(&files).keys().map(|(from, to)| format!("{from}{to}")).collect();
        assert_eq!(found, ["ab", "ac", "bc", "bd", "cd"]);
    }

    #[test]
    fn a_circle_is_named_with_its_files_and_arrows_beside_it_are_not() {
        let files = [
            ("a.rs", "use crate::b;"),
            ("b/mod.rs", "use crate::c;"),
            ("b/more.rs", "use crate::d;"),
            ("c.rs", "use crate::a;"),
            ("d.rs", ""),
        ];
        let arrows = arrows_of(&files);
        let faults = circles(&arrows);
        assert_eq!(
            faults,
            ["a → b closes a circle: a.rs", "b → c closes a circle: b/mod.rs", "c → a closes a circle: c.rs"]
        );
    }
}
