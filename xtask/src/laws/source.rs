//! Rust sources as the laws read them: which files a crate has, and what in them is code.

use crate::cargo::read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A source file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Its text with spaces in place of what only tests have.
    pub(super) text: String,
}

/// The sources below a directory, in the order of their names, without the files that only tests have.
pub(super) fn sources(directory: &Path) -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    collect(directory, &mut paths)?;
    paths.sort();
    let (mut found, mut of_tests) = (Vec::new(), Vec::new());
    for path in paths {
        let text = read(&path)?;
        of_tests.extend(modules_of_tests(&path, &text));
        found.push(Source { path, text: without_tests(&text) });
    }
    found.retain(|source| !of_tests.iter().any(|path| source.path.starts_with(path)));
    Ok(found)
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries =
        std::fs::read_dir(directory).map_err(|e| format!("{} can't be read: {e}", directory.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| format!("{} can't be read: {e}", directory.display()))?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

/// The file and the directory of each `#[cfg(test)] mod name;` in a file.
fn modules_of_tests(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_root_of_module =
        path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib" || stem == "main");
    let directory = if is_root_of_module { path.with_file_name("") } else { path.with_extension("") };
    let code = code(text);
    let names = items_of_tests(&code).into_iter().filter_map(|item| {
        let words = code.get(item)?.strip_suffix(';')?;
        let (_, name) = words.rsplit_once("mod ")?;
        Some(name.trim().to_owned())
    });
    names.flat_map(|name| [directory.join(format!("{name}.rs")), directory.join(name)]).collect()
}

/// The text without what follows `#[cfg(test)]`; what remains stays in its line and column.
pub(super) fn without_tests(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for item in items_of_tests(&code(text)) {
        blank(&mut bytes, item);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text without comments and without what is in quotes; what remains stays in its line and column.
pub(super) fn code(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in comments_and_quotes(text) {
        blank(&mut bytes, range);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    for byte in bytes.get_mut(range).into_iter().flatten().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// From each `#[cfg(test)]` to the end of the item behind it.
fn items_of_tests(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let (mut items, mut from) = (Vec::new(), 0);
    while let Some(found) = code.get(from..).and_then(|rest| rest.find(MARK)) {
        let begin = from + found;
        let (mut depth, mut end) = (0_usize, code.len());
        for (offset, byte) in code.bytes().enumerate().skip(begin + MARK.len()) {
            match byte {
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(byte, b'}' | b';') {
                end = offset + 1;
                break;
            }
        }
        items.push(begin..end);
        from = end;
    }
    items
}

/// Where comments are, and texts and characters with their quotes.
fn comments_and_quotes(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let at = |position: usize| bytes.get(position).copied();
    let rest = |position: usize| text.get(position..).unwrap_or_default();
    let (mut ranges, mut position) = (Vec::new(), 0);
    while let Some(byte) = at(position) {
        let end = match byte {
            b'/' if at(position + 1) == Some(b'/') => {
                Some(position + rest(position).find('\n').unwrap_or(bytes.len() - position))
            }
            b'/' if at(position + 1) == Some(b'*') => Some(end_of_comment(bytes, position)),
            b'"' => Some(end_of_quotes(bytes, position, b'"')),
            b'r' if !follows_word(bytes, position) => end_of_raw(text, position),
            // a lifetime has no second quote
            b'\'' if at(position + 1) == Some(b'\\') => Some(end_of_quotes(bytes, position, b'\'')),
            b'\'' => {
                let character = rest(position + 1).chars().next().map_or(1, char::len_utf8);
                (at(position + 1 + character) == Some(b'\'')).then_some(position + character + 2)
            }
            _ => None,
        };
        if let Some(end) = end {
            ranges.push(position..end.min(bytes.len()));
        }
        position = end.unwrap_or(position + 1);
    }
    ranges
}

/// `br"…"` is raw as well, `for"…"` is none.
fn follows_word(bytes: &[u8], position: usize) -> bool {
    let before = |steps: usize| position.checked_sub(steps).and_then(|p| bytes.get(p)).copied();
    let is_word = |byte: Option<u8>| byte.is_some_and(is_word_byte);
    match before(1) {
        Some(b'b' | b'c') => is_word(before(2)),
        other => is_word(other),
    }
}

/// Whether a byte may stand in a name.
pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn end_of_comment(bytes: &[u8], begin: usize) -> usize {
    let (mut depth, mut position) = (0_usize, begin);
    while let Some(pair) = bytes.get(position..position + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                position += 1;
                continue;
            }
        }
        position += 2;
        if depth == 0 {
            return position;
        }
    }
    bytes.len()
}

fn end_of_quotes(bytes: &[u8], begin: usize, quote: u8) -> usize {
    let mut position = begin + 1;
    while let Some(byte) = bytes.get(position) {
        match *byte {
            b'\\' => position += 1,
            byte if byte == quote => return position + 1,
            _ => {}
        }
        position += 1;
    }
    bytes.len()
}

fn end_of_raw(text: &str, begin: usize) -> Option<usize> {
    let rest = text.get(begin + 1..)?;
    let inside = rest.trim_start_matches('#');
    let marks = rest.len() - inside.len();
    let quoted = inside.strip_prefix('"')?;
    let end = quoted.find(&format!("\"{}", "#".repeat(marks)))?;
    Some(begin + 1 + marks + 1 + end + 1 + marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_no_comments_texts_and_characters_and_keeps_its_places() {
        let text =
            "a /* b /* c */ d */ e\nf // g \"\n\"h\\\"\" i 'j' k '\\'' l: &'m str r#\"n\" o\"# p br\"q\\\" r";
        let expected = "a                   e\nf       \n      i     k      l: &'m str           p b      r";
        assert_eq!(code(text), expected);
        assert_eq!(text.len(), expected.len());
    }

    #[test]
    fn a_name_that_ends_with_r_before_a_text_is_no_raw_text() {
        assert_eq!(code("for\"a\\\"b\" c"), "for       c");
    }

    #[test]
    fn what_only_tests_have_is_left_out_and_the_rest_stays() {
        let text = "use a;\n#[cfg(test)]\nuse b::{c, d};\nfn e() {}\n\
                    #[cfg(test)]\nmod tests {\n    const F: &str = \"}\";\n}\nfn g() {}\n";
        let left: Vec<String> = without_tests(text).lines().map(|line| line.trim().to_owned()).collect();
        let left: Vec<&str> = left.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        assert_eq!(left, ["use a;", ";", "fn e() {}", "fn g() {}"]);
    }

    #[test]
    fn files_of_tests_are_those_that_their_parents_say() {
        let text = "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod fixture;\n";
        let of = |path: &str| modules_of_tests(Path::new(path), text);
        let paths = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let of_lib = ["src/tests.rs", "src/tests", "src/fixture.rs", "src/fixture"];
        assert_eq!(of("src/lib.rs"), paths(&of_lib));
        assert_eq!(of("src/b.rs")[..2], paths(&["src/b/tests.rs", "src/b/tests"]));
    }
}
