//! Placeholders of parameters that have names.

use belvedere_core::datafusion::sql::sqlparser::dialect::GenericDialect;
use belvedere_core::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeSet;

/// Names of the parameters of a statement whose placeholders are not numbers, without `$`, in order; none if all are
/// numbers, or if it is not even made of tokens, which the engine will say.
pub(super) fn parameter_names(sql: &str) -> Vec<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let names: BTreeSet<String> = tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Placeholder(name) => Some(name.strip_prefix('$')?.to_owned()),
            _ => None,
        })
        .collect();
    match names.iter().all(|name| name.parse::<usize>().is_ok()) {
        true => Vec::new(),
        false => names.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_no_numbers() {
        assert_eq!(parameter_names("SELECT $2, $10, $1"), Vec::<String>::new());
        assert_eq!(parameter_names("SELECT $name, '$other', $exe, $name"), ["exe", "name"]);
    }
}
