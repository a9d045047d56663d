//! A name for statements that are the same but for their literals.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use sha2::{Digest, Sha256};

/// The same for statements that differ in literals, comments, white space and the case of words: the first 16 hex
/// digits of SHA-256 over the tokens, joined by single spaces, literals as `?`.
pub(crate) fn sql_hash(sql: &str) -> String {
    let text = match Tokenizer::new(&GenericDialect {}, sql).tokenize() {
        Ok(tokens) => {
            let texts = tokens.into_iter().filter_map(|token| match token {
                Token::Whitespace(_) | Token::EOF => None,
                Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
                Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::EscapedStringLiteral(_)
                | Token::UnicodeStringLiteral(_)
                | Token::NationalStringLiteral(_)
                | Token::HexStringLiteral(_)
                | Token::DollarQuotedString(_) => Some("?".to_owned()),
                token => Some(token.to_string()),
            });
            texts.collect::<Vec<_>>().join(" ")
        }
        Err(_) => sql.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
