//! Public items out of source code that rustfmt has brought into form: an item begins in the first column, what is in it
//! is indented by four, and a signature ends where its line ends in `{` or `;`.

/// What one file has.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) items: Vec<Item>,
    /// Modules that are files of their own.
    pub(super) modules: Vec<Module>,
}

#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) is_public: bool,
}

/// An item with its members, or the members that an `impl` adds.
#[derive(Debug)]
pub(super) struct Item {
    /// Its name; of an `impl`, that of the type.
    pub(super) name: String,
    /// Whether `#[doc(hidden)]` stands on it.
    pub(super) is_hidden: bool,
    /// Whether a path of public modules leads to it.
    pub(super) is_reachable: bool,
    /// How many entries it has in a list of items.
    pub(super) entries: usize,
    /// The type that it is about, which must be public too.
    pub(super) of: Option<String>,
    /// What the surface's file says of it.
    pub(super) lines: Vec<String>,
    /// Names that a `pub use` re-exports.
    uses: Vec<String>,
}

impl Item {
    /// Names that it re-exports for everybody.
    pub(super) fn shown(&self) -> Vec<String> {
        if self.is_hidden { Vec::new() } else { self.uses.clone() }
    }

    /// Names that it re-exports for those who know.
    pub(super) fn hidden(&self) -> Vec<String> {
        if self.is_hidden { self.uses.clone() } else { Vec::new() }
    }
}

/// A line, or several that rustfmt broke one into.
struct Statement<'a> {
    text: String,
    /// Attributes before it, as one text.
    attributes: String,
    /// Lines between its `{` and `}`, one level of indentation less.
    body: Vec<&'a str>,
}

/// Splits lines of one level of indentation into statements.
fn statements<'a>(lines: &[&'a str]) -> Vec<Statement<'a>> {
    let mut found = Vec::new();
    let mut attributes = String::new();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        i += 1;
        if line.is_empty() || line.starts_with("//") || line.starts_with(' ') {
            continue;
        }
        let mut text = line.to_owned();
        if line.starts_with("#[") || line.starts_with("#![") {
            while !lines[i - 1].ends_with(']') && i < lines.len() {
                i += 1;
            }
            attributes.push_str(line);
            continue;
        }
        let is_use = line.starts_with("pub use") || line.starts_with("use");
        let ends = |line: &str| match is_use {
            true => line.ends_with(';'),
            false => line.ends_with(['{', ';', ',']) || line.ends_with('}'),
        };
        while !ends(lines[i - 1]) || is_open(&text) {
            let Some(next) = lines.get(i) else { break };
            // as if it were one line
            if !text.ends_with('(') && !next.trim().starts_with(')') {
                text.push(' ');
            }
            if next.trim().starts_with(')') && text.ends_with(',') {
                text.pop();
            }
            text.push_str(next.trim());
            i += 1;
        }
        let mut body = Vec::new();
        if !is_use && text.ends_with('{') {
            while i < lines.len() && !lines[i].starts_with('}') {
                body.push(lines[i].strip_prefix("    ").unwrap_or(lines[i]));
                i += 1;
            }
            i += 1;
        }
        found.push(Statement { text, attributes: std::mem::take(&mut attributes), body });
    }
    found
}

/// Whether a signature goes on: not all of its parentheses are closed.
fn is_open(text: &str) -> bool {
    let text = text.strip_suffix('{').unwrap_or(text);
    let count = |c| text.chars().filter(|found| *found == c).count();
    count('(') > count(')') || count('[') > count(']')
}

/// Public items of a module.
pub(super) fn parse(text: &str, module: &str, is_reachable: bool) -> Parsed {
    let lines: Vec<&str> = text.lines().collect();
    let mut parsed = Parsed::default();
    read_module(&lines, module, is_reachable, &mut parsed);
    parsed
}

fn read_module(lines: &[&str], module: &str, is_reachable: bool, parsed: &mut Parsed) {
    for statement in statements(lines) {
        let is_hidden = statement.attributes.contains("doc(hidden)");
        if statement.attributes.contains("cfg(test)") {
            continue;
        }
        let text = statement.text.as_str();
        if let Some(name) = text.strip_prefix("macro_rules! ") {
            if statement.attributes.contains("macro_export") {
                let name = name.trim_end_matches([' ', '{']);
                let lines = vec![format!("macro {name}!")];
                parsed.items.push(Item::new(name, is_hidden, true, lines));
            }
            continue;
        }
        if let Some(header) = text.strip_prefix("impl") {
            parsed.items.extend(implementation(header, &statement, is_hidden, is_reachable));
            continue;
        }
        let (is_public, rest) = match text.strip_prefix("pub ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if let Some(name) = rest.strip_prefix("mod ") {
            if let Some(name) = name.strip_suffix(';') {
                let is_public = is_public && !is_hidden;
                parsed.modules.push(Module { name: name.to_owned(), is_public });
            }
            if is_public {
                let name = name.trim_end_matches([' ', '{', ';']);
                let path = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
                parsed.items.push(Item::new(name, is_hidden, is_reachable, vec![format!("mod {path}")]));
                if !statement.body.is_empty() {
                    read_module(&statement.body, &path, is_reachable && !is_hidden, parsed);
                }
            }
            continue;
        }
        if is_public {
            parsed.items.extend(item(rest, module, &statement, is_hidden, is_reachable));
        }
    }
}

impl Item {
    fn new(name: &str, is_hidden: bool, is_reachable: bool, lines: Vec<String>) -> Self {
        let name = name.to_owned();
        Self { name, is_hidden, is_reachable, entries: 1, of: None, lines, uses: Vec::new() }
    }
}

fn item(
    rest: &str,
    module: &str,
    statement: &Statement<'_>,
    is_hidden: bool,
    is_reachable: bool,
) -> Option<Item> {
    if let Some(path) = rest.strip_prefix("use ") {
        return Some(re_export(path, module, is_hidden, is_reachable));
    }
    let signature = rest.trim_end_matches([' ', '{', ';']);
    let without_const = signature.strip_prefix("const fn ").map(|rest| format!("fn {rest}"));
    let (kind, after) = without_const.as_deref().unwrap_or(signature).split_once(' ')?;
    let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut lines = Vec::new();
    let attributes = &statement.attributes;
    let marks = if attributes.contains("non_exhaustive") { "#[non_exhaustive] " } else { "" };
    let derives = attributes.split_once("derive(").and_then(|(_, rest)| Some(rest.split_once(')')?.0));
    let derives = derives.map(|derives| format!(" ({derives})")).unwrap_or_default();
    // a constant's value is part of it, a function's body is not
    let signature =
        if kind == "const" || kind == "type" { signature } else { signature.trim_end_matches(" }") };
    lines.push(format!("{marks}{}{derives}", signature.trim_end_matches([' ', '{'])));
    for member in statements(&statement.body) {
        if member.attributes.contains("doc(hidden)") {
            continue;
        }
        let text = member.text.trim_end_matches([',', ';', ' ', '{']);
        match kind {
            "struct" => lines.extend(text.strip_prefix("pub ").map(|field| format!("    {name}::{field}"))),
            "enum" | "trait" => lines.push(format!("    {name}::{text}")),
            _ => {}
        }
    }
    Some(Item::new(&name, is_hidden, is_reachable, lines))
}

/// The members that an `impl` gives a type, or the trait.
fn implementation(
    header: &str,
    statement: &Statement<'_>,
    is_hidden: bool,
    is_reachable: bool,
) -> Option<Item> {
    let header = header.trim_end_matches([' ', '{']).trim_end_matches("{}").trim();
    // generics of the impl itself
    let bare = match header.strip_prefix('<') {
        Some(rest) => rest.split_once("> ").map_or(header, |(_, bare)| bare),
        None => header,
    };
    let (trait_, type_) = match bare.split_once(" for ") {
        Some((trait_, type_)) => (Some(trait_), type_),
        None => (None, bare),
    };
    let type_ = type_.trim_start_matches("dyn ");
    let name: String = type_.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut lines = Vec::new();
    if let Some(trait_) = trait_ {
        lines.push(format!("    impl {trait_} for {type_}"));
    } else {
        for member in statements(&statement.body) {
            if member.attributes.contains("doc(hidden)") {
                continue;
            }
            let text = member.text.trim_end_matches([' ', '{', ';']);
            if let Some(member) = text.strip_prefix("pub ").filter(|text| !text.starts_with('(')) {
                lines.push(format!("    {name}::{member}"));
            } else if text.ends_with('!') {
                // constructors that a macro makes, by the names that it is given
                let made = statements(&member.body).into_iter().map(|s| s.text);
                lines.extend(made.map(|text| format!("    {name}::{}", text.trim_end_matches([',', ';']))));
            }
        }
    }
    let item = Item::new(&name, is_hidden, is_reachable, lines);
    Some(Item { entries: 0, of: Some(name), ..item })
}

fn re_export(path: &str, module: &str, is_hidden: bool, is_reachable: bool) -> Item {
    let path = path.trim_end_matches(';');
    let words = path.split(|c: char| !c.is_alphanumeric() && c != '_');
    let uses: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    // what is the crate's own has a line where it is defined
    let is_foreign = path.starts_with("belvedere_") || path.starts_with("arrow_");
    let is_prelude = module == "prelude";
    let mut lines = Vec::new();
    if is_foreign || is_prelude {
        let names = path.rsplit_once("::").map_or(path, |(_, names)| names);
        let names = names.trim_matches(['{', '}', ' ']);
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let scope = if module.is_empty() { String::new() } else { format!("{module}: ") };
        lines.extend(names.map(|name| format!("use {scope}{}{name}", prefix(path))));
    }
    let item = Item::new("use", is_hidden, is_reachable, lines);
    // what a list of items has an entry for
    let entries = if is_prelude || path.contains('*') { 0 } else { item.lines.len() };
    Item { entries, uses, ..item }
}

/// The path before the names that a `use` is about.
fn prefix(path: &str) -> &str {
    match path.find('{').or_else(|| path.rfind("::").map(|at| at + 2)) {
        Some(at) => &path[..at],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let parsed = parse(text, "", true);
        parsed.items.into_iter().filter(|item| !item.is_hidden).flat_map(|item| item.lines).collect()
    }

    #[test]
    fn public_items_and_members_are_listed_and_hidden_ones_are_not() {
        let text = "\
/// A point.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Point {
    /// Its place.
    pub x: i64,
    secret: i64,
    #[doc(hidden)]
    pub y: i64,
}

impl Point {
    /// A point.
    pub const fn new(
        x: i64,
        y: i64,
    ) -> Self {
        Self { x, secret: 0, y }
    }

    constructors! {
        /// Zero.
        zero => Zero;
    }

    fn own(&self) {}
}

impl<'a> From<&'a str> for Point {
    fn from(_: &'a str) -> Self {}
}

#[doc(hidden)]
pub fn engine() {}

pub(crate) fn inner() {}

pub type Parse = fn(&str) -> bool;

#[macro_export]
macro_rules! register {
    () => {};
}
";
        let expected = [
            "#[non_exhaustive] struct Point (Debug, Clone)",
            "    Point::x: i64",
            "    Point::const fn new(x: i64, y: i64) -> Self",
            "    Point::zero => Zero",
            "    impl From<&'a str> for Point",
            "type Parse = fn(&str) -> bool",
            "macro register!",
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn modules_are_followed_and_re_exports_named() {
        let text = "mod own;\npub mod open;\n\npub use own::{\n    One,\n    Two,\n};\n#[doc(hidden)]\npub use own::Three;\n";
        let parsed = parse(text, "", true);
        let modules: Vec<(&str, bool)> =
            parsed.modules.iter().map(|m| (m.name.as_str(), m.is_public)).collect();
        assert_eq!(modules, [("own", false), ("open", true)]);
        let shown: Vec<String> = parsed.items.iter().flat_map(Item::shown).collect();
        assert_eq!(shown, ["own", "One", "Two"]);
        let hidden: Vec<String> = parsed.items.iter().flat_map(Item::hidden).collect();
        assert_eq!(hidden, ["own", "Three"]);
    }
}
