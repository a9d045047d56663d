//! Placeholders of parameters: drivers write `?`, the engine knows `$1`.

use belvedere_core::datafusion::sql::sqlparser::dialect::GenericDialect;
use belvedere_core::datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A placeholder, and where it stands.
struct Placeholder {
    name: String,
    at: Location,
}

/// The placeholders of a statement in order; none if it is not even made of tokens, which the engine will say.
fn placeholders(sql: &str) -> Vec<Placeholder> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default();
    let found = tokens.into_iter().filter_map(|token| match token.token {
        Token::Placeholder(name) => Some(Placeholder { name, at: token.span.start }),
        _ => None,
    });
    found.collect()
}

/// The statement with `$1`, `$2`, … for its question marks, in order; `?3` is `$3`. Where there are names with `$`
/// too, nothing is changed: what a question mark would mean there, nobody can tell.
pub(super) fn numbered_placeholders(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let marks = placeholders(sql);
    if marks.is_empty() || marks.iter().any(|mark| !mark.name.starts_with('?')) {
        return Cow::Borrowed(sql);
    }
    let mut text = String::with_capacity(sql.len() + marks.len());
    let (mut line, mut column) = (1, 1);
    let mut next = marks.iter().enumerate().peekable();
    let mut digits_to_skip = 0;
    for c in sql.chars() {
        if let Some((i, mark)) = next.next_if(|(_, mark)| (mark.at.line, mark.at.column) == (line, column)) {
            let number = mark.name.trim_start_matches('?');
            digits_to_skip = number.chars().count();
            text.push('$');
            match number {
                "" => text.push_str(&(i + 1).to_string()),
                number => text.push_str(number),
            }
        } else if digits_to_skip > 0 {
            digits_to_skip -= 1;
        } else {
            text.push(c);
        }
        // as the tokenizer counts
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Cow::Owned(text)
}

/// Names of the parameters of a statement whose placeholders are not numbers, without `$`, in order; none if all are
/// numbers.
pub(super) fn parameter_names(sql: &str) -> Vec<String> {
    let names: BTreeSet<String> =
        placeholders(sql).into_iter().filter_map(|p| Some(p.name.strip_prefix('$')?.to_owned())).collect();
    match names.iter().all(|name| name.parse::<usize>().is_ok()) {
        true => Vec::new(),
        false => names.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A piece of a statement, and whether it is a placeholder.
    fn piece() -> impl Strategy<Value = (String, bool)> {
        prop_oneof![
            Just(("?".to_owned(), true)),
            "'[a-zäß? \n\"]{0,6}'".prop_map(|text| (text, false)),
            "\"[a-zé?' ]{1,6}\"".prop_map(|text| (text, false)),
            "-- [a-z?'\"ö]{0,6}\n".prop_map(|text| (text, false)),
            "/\\* [a-z?'\" \nü]{0,6}\\*/".prop_map(|text| (text, false)),
            "[a-z_]{1,5}".prop_map(|text| (format!("c_{text}"), false)),
            Just((" + 1 ,\n".to_owned(), false)),
        ]
    }

    proptest! {
        #[test]
        fn only_placeholders_become_numbers(pieces in prop::collection::vec(piece(), 0..12)) {
            let (mut sql, mut expected, mut count) = (String::new(), String::new(), 0);
            for (text, is_placeholder) in pieces {
                sql.push_str(&text);
                if is_placeholder {
                    count += 1;
                    expected.push_str(&format!("${count}"));
                } else {
                    expected.push_str(&text);
                }
                sql.push(' ');
                expected.push(' ');
            }
            prop_assert_eq!(numbered_placeholders(&sql), expected);
        }

        #[test]
        fn any_text_is_taken(sql in ".{0,40}") {
            let _ = numbered_placeholders(&sql);
        }
    }

    #[test]
    fn numbers_behind_question_marks_are_kept_and_mixtures_are_left_alone() {
        assert_eq!(numbered_placeholders("SELECT ?2, ?1"), "SELECT $2, $1");
        assert_eq!(numbered_placeholders("SELECT ?, $1"), "SELECT ?, $1");
        assert_eq!(numbered_placeholders("SELECT 'open ?"), "SELECT 'open ?");
    }

    #[test]
    fn names_are_those_that_are_no_numbers() {
        assert_eq!(parameter_names("SELECT $2, $10, $1"), Vec::<String>::new());
        assert_eq!(parameter_names("SELECT $name, '$other', $exe, $name"), ["exe", "name"]);
    }
}
