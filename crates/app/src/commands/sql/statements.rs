//! Splits a text into statements, which end with a semicolon, and commands, which begin with a backslash and end with the
//! line.

use super::scan::{Kind, next};

/// A statement or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// SQL, without the semicolon.
    Statement(&'a str),
    /// A line that begins with a backslash, without it.
    Command(&'a str),
}

/// A split text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split<'a> {
    /// The complete statements and commands.
    pub(super) pieces: Vec<Piece<'a>>,
    /// SQL after the last semicolon.
    pub(super) rest: Option<&'a str>,
    /// Whether the text ends within quotes or a comment.
    pub(super) is_open: bool,
}

impl Split<'_> {
    /// Whether the text needs no continuation.
    pub(super) fn is_complete(&self) -> bool {
        self.rest.is_none() && !self.is_open
    }
}

/// Splits a text. Comments alone are no statement.
pub(super) fn split(text: &str) -> Split<'_> {
    let (mut at, mut begin, mut has_words, mut is_open) = (0, 0, false, false);
    let mut pieces = Vec::new();
    while let Some(token) = next(text, at) {
        at = token.end;
        is_open = token.is_open;
        match token.kind {
            Kind::Comment => {}
            Kind::Symbol('\\') if !has_words => {
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
                pieces.push(Piece::Command(text[at..end].trim()));
                (at, begin) = (end, end);
            }
            Kind::Symbol(';') => {
                if has_words {
                    pieces.push(Piece::Statement(text[begin..token.begin].trim()));
                }
                (begin, has_words) = (token.end, false);
            }
            _ => has_words = true,
        }
    }
    Split { pieces, rest: has_words.then(|| text[begin..].trim()), is_open }
}

/// Begin and end of the statement at a position.
pub(super) fn around(text: &str, position: usize) -> (usize, usize) {
    let (mut at, mut begin) = (0, 0);
    while let Some(token) = next(text, at) {
        at = token.end;
        if token.kind == Kind::Symbol(';') {
            if token.end > position {
                return (begin, token.begin);
            }
            begin = token.end;
        }
    }
    (begin, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<&str> {
        let pieces = split(text).pieces.into_iter();
        pieces.map(|p| if let Piece::Statement(s) = p { s } else { panic!("{p:?}") }).collect()
    }

    #[test]
    fn statements_end_with_semicolons_that_are_not_quoted() {
        assert_eq!(statements("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(
            statements("SELECT ';' AS \"a;b\" /* ; */ -- ;\n;"),
            ["SELECT ';' AS \"a;b\" /* ; */ -- ;"]
        );
        assert_eq!(statements(";; -- nothing\n ; /* nothing */"), [""; 0]);
        assert_eq!(split("SELECT 1;\nSELECT 2").rest, Some("SELECT 2"));
        assert_eq!(split("SELECT 1; -- done").rest, None);
    }

    #[test]
    fn a_text_is_complete_behind_a_semicolon_or_a_command() {
        for text in ["", "  \n", "SELECT 1;", "SELECT 1; -- x", "\\d", "-- x", "SELECT ';';", "\\o it's.csv"]
        {
            assert!(split(text).is_complete(), "{text}");
        }
        for text in
            ["SELECT 1", "SELECT ';", "SELECT 1; /* x", "SELECT 1 -- ;", "SELECT 1;\nSELECT", "\\d\nSELECT"]
        {
            assert!(!split(text).is_complete(), "{text}");
        }
    }

    #[test]
    fn commands_stand_between_statements_and_take_the_line() {
        let found = split("\\format json\nSELECT 1;\\timing\n  SELECT '\\d';");
        let expected = [
            Piece::Command("format json"),
            Piece::Statement("SELECT 1"),
            Piece::Command("timing"),
            Piece::Statement("SELECT '\\d'"),
        ];
        assert_eq!(found.pieces, expected);
    }

    #[test]
    fn the_statement_at_a_position_is_found() {
        let text = "SELECT 1; SELECT ';' AS x; S";
        assert_eq!(around(text, 3), (0, 8));
        assert_eq!(&text[around(text, 12).0..around(text, 12).1], " SELECT ';' AS x");
        assert_eq!(around(text, text.len()), (26, text.len()));
    }

    proptest::proptest! {
        #[test]
        fn no_word_of_a_text_is_lost(text in "([a-z;'\" \n*/é-]|--|/\\*|\\*/){0,20}") {
            let found = split(&text);
            let words = |text: &str| {
                let all = crate::commands::sql::scan::tokens(text);
                all.iter().filter(|t| !matches!(t.kind, Kind::Comment | Kind::Symbol(_))).count()
            };
            let kept: usize = found.pieces.iter().map(|p| match p {
                Piece::Statement(sql) | Piece::Command(sql) => words(sql),
            }).sum::<usize>() + found.rest.map_or(0, words);
            proptest::prop_assert_eq!(kept, words(&text));
        }
    }
}
