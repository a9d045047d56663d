//! All operators in pairs and triples, with all that can stand before and behind their operands, read by a second reader that
//! knows nothing but PostgreSQL's table of levels.

use super::expression;
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions_mut};
use std::ops::ControlFlow;

/// Operators of two operands. Greater binds tighter; each takes what is left of it first.
const BINARY: &[(&str, u8)] = &[
    ("^", 12),
    ("*", 11),
    ("/", 11),
    ("%", 11),
    ("+", 10),
    ("-", 10),
    ("||", 9),
    ("&", 9),
    ("|", 9),
    ("#", 9),
    ("<<", 9),
    (">>", 9),
    ("->", 9),
    ("->>", 9),
    ("@>", 9),
    ("<@", 9),
    ("~", 9),
    ("~*", 9),
    ("!~", 9),
    ("!~*", 9),
    ("~~", 9),
    ("!~~", 9),
    ("LIKE", 8),
    ("NOT LIKE", 8),
    ("ILIKE", 8),
    ("<", 7),
    ("=", 7),
    (">=", 7),
    ("<>", 7),
    ("IS DISTINCT FROM", 6),
    ("IS NOT DISTINCT FROM", 6),
    ("AND", 4),
    ("OR", 3),
];
const PREFIXES: &[(&str, u8)] = &[("-", 14), ("+", 14), ("~", 9), ("NOT", 5)];
const SUFFIXES: &[(&str, u8)] =
    &[("::TEXT", 15), ("IN (1, 2)", 8), ("NOT IN (1)", 8), ("IS NULL", 6), ("IS NOT TRUE", 6)];
const AT_TIME_ZONE: u8 = 13;

#[derive(Debug, Clone, Copy)]
enum Part {
    Operand(&'static str),
    Prefix(&'static str, u8),
    Suffix(&'static str, u8),
    Binary(&'static str, u8),
}

/// The same with all parentheses.
fn read(parts: &mut &[Part], least: u8) -> String {
    let take = |parts: &mut &[Part]| {
        let (first, rest) = parts.split_first().unwrap();
        *parts = rest;
        *first
    };
    let mut left = match take(parts) {
        Part::Operand(name) => name.to_owned(),
        Part::Prefix(op, level) => format!("({op} {})", read(parts, level)),
        other => panic!("{other:?}"),
    };
    loop {
        left = match parts.first() {
            Some(Part::Suffix(op, level)) if *level > least => {
                take(parts);
                format!("({left} {op})")
            }
            Some(Part::Binary(op, level)) if *level > least => {
                take(parts);
                format!("({left} {op} {})", read(parts, *level))
            }
            _ => return left,
        };
    }
}

fn text(parts: &[Part]) -> String {
    let words: Vec<&str> = parts
        .iter()
        .map(|part| match part {
            Part::Operand(word) | Part::Prefix(word, _) | Part::Suffix(word, _) | Part::Binary(word, _) => {
                *word
            }
        })
        .collect();
    words.join(" ")
}

/// Without parentheses.
fn bare(text: &str) -> Expr {
    let mut expr = expression(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let _ = visit_expressions_mut(&mut expr, |expr| {
        while let Expr::Nested(inner) = expr {
            *expr = (**inner).clone();
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

fn check(parts: &[Part]) {
    let text = text(parts);
    let mut rest = parts;
    let with_all = read(&mut rest, 0);
    assert!(rest.is_empty(), "{text}");
    assert_eq!(bare(&text), bare(&with_all), "{text} is not {with_all}");
}

fn binary((op, level): &(&'static str, u8)) -> Part {
    Part::Binary(op, *level)
}

/// PostgreSQL refuses these, and so may we: neither takes the other's result without parentheses.
fn is_refused(parts: &[Part]) -> bool {
    let is_distinct = |part: &Part| matches!(part, Part::Binary(op, _) if op.starts_with("IS "));
    let is_test =
        |part: &Part| matches!(part, Part::Suffix(op, _) if op.starts_with("IS ")) || is_distinct(part);
    parts.iter().position(is_distinct).is_some_and(|at| parts[at + 1..].iter().any(is_test))
}

#[test]
fn all_operators_in_pairs_and_triples_take_the_operands_that_they_take_in_postgresql() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(Part::Operand);
    for one in BINARY.iter().map(binary).chain([Part::Binary("AT TIME ZONE", AT_TIME_ZONE)]) {
        for two in BINARY.iter().map(binary) {
            let pair = [a, one, b, two, c];
            if !is_refused(&pair) {
                check(&pair);
            }
            for three in BINARY.iter().map(binary) {
                let triple = [a, one, b, two, c, three, d];
                if !is_refused(&triple) {
                    check(&triple);
                }
            }
        }
    }
}

#[test]
fn operators_of_one_operand_and_tests_reach_as_far_as_in_postgresql() {
    let [a, b, c] = ["a", "b", "c"].map(Part::Operand);
    let prefixes: Vec<Part> = PREFIXES.iter().map(|(op, level)| Part::Prefix(op, *level)).collect();
    let suffixes: Vec<Part> = SUFFIXES.iter().map(|(op, level)| Part::Suffix(op, *level)).collect();
    for one in BINARY.iter().map(binary) {
        for two in BINARY.iter().map(binary) {
            for prefix in &prefixes {
                for parts in [
                    vec![*prefix, a, one, b, two, c],
                    vec![a, one, *prefix, b, two, c],
                    vec![a, one, b, two, *prefix, c],
                    vec![*prefix, *prefix, a, one, *prefix, b, two, c],
                ] {
                    if !is_refused(&parts) {
                        check(&parts);
                    }
                }
                for suffix in &suffixes {
                    for parts in [
                        vec![*prefix, a, *suffix, one, b, two, c],
                        vec![a, one, *prefix, b, *suffix, two, c],
                        vec![a, one, b, two, *prefix, c, *suffix],
                    ] {
                        if !is_refused(&parts) {
                            check(&parts);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_lower_bound_of_between_ends_at_its_and_and_the_upper_one_before_comparisons() {
    for (text, with_all) in [
        ("a BETWEEN b < c AND d", "a BETWEEN (b < c) AND d"),
        ("a BETWEEN b + 1 AND c || d AND e", "(a BETWEEN (b + 1) AND (c || d)) AND e"),
        ("a NOT BETWEEN b IS DISTINCT FROM c AND d = e", "(a NOT BETWEEN (b IS DISTINCT FROM c) AND d) = e"),
        ("NOT a BETWEEN - b AND - c OR d", "(NOT (a BETWEEN (- b) AND (- c))) OR d"),
        ("a || b BETWEEN c AND d IS NULL", "((a || b) BETWEEN c AND d) IS NULL"),
        ("a = b BETWEEN c AND d", "a = (b BETWEEN c AND d)"),
        ("a BETWEEN b AND c AND d BETWEEN e AND f", "(a BETWEEN b AND c) AND (d BETWEEN e AND f)"),
        ("a LIKE b ESCAPE 'c' = d", "(a LIKE b ESCAPE 'c') = d"),
        ("NOT EXISTS (SELECT 1) = a", "NOT ((EXISTS (SELECT 1)) = a)"),
        ("- a[1] ^ b", "(- (a[1])) ^ b"),
        ("- a AT TIME ZONE b + c", "((- a) AT TIME ZONE b) + c"),
        ("a + b ISNULL", "(a + b) IS NULL"),
        ("a NOTNULL = b", "(a IS NOT NULL) = b"),
        ("~ a + b", "(a + b) # -1"),
    ] {
        assert_eq!(bare(text), bare(with_all), "{text} is not {with_all}");
    }
}

#[test]
fn what_is_written_otherwise_here_is_refused_and_says_how() {
    for (text, advice) in [
        ("a SIMILAR TO b", "LIKE"),
        ("a NOT SIMILAR TO b", "LIKE"),
        ("a IS DISTINCT FROM b IS NULL", "parentheses"),
        ("@ a", "abs(x)"),
        ("|/ a", "sqrt(x)"),
        ("||/ a", "cbrt(x)"),
    ] {
        let error = expression(text).unwrap_err().to_string();
        assert!(error.contains(advice), "{text}: {error}");
    }
    // a name is a name
    assert!(expression("\"isnull\"").is_ok() && expression("isnull").is_ok());
}
