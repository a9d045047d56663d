//! `?` in SQL, which the engine only knows as `$1`, `$2` ….

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use std::borrow::Cow;

/// The same SQL with `$1`, `$2` … where it has `?`; `?7` becomes `$7`. Texts, comments and quoted identifiers stay as
/// they are, and so does SQL that can't be split into words: the engine says what is wrong with it.
pub(super) fn numbered_placeholders(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() else {
        return Cow::Borrowed(sql);
    };
    let mut places = tokens.iter().filter_map(|token| match &token.token {
        Token::Placeholder(name) if name.starts_with('?') => Some((token.span.start, name.as_str())),
        _ => None,
    });
    let mut next_place = places.next();
    let mut numbered = String::with_capacity(sql.len() + 8);
    let mut count = 0;
    let mut at = Location { line: 1, column: 1 };
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match next_place {
            Some((place, name)) if place == at && character == '?' => {
                // next to a word it would become a part of it
                if numbered.chars().next_back().is_some_and(joins) {
                    numbered.push(' ');
                }
                numbered.push('$');
                match &name[1..] {
                    "" => {
                        count += 1;
                        numbered.push_str(&count.to_string());
                    }
                    number => {
                        numbered.push_str(number);
                        // these are written
                        for _ in number.chars() {
                            characters.next();
                            at.column += 1;
                        }
                    }
                }
                if characters.peek().copied().is_some_and(joins) {
                    numbered.push(' ');
                }
                next_place = places.next();
            }
            _ => numbered.push(character),
        }
        at = match character {
            '\n' => Location { line: at.line + 1, column: 1 },
            _ => Location { line: at.line, column: at.column + 1 },
        };
    }
    Cow::Owned(numbered)
}

/// Whether a character beside a placeholder would be read as a part of its name, or the placeholder as a part of a
/// word that ends with it.
fn joins(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$' | '@' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(sql: &str) -> Option<Vec<Token>> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().ok()?;
        Some(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect())
    }

    #[test]
    fn question_marks_are_numbered_in_their_order() {
        assert_eq!(
            numbered_placeholders("SELECT ? + ?\nFROM t WHERE a=? AND é = ?"),
            "SELECT $1 + $2\nFROM t WHERE a=$3 AND é = $4"
        );
        assert_eq!(numbered_placeholders("SELECT ?2, ?1"), "SELECT $2, $1");
    }

    #[test]
    fn texts_comments_and_quoted_identifiers_keep_their_question_marks() {
        let sql = "SELECT 'why? ''really?''', \"a?\", `b?`, $$c?$$ -- who?\n/* where? */ FROM t";
        assert_eq!(numbered_placeholders(sql), sql);
        let mixed = "SELECT '?', ? /* ? */, ?";
        assert_eq!(numbered_placeholders(mixed), "SELECT '?', $1 /* ? */, $2");
    }

    #[test]
    fn a_placeholder_does_not_grow_into_its_neighbours() {
        assert_eq!(numbered_placeholders("LIMIT?"), "LIMIT $1");
        assert_eq!(numbered_placeholders("SELECT ?AS a"), "SELECT $1 AS a");
        assert_eq!(numbered_placeholders("SELECT ??"), "SELECT $1 $2");
        assert_eq!(numbered_placeholders("SELECT ?12AS a, ?"), "SELECT $12 AS a, $1");
        assert_eq!(numbered_placeholders("SELECT ?||?"), "SELECT $1||$2");
    }

    #[test]
    fn what_is_not_sql_stays_as_it_is() {
        for text in ["", "SELECT ? FROM 'unterminated", "SELECT $1, $name"] {
            assert_eq!(numbered_placeholders(text), text);
        }
    }

    proptest! {
        /// Nothing but placeholders changes, whatever stands beside them.
        #[test]
        fn all_other_words_stay_the_same(sql in "[?a1'\"$. \n/*,-]{0,24}") {
            let numbered = numbered_placeholders(&sql);
            if let Some(before) = words(&sql) {
                let mut count = 0;
                let expected: Vec<Token> = before
                    .into_iter()
                    .map(|token| match token {
                        Token::Placeholder(name) if name == "?" => {
                            count += 1;
                            Token::Placeholder(format!("${count}"))
                        }
                        Token::Placeholder(name) if name.starts_with('?') => {
                            Token::Placeholder(name.replacen('?', "$", 1))
                        }
                        other => other,
                    })
                    .collect();
                prop_assert_eq!(words(&numbered), Some(expected));
            } else {
                prop_assert_eq!(numbered.as_ref(), sql.as_str());
            }
        }

        #[test]
        fn no_text_is_too_odd(sql in any::<String>()) {
            numbered_placeholders(&sql);
        }
    }
}
