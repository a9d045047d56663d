//! What can make much out of little, in SQL.

use super::super::{QueryError, engine};
use super::{Amplifier, bounds, limited};
use crate::Lake;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use std::sync::Arc;

/// Whether the functions that come with the other families are there.
fn has(name: &str) -> bool {
    engine::scalars().iter().any(|function| function.name() == name)
}

async fn number(lake: &Lake, sql: &str) -> i64 {
    let rows = lake.sql(sql).await.unwrap();
    let column = arrow::compute::cast(rows[0].column(0), &arrow::datatypes::DataType::Int64).unwrap();
    column.as_primitive::<Int64Type>().value(0)
}

#[test]
fn what_has_limits_is_what_the_engine_has_and_keeps_its_names() {
    let memory: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let functions = engine::scalars();
    for (name, _) in bounds::BOUNDS {
        let Some(function) = functions.iter().find(|function| function.name() == name) else {
            let family = match name {
                "regexp_replace" => cfg!(feature = "sql-regex"),
                name if name.starts_with("array_") => cfg!(feature = "sql-nested"),
                "range" | "generate_series" => cfg!(feature = "sql-nested"),
                _ => cfg!(feature = "sql-strings"),
            };
            assert!(!family, "the engine has no function '{name}'");
            continue;
        };
        let limited = limited(function.clone(), &memory);
        assert!(limited.inner().is::<Amplifier>(), "{name}");
        assert_eq!((limited.name(), limited.aliases()), (name, function.aliases()));
        assert_eq!(limited.signature(), function.signature());
    }
}

#[tokio::test]
async fn what_would_be_too_much_is_refused_before_it_is_made() {
    let lake = crate::fixture::lake().await;
    for (name, sql) in [
        ("repeat", "SELECT length(repeat('x', 300000000))"),
        ("repeat", "SELECT max(length(repeat('x', value * 100000000))) FROM generate_series(1, 3)"),
        (
            "repeat",
            "SELECT max(length(repeat('x', 30000 + value % 2))) FROM generate_series(1, 8000) WHERE value > 0",
        ),
        ("lpad", "SELECT length(lpad('x', 300000000))"),
        ("rpad", "SELECT length(rpad('x', 300000000, 'ab'))"),
        ("replace", "SELECT length(replace(repeat('x', 100000), 'x', repeat('y', 10000)))"),
        ("concat", "SELECT length(concat(t, t, t, t)) FROM (SELECT repeat('x', 30000000) AS t)"),
        (
            "concat_ws",
            "SELECT length(concat_ws(t, 'a', 'b', 'c', 'd')) FROM (SELECT repeat('x', 30000000) AS t)",
        ),
        (
            "regexp_replace",
            "SELECT length(regexp_replace(repeat('x', 100000), 'x', repeat('y', 10000), 'g'))",
        ),
        ("array_repeat", "SELECT cardinality(array_repeat(1, 300000000))"),
        ("array_repeat", "SELECT cardinality(list_repeat('abc', 300000000))"),
        ("array_resize", "SELECT cardinality(array_resize([1], 300000000, 0))"),
        ("range", "SELECT cardinality(range(1, 300000000))"),
        ("generate_series", "SELECT cardinality(generate_series(1, 300000000, 2))"),
        ("array_to_string", "SELECT length(array_to_string(range(0, 100000), repeat('y', 10000)))"),
    ] {
        if !has(name) || (sql.contains("repeat(") && !has("repeat")) {
            continue;
        }
        let error = lake.sql(sql).await.unwrap_err();
        let QueryError::Resources(text) = &error else { panic!("{sql}: {error:?}") };
        assert!(text.contains(&format!("{name} could produce")) && text.contains("64 MiB"), "{sql}: {text}");
    }
}

#[tokio::test]
async fn what_is_little_is_made_whatever_could_have_been() {
    let lake = crate::fixture::lake().await;
    for (name, sql, expected) in [
        ("repeat", "SELECT length(repeat('ab', 1000))", 2_000),
        // one of them is long, and all could be
        (
            "repeat",
            "SELECT sum(length(repeat('x', CASE WHEN value = 7 THEN 1000000 ELSE 1 END))) FROM generate_series(1, 1000)",
            1_000_999,
        ),
        (
            "regexp_replace",
            "SELECT max(length(regexp_replace(concat(repeat('abcd ', 1000), value), '[0-9]+', 'a long replacement', 'g'))) \
             FROM generate_series(1, 2000)",
            5_018,
        ),
        ("lpad", "SELECT length(lpad('x', 9, 'ab'))", 9),
        ("concat", "SELECT length(concat('a', concat('b', 'c'), NULL))", 3),
        ("array_resize", "SELECT cardinality(array_resize([1], 3, 0))", 3),
        ("range", "SELECT cardinality(range(1, 1000000))", 999_999),
        ("range", "SELECT cardinality(range(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1' DAY))", 31),
        ("generate_series", "SELECT cardinality(generate_series(10, 1, -3))", 4),
        ("array_repeat", "SELECT cardinality(array_repeat('abc', 3))", 3),
    ] {
        if has(name) && (!sql.contains("repeat(") || has("repeat")) {
            assert_eq!(number(&lake, sql).await, expected, "{sql}");
        }
    }
}

#[tokio::test]
async fn what_a_query_may_have_holds_for_functions_too() {
    let config = crate::LakeConfig { memory_bytes: 8 << 20, ..crate::LakeConfig::default() };
    let lake = crate::fixture::lake_with(config).await;
    if !has("repeat") {
        return;
    }
    let error = lake.sql("SELECT length(repeat('x', 20000000))").await.unwrap_err();
    assert!(matches!(error, QueryError::Resources(_)), "{error:?}");
    // rows one by one
    let many = "SELECT sum(length(repeat('x', 5000 + value % 2))) FROM generate_series(1, 4000)";
    assert_eq!(number(&lake, many).await, 4_000 * 5_000 + 2_000);
}
