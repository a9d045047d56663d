//! Completion at the prompt. Pure functions: from the names in the lake and the typed text to a list of words.

use super::catalog::Catalog;
use super::commands::COMMANDS;
use super::scan::{Kind, Token, is_of_word, tokens};
use super::statements::around;
use crate::format::Format;
use belvedere_core::datafusion::sql::sqlparser::ast::{Expr, visit_expressions_mut};
use belvedere_core::datafusion::sql::sqlparser::dialect::GenericDialect;
use belvedere_core::datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword, RESERVED_FOR_TABLE_ALIAS,
};
use belvedere_core::datafusion::sql::sqlparser::parser::Parser;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Letters that must be typed before keywords are among the completions: a single one begins up to a hundred.
const KEYWORD_LETTERS: usize = 2;

/// These words are followed by a table.
const BEFORE_TABLES: &[&str] = &["FROM", "JOIN", "DESCRIBE", "DESC"];

/// Start of the word at the cursor, and its completions.
pub(super) fn complete(catalog: &Catalog, text: &str, position: usize) -> (usize, Vec<String>) {
    let line = text[..position].rfind('\n').map_or(0, |i| i + 1);
    let typed_line = text[line..position].trim_start();
    if let Some(command) = typed_line.strip_prefix('\\') {
        return complete_command(catalog, command, position);
    }
    let (begin, end) = around(text, position);
    let statement = &text[begin..end];
    let all = tokens(statement);
    let here = position - begin;
    let before: Vec<Token> = all.iter().copied().filter(|t| t.begin < here).collect();
    let Some(last) = before.last().copied() else { return (position, statement_starts("")) };
    let is_inside = here < last.end || (here == last.end && last.is_open);
    match last.kind {
        // at the end of a line comment the cursor is still within it
        Kind::Comment if here <= last.end => (position, Vec::new()),
        Kind::Text if is_inside => {
            let typed = &statement[last.begin + 1..here];
            if names_a_view_set(&before[..before.len() - 1], statement) {
                (begin + last.begin + 1, starting_with(catalog.view_sets.keys(), typed))
            } else {
                (position, Vec::new())
            }
        }
        Kind::Name if is_inside => {
            let typed = &statement[last.begin + 1..here];
            let earlier = &before[..before.len() - 1];
            let columns = columns(catalog, &all, statement, qualifier(earlier, statement));
            let quoted = columns.into_iter().filter(|c| c.starts_with(typed)).map(|c| format!("\"{c}\""));
            (begin + last.begin, quoted.collect())
        }
        _ => {
            let start = statement[..here]
                .rfind(|c: char| !is_of_word(c))
                .map_or(0, |i| i + statement[i..].chars().next().map_or(1, char::len_utf8));
            let earlier: Vec<Token> = before.iter().copied().filter(|t| t.begin < start).collect();
            let typed = &statement[start..here];
            (begin + start, words(catalog, &all, &earlier, statement, typed))
        }
    }
}

fn complete_command(catalog: &Catalog, command: &str, position: usize) -> (usize, Vec<String>) {
    let Some((name, argument)) = command.split_once(' ') else {
        let names = COMMANDS.iter().map(|c| c.0).filter(|name| name.starts_with(command));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        return (position - command.len(), names);
    };
    let argument = argument.trim_start();
    let found = match name {
        "d" => starting_with(catalog.view_sets.keys(), argument),
        "format" => {
            let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            starting_with(names.map(|v| v.get_name().to_owned()).collect::<Vec<_>>().iter(), argument)
        }
        _ => Vec::new(),
    };
    (position - argument.len(), found)
}

/// Completions of an unquoted word.
fn words(catalog: &Catalog, all: &[Token], earlier: &[Token], text: &str, typed: &str) -> Vec<String> {
    let previous = earlier.last().map(|t| t.text(text).to_ascii_uppercase()).unwrap_or_default();
    if previous == "." {
        let columns = columns(catalog, all, text, qualifier(earlier, text));
        return starting_with(columns.iter(), typed).iter().map(|c| quoted(c)).collect();
    }
    let calls: Vec<String> = catalog.functions.iter().map(|name| format!("{name}(")).collect();
    if earlier.is_empty() {
        return statement_starts(typed);
    }
    if BEFORE_TABLES.contains(&previous.as_str()) {
        let is_described = previous.starts_with("DESC");
        let mut found = if is_described {
            starting_with(catalog.view_sets.keys(), typed)
        } else {
            starting_with(catalog.tables.iter(), typed)
        };
        if !is_described && !typed.is_empty() {
            found.extend(starting_with(calls.iter(), typed));
        }
        return found;
    }
    let columns = columns(catalog, all, text, None);
    let mut found: Vec<String> = starting_with(columns.iter(), typed).iter().map(|c| quoted(c)).collect();
    // with nothing typed there would be hundreds
    if !typed.is_empty() {
        found.extend(starting_with(calls.iter(), typed));
        if typed.len() >= KEYWORD_LETTERS {
            found.extend(keywords(ALL_KEYWORDS, typed));
        }
        found.extend(starting_with(catalog.tables.iter(), typed));
    }
    let mut seen = BTreeSet::new();
    found.retain(|word| seen.insert(word.clone()));
    found
}

fn statement_starts(typed: &str) -> Vec<String> {
    keywords(&["SELECT", "WITH", "EXPLAIN", "DESCRIBE", "SHOW", "VALUES"], typed)
}

/// Keywords in the letter case that was typed.
fn keywords(words: &[&str], typed: &str) -> Vec<String> {
    let is_lower = typed.chars().next().is_some_and(char::is_lowercase);
    let fit = words.iter().filter(|w| starts_with(w, typed));
    fit.map(|w| if is_lower { w.to_ascii_lowercase() } else { (*w).to_owned() }).collect()
}

fn starts_with(word: &str, typed: &str) -> bool {
    word.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed))
}

fn starting_with<'a>(words: impl Iterator<Item = &'a String>, typed: &str) -> Vec<String> {
    words.filter(|word| starts_with(word, typed)).cloned().collect()
}

/// A column's name, quoted if SQL needs it.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain && is_column(name) { name.to_owned() } else { format!("\"{name}\"") }
}

/// Where a column stands in a statement.
const POSITIONS: &str = "SELECT ?, ? + 1, 1 - ?, max(?), ? AS a, t.? FROM t WHERE ? > 1 AND ? IS NULL AND ? = 'a' OR ? IN (1) \
     GROUP BY ?, 1 HAVING ? < 2 ORDER BY ? DESC, ?";

/// Whether a word is a column wherever one can stand: the statement with it then means what the one with `"word"` means.
fn is_column(word: &str) -> bool {
    let parse = |name: &str| {
        let mut statements = Parser::parse_sql(&GenericDialect {}, &POSITIONS.replace('?', name)).ok()?;
        let _ = visit_expressions_mut(&mut statements, |expr| {
            match expr {
                Expr::Identifier(name) => name.quote_style = None,
                Expr::CompoundIdentifier(names) => names.iter_mut().for_each(|name| name.quote_style = None),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
        Some(statements)
    };
    let bare = parse(word);
    bare.is_some() && bare == parse(&format!("\"{word}\""))
}

/// Whether a word is one of these keywords, in any letter case.
fn is_one_of(keywords: &[Keyword], word: &str) -> bool {
    // sorted, as the parser itself looks them up
    let found = ALL_KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str());
    found.is_ok_and(|i| keywords.contains(&ALL_KEYWORDS_INDEX[i]))
}

/// The name before the dot that ends these tokens.
fn qualifier(earlier: &[Token], text: &str) -> Option<String> {
    match earlier {
        [.., name, dot] if dot.kind == Kind::Symbol('.') => Some(name.text(text)),
        _ => None,
    }
}

/// Whether a text after these tokens is the first argument of `view_instance`.
fn names_a_view_set(earlier: &[Token], text: &str) -> bool {
    match earlier {
        [.., function, bracket] => {
            bracket.kind == Kind::Symbol('(') && function.text(text).eq_ignore_ascii_case("view_instance")
        }
        _ => false,
    }
}

/// Columns of the view sets that a statement names; of only one, if the column is qualified by its name or alias.
fn columns(catalog: &Catalog, all: &[Token], text: &str, of: Option<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (i, token) in all.iter().enumerate() {
        let name = token.text(text);
        let of_view_set = match token.kind {
            Kind::Word => catalog.view_sets.get(&name.to_ascii_lowercase()),
            Kind::Name => catalog.view_sets.get(&name),
            Kind::Text if names_a_view_set(&all[..i], text) => catalog.view_sets.get(&name),
            _ => None,
        };
        let Some(columns) = of_view_set else { continue };
        let is_meant = match &of {
            None => true,
            Some(of) => name.eq_ignore_ascii_case(of) || alias(all, i, text).as_ref() == Some(of),
        };
        if is_meant {
            found.extend(columns.iter().filter(|c| !found.contains(c)).cloned().collect::<Vec<_>>());
        }
    }
    found
}

/// The alias of a table or of a table function's call.
fn alias(all: &[Token], table: usize, text: &str) -> Option<String> {
    let mut rest = all[table + 1..].iter().filter(|t| t.kind != Kind::Comment).peekable();
    if all[table].kind == Kind::Text {
        rest.find(|t| t.kind == Kind::Symbol(')'))?;
    }
    let mut next = rest.next()?;
    if next.kind == Kind::Word && next.text(text).eq_ignore_ascii_case("as") {
        next = rest.next()?;
    }
    let name = next.text(text);
    let is_name = match next.kind {
        Kind::Word => !is_one_of(RESERVED_FOR_TABLE_ALIAS, &name),
        Kind::Name => true,
        _ => false,
    };
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_core::arrow::datatypes::{DataType, Field, Schema};
    use belvedere_core::datafusion::datasource::empty::EmptyTable;
    use belvedere_core::datafusion::prelude::SessionContext;
    use std::sync::Arc;

    fn catalog() -> Catalog {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        Catalog {
            tables: names(&["log_entries", "blocks"]).into_iter().collect(),
            view_sets: [
                ("log_entries".to_owned(), names(&["time", "msg", "level", "process_id"])),
                ("blocks".to_owned(), names(&["block_id", "process_id", "streams.tags"])),
                ("thread_spans".to_owned(), names(&["begin", "end", "name"])),
            ]
            .into(),
            functions: names(&["list_view_sets", "lower", "log10"]).into_iter().collect(),
        }
    }

    /// Completions of the word before the `|`.
    fn at(text: &str) -> Vec<String> {
        let position = text.find('|').unwrap();
        complete(&catalog(), &text.replacen('|', "", 1), position).1
    }

    #[test]
    fn what_is_replaced_begins_with_the_word_that_is_typed() {
        for (text, start) in [
            ("SELECT 1; SELECT * FROM bl", 24),
            ("SELECT 1 FROM blocks b WHERE b.bl", 31),
            ("SELECT 1 FROM blocks WHERE \"str", 27),
            ("SELECT 1 FROM view_instance('th", 29),
            ("SELECT 1;\n\\d bl", 13),
            ("\\ti", 1),
            ("", 0),
        ] {
            assert_eq!(complete(&catalog(), text, text.len()).0, start, "{text}");
        }
    }

    #[test]
    fn tables_stand_behind_from_and_join() {
        assert_eq!(at("SELECT * FROM |"), ["blocks", "log_entries"]);
        assert_eq!(at("SELECT * FROM l|"), ["log_entries", "list_view_sets(", "log10(", "lower("]);
        assert_eq!(at("SELECT * FROM log_entries JOIN b|"), ["blocks"]);
        assert_eq!(at("DESCRIBE t|"), ["thread_spans"]);
        assert_eq!(at("SELECT 1; SELECT * FROM b|"), ["blocks"]);
    }

    #[test]
    fn columns_are_those_of_the_tables_that_are_named_also_behind_the_cursor() {
        assert_eq!(at("SELECT m| FROM log_entries"), ["msg"]);
        assert_eq!(at("SELECT | FROM blocks"), ["block_id", "process_id", "\"streams.tags\""]);
        assert_eq!(at("SELECT \"str| FROM blocks"), [""; 0]);
        assert_eq!(at("SELECT 1 FROM blocks WHERE \"str|"), ["\"streams.tags\""]);
        assert_eq!(at("SELECT m| FROM blocks"), [""; 0]);
        assert_eq!(at("SELECT l.m|, b.x FROM log_entries l JOIN blocks AS b"), ["msg"]);
        assert_eq!(at("SELECT b.| FROM log_entries l JOIN blocks AS b").len(), 3);
        assert_eq!(at("SELECT log_entries.l| FROM log_entries"), ["level"]);
        assert_eq!(at("SELECT s.n| FROM view_instance('thread_spans', 'x') AS s"), ["name"]);
        assert_eq!(at("SELECT e| FROM view_instance('thread_spans', 'x')")[0], "\"end\"");
    }

    #[test]
    fn keywords_come_in_the_letters_that_are_typed() {
        assert_eq!(at("sel|"), ["select"]);
        assert_eq!(at("SELECT 1 WHE|"), ["WHEN", "WHENEVER", "WHERE"]);
        assert_eq!(at("SELECT 1 W|"), [""; 0]);
        assert_eq!(at("|").len(), 6);
    }

    #[tokio::test]
    async fn whatever_keyword_a_column_is_named_after_its_completion_selects_it() {
        let engine = SessionContext::new();
        for keyword in ALL_KEYWORDS {
            let name = keyword.to_ascii_lowercase();
            let schema = Schema::new(vec![Field::new(&name, DataType::Int64, true)]);
            engine.register_table("t", Arc::new(EmptyTable::new(Arc::new(schema)))).unwrap();
            let column = quoted(&name);
            let sql = format!(
                "SELECT {column}, {column} + 1, 1 - {column} FROM t WHERE {column} > 1 AND {column} IS NOT NULL \
                 ORDER BY {column} DESC"
            );
            let plan = engine.state().create_logical_plan(&sql).await;
            let plan = plan.unwrap_or_else(|e| panic!("{column}: {e}"));
            assert_eq!(plan.schema().field(0).name(), &name, "{sql}");
            assert_eq!(plan.schema().field(2).data_type(), &DataType::Int64, "{sql}");
            engine.deregister_table("t").unwrap();
        }
    }

    #[test]
    fn a_column_is_quoted_if_its_name_means_something_else() {
        for name in ["end", "true", "null", "interval", "Exe", "streams.tags", "a b"] {
            assert_eq!(quoted(name), format!("\"{name}\""));
        }
        for name in ["time", "format", "begin", "level", "name", "msg", "process_id"] {
            assert_eq!(quoted(name), name);
        }
    }

    #[test]
    fn view_sets_stand_in_view_instance_and_nothing_in_other_texts_or_comments() {
        assert_eq!(at("SELECT * FROM view_instance('th|"), ["thread_spans"]);
        assert_eq!(at("SELECT * FROM log_entries WHERE msg = 'th|'"), [""; 0]);
        assert_eq!(at("SELECT /* th|"), [""; 0]);
    }

    #[test]
    fn commands_and_their_arguments() {
        assert_eq!(at("\\ti|"), ["timing"]);
        assert_eq!(at("\\d th|"), ["thread_spans"]);
        assert_eq!(at("\\format nd|"), ["ndjson"]);
        assert_eq!(at("\\o |"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_a_word_at_the_cursor_is_replaced(
            text in "([a-z.,;()'\"\\\\ \n*/é-]|FROM |blocks |view_instance\\('){0,12}"
        ) {
            for (position, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let (start, _) = complete(&catalog(), &text, position);
                proptest::prop_assert!(start <= position && text.is_char_boundary(start));
            }
        }
    }
}
