//! Named parameters.

use belvedere_core::datafusion::sql::sqlparser::dialect::GenericDialect;
use belvedere_core::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::collections::BTreeSet;

/// Sorted names of a statement's named parameters, without `$`. None if the parameters are numbered, or if the statement
/// has no valid tokens, which the engine reports.
pub(super) fn parameter_names(sql: &str) -> Vec<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let names: BTreeSet<String> = tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Placeholder(name) => Some(name.strip_prefix('$')?.to_owned()),
            _ => None,
        })
        .collect();
    if names.iter().all(|name| name.parse::<usize>().is_ok()) {
        Vec::new()
    } else {
        names.into_iter().collect()
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
