//! Tokens of a text that is being typed: words, quotes, comments. Never fails: a token that is not closed ends with the
//! text.

/// Kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word without quotes: a name, a keyword, a number.
    Word,
    /// A name in double quotes.
    Name,
    /// A text in single quotes.
    Text,
    /// A comment of one line, or between `/*` and `*/`.
    Comment,
    /// One other character.
    Symbol(char),
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) begin: usize,
    pub(super) end: usize,
    /// Whether further text could belong to it: a quote or a comment that is not closed.
    pub(super) is_open: bool,
}

impl Token {
    /// Its text, without quotes.
    pub(super) fn text(self, all: &str) -> String {
        let text = &all[self.begin..self.end];
        let quote = match self.kind {
            Kind::Name => "\"",
            Kind::Text => "'",
            _ => return text.to_owned(),
        };
        let inner = text.strip_prefix(quote).unwrap_or(text);
        let inner = if self.is_open { inner } else { inner.strip_suffix(quote).unwrap_or(inner) };
        inner.replace(&quote.repeat(2), quote)
    }
}

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = next(text, at) {
        at = token.end;
        found.push(token);
    }
    found
}

/// The first token at or after a position.
pub(super) fn next(text: &str, at: usize) -> Option<Token> {
    let begin = at + text.get(at..)?.find(|c: char| !c.is_whitespace())?;
    let rest = &text[begin..];
    let first = rest.chars().next()?;
    let (kind, length, is_open) = match first {
        '\'' | '"' => {
            let kind = if first == '"' { Kind::Name } else { Kind::Text };
            match end_of_quote(rest, first) {
                Some(length) => (kind, length, false),
                None => (kind, rest.len(), true),
            }
        }
        '-' if rest.starts_with("--") => {
            let length = rest.find('\n');
            // a line comment may continue
            (Kind::Comment, length.unwrap_or(rest.len()), false)
        }
        '/' if rest.starts_with("/*") => match end_of_comment(rest) {
            Some(length) => (Kind::Comment, length, false),
            None => (Kind::Comment, rest.len(), true),
        },
        c if is_of_word(c) => (Kind::Word, rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len()), false),
        c => (Kind::Symbol(c), c.len_utf8(), false),
    };
    Some(Token { kind, begin, end: begin + length, is_open })
}

pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Bytes up to and including the closing quote; a doubled quote is part of the text.
fn end_of_quote(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// Bytes up to and including the end; comments may be nested.
fn end_of_comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        at += text[at..].find(['/', '*'])?;
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_comments_and_symbols_are_told_apart() {
        let text = "SELECT \"a\"\"b\", 'it''s', x_1 -- rest\n/* in /* in */ */ é;";
        let found: Vec<(Kind, String)> = tokens(text).iter().map(|t| (t.kind, t.text(text))).collect();
        let expected = [
            (Kind::Word, "SELECT"),
            (Kind::Name, "a\"b"),
            (Kind::Symbol(','), ","),
            (Kind::Text, "it's"),
            (Kind::Symbol(','), ","),
            (Kind::Word, "x_1"),
            (Kind::Comment, "-- rest"),
            (Kind::Comment, "/* in /* in */ */"),
            (Kind::Word, "é"),
            (Kind::Symbol(';'), ";"),
        ];
        assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
    }

    #[test]
    fn what_is_not_closed_goes_on_to_the_end() {
        for text in ["'a", "\"a ; b", "/* a */* b", "/* /* */", "'a''", "'", "/*", "/*/"] {
            let all = tokens(text);
            let last = all.last().unwrap();
            assert!(last.end == text.len(), "{text}");
            // `/* a */* b` is a comment and two more tokens
            assert_eq!(last.is_open, text != "/* a */* b", "{text}");
        }
        assert!(!tokens("-- a").last().unwrap().is_open);
    }
}
