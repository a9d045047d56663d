//! Statements that are made by rule, over rows of every type with all odd values, and their answers.
//!
//! The rows are asked for where no partition has them, where partitions have all, and where partitions have some: the answer
//! is the same. Where PostgreSQL is there, it is asked, too, and is right.

mod aggregates;
mod comparisons;
mod expressions;
mod postgres;
mod samples;

use crate::Lake;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimestampNanosecondType};
use arrow::util::display::array_value_to_string;

/// The answer to a statement, as texts.
type Answer = Vec<Vec<String>>;

/// What a test found.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(self) {
        let Self(findings) = self;
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }
}

/// Where rows are asked for when PostgreSQL says what is right.
#[derive(Clone, Copy, PartialEq)]
enum Places {
    /// Each statement in every place.
    Every,
    /// Statements take turns, since the place matters little to them: all of them in all places take a minute more.
    Turns,
}

/// Asks lakes for the first text and PostgreSQL, which is right, for the second if there is one.
async fn compare(statements: &[(String, String)], places: Places) {
    let lakes = samples::lakes().await;
    let for_postgres: Vec<String> = statements.iter().map(|(_, sql)| sql.clone()).collect();
    let truths = match for_postgres.iter().all(String::is_empty) {
        true => None,
        false => postgres::answers(&samples::postgres_table(), &for_postgres),
    };
    let mut findings = Findings::default();
    for (i, (sql, _)) in statements.iter().enumerate() {
        let mut first = None;
        let turn = truths.is_some() && places == Places::Turns;
        for (place, lake) in lakes.iter().skip(if turn { i % 3 } else { 0 }).take(if turn { 1 } else { 3 }) {
            let answer = answer(lake, sql).await;
            match &first {
                None => first = Some(answer),
                Some(first) if !same(first, &answer) => {
                    findings.0.push(format!("{sql}\n    live:   {first:?}\n    {place}: {answer:?}"));
                }
                Some(_) => {}
            }
        }
        if let (Some(Ok(truth)), Some(found)) = (truths.as_ref().map(|truths| &truths[i]), &first)
            && !same(&Ok(truth.clone()), found)
        {
            findings.0.push(format!("{sql}\n    found:      {found:?}\n    PostgreSQL: {truth:?}"));
        }
        if let Some(Err(why)) = truths.as_ref().map(|truths| &truths[i]) {
            findings.0.push(format!("{sql}\n    PostgreSQL refuses it: {why}"));
        }
    }
    findings.check();
}

async fn answer(lake: &Lake, sql: &str) -> Result<Answer, String> {
    let batches = lake.sql(sql).await.map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| text(column, row)).collect());
        }
    }
    Ok(rows)
}

/// A value as PostgreSQL writes it, but times in microseconds.
fn text(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::Timestamp(..) => {
            (column.as_primitive::<TimestampNanosecondType>().value(row) / 1000).to_string()
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let texts: Vec<String> = (0..items.len()).map(|i| text(&items, i)).collect();
            format!("{{{}}}", texts.join(","))
        }
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            text(dictionary.values(), dictionary.normalized_keys()[row])
        }
        _ => array_value_to_string(column, row).unwrap(),
    }
}

fn same(a: &Result<Answer, String>, b: &Result<Answer, String>) -> bool {
    let same_text = |(a, b): (&String, &String)| a == b || same_items(a, b);
    match (a, b) {
        (Ok(a), Ok(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(same_text))
        }
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

/// Numbers that are equal but for the last digits, also in lists.
fn same_items(a: &str, b: &str) -> bool {
    let items = |text: &str| -> Vec<String> {
        text.split(',').map(|t| t.trim_matches(['{', '}', '"']).to_owned()).collect()
    };
    let (a, b) = (items(a), items(b));
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
            }
            _ => a == b,
        })
}
