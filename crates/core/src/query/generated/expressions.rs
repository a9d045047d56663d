//! Expressions without parentheses: which operator takes which operands.

use super::{Findings, answer, postgres, same};
use crate::fixture;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const NUMBERS: &[&str] = &["7", "2", "3", "0", "NULL::bigint", "12", "5::bigint", "1.5::float8"];
const TEXTS: &[&str] = &["'a'", "'ab'", "'1'", "'%b'", "'t'", "NULL::text"];
const TRUTHS: &[&str] = &["true", "false", "NULL::boolean"];
const BINARY: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "||",
    "&",
    "|",
    "#",
    "=",
    "<>",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "~",
    "~*",
    "!~",
    "!~*",
    "~~",
    "!~~",
    "LIKE",
    "NOT LIKE",
    "ILIKE",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];
const PREFIXES: &[&str] = &["-", "+", "~", "NOT"];
const SUFFIXES: &[&str] = &[
    "IS NULL",
    "IS NOT NULL",
    "IS TRUE",
    "IS NOT TRUE",
    "IS FALSE",
    "IS NOT FALSE",
    "IS UNKNOWN",
    "IS NOT UNKNOWN",
    "IN (2, 3)",
    "NOT IN (7)",
    "IN (true)",
    "IN ('a', 'ab')",
    "::text",
    "::float8",
    "::boolean",
    "BETWEEN 1 AND 3",
    "NOT BETWEEN 2 AND 5",
    "BETWEEN false AND true",
    "= ANY (ARRAY[1, 2])",
    "ISNULL",
    "NOTNULL",
];

fn operand() -> impl Strategy<Value = String> {
    let value = prop_oneof![5 => select(NUMBERS), 3 => select(TRUTHS), 3 => select(TEXTS)];
    let prefix = prop_oneof![4 => Just(""), 2 => select(PREFIXES)];
    let suffix = prop_oneof![4 => Just(""), 2 => select(SUFFIXES)];
    (prefix, value, suffix)
        .prop_map(|(prefix, value, suffix)| format!("{prefix} {value} {suffix}").trim().to_owned())
}

fn expression() -> impl Strategy<Value = String> {
    (operand(), prop::collection::vec((select(BINARY), operand()), 1..4)).prop_map(|(first, rest)| {
        rest.iter().fold(first, |text, (op, operand)| format!("{text} {op} {operand}"))
    })
}

fn is_about_types(why: &str) -> bool {
    [
        "requires a boolean",
        "only supports numeric",
        "Cannot infer common",
        "Cannot coerce",
        "Can not find compatible types",
        "Failed to coerce types",
        "does not take (List(",
    ]
    .iter()
    .any(|about| why.contains(about))
}

/// The text without the zeros of whole numbers: `1.0a` is `1a`, and `1.05` stays.
fn without_zero(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once(".0") {
        kept.push_str(before);
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            kept.push_str(".0");
        }
        rest = after;
    }
    kept + rest
}

#[tokio::test]
async fn an_expression_without_parentheses_is_what_it_is_in_postgresql_or_is_refused() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let texts: Vec<String> = (0..40_000)
        .map(|_| format!("SELECT {}", expression().new_tree(&mut runner).unwrap().current()))
        .collect();
    let Some(truths) = postgres::answers("", &texts) else { return };
    let lake = fixture::lake().await;
    let mut findings = Findings::default();
    let (mut right, mut refused) = (0, 0);
    for (sql, truth) in texts.iter().zip(truths) {
        // PostgreSQL refuses most: their types do not fit
        let Ok(truth) = truth else { continue };
        if right + refused > 1500 {
            break;
        }
        let found = answer(&lake, sql).await;
        // as a text, a whole number with a fraction has its zero here
        let is_text_of_float = sql.contains("::float8") && sql.contains("||");
        let without_zeros = found.clone().map(|rows| {
            rows.into_iter().map(|row| row.iter().map(|text| without_zero(text)).collect()).collect()
        });
        if same(&found, &Ok(truth.clone())) || (is_text_of_float && same(&without_zeros, &Ok(truth.clone())))
        {
            right += 1;
        } else if let Err(why) = &found {
            // texts without a type are what fits there, in PostgreSQL; here they are texts
            assert!(is_about_types(why), "{sql}\n    {why}");
            refused += 1;
        } else {
            findings.0.push(format!("{sql}\n    found: {found:?}\n    PostgreSQL: {truth:?}"));
        }
    }
    assert!(right > 4 * refused, "{right} expressions are right, {refused} are refused");
    findings.check();
}
