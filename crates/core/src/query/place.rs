//! Where a statement is answered: by the server itself, or by a process of its own.
//!
//! What the server answers itself must not be able to take more memory or time than what it reads. So the list says what
//! may, not what may not: rows of one table, streamed, by columns, comparisons, arithmetic, and functions whose output is
//! not larger than their input and whose work is in proportion to it. A function without a verdict goes elsewhere, and so
//! does all that gathers rows: GROUP BY, ORDER BY, DISTINCT, joins, window functions, subqueries.
//!
//! Statements that manage a server are about its own memory, and are only answered there. They must be of that kind too.

use super::running::{MANAGEMENT_FUNCTIONS, mentions_management};
use crate::parser;
use datafusion::common::ParamValues;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Query, Select, SelectItem, SetExpr, Statement, TableFactor, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Where a statement is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// By the server, if the plan turns out to be a stream of rows.
    Here,
    /// By the server only: it is about the server.
    HereOnly,
    /// By a query process.
    Elsewhere,
    /// It is about the server, and does more than the server may do itself.
    Nowhere,
}

/// Bytes of a statement that is answered by the server: each literal becomes a column of it, in each batch of rows.
const MOST_BYTES: usize = 4096;

/// Functions that give no more than they get, in time that is in proportion to it.
const BOUNDED: &[&str] = &[
    "abs",
    "arrow_typeof",
    "btrim",
    "cancel_query",
    "ceil",
    "char_length",
    "character_length",
    "date_bin",
    "date_part",
    "date_trunc",
    "deny_queries",
    "floor",
    "isnan",
    "jsonb_as_f64",
    "jsonb_as_i64",
    "jsonb_as_string",
    "jsonb_get",
    "length",
    "lower",
    "ltrim",
    "now",
    "nullif",
    "property_get",
    "remove_query_denial",
    "round",
    "rtrim",
    "sqrt",
    "starts_with",
    "to_unixtime",
    "trim",
    "trunc",
    "upper",
    "version",
];

/// Functions that gather rows into one value of fixed size. They are no stream, but nothing grows.
const FIXED_SIZE: &[&str] = &["count"];

impl Place {
    /// Where that statement is answered.
    pub(crate) fn of(sql: &str, parameters: Option<&ParamValues>) -> Self {
        let is_management = is_management(sql);
        match (is_management, is_stream(sql, parameters, is_management)) {
            (true, true) => Self::HereOnly,
            (true, false) => Self::Nowhere,
            (false, true) => Self::Here,
            (false, false) => Self::Elsewhere,
        }
    }
}

/// Whether a statement calls a function that is about the server. What can't be read is for the parser to refuse.
fn is_management(sql: &str) -> bool {
    // most statements need no closer look, and some are long
    if !mentions_management(sql) {
        return false;
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return false };
    let mut words = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).peekable();
    while let Some(token) = words.next() {
        if let Token::Word(word) = token
            && words.peek() == Some(&&Token::LParen)
            && MANAGEMENT_FUNCTIONS.iter().any(|name| word.value.eq_ignore_ascii_case(name))
        {
            return true;
        }
    }
    false
}

fn is_stream(sql: &str, parameters: Option<&ParamValues>, may_sort: bool) -> bool {
    if sql.len() > MOST_BYTES || parameters.is_some_and(|values| bytes_of(values) > MOST_BYTES) {
        return false;
    }
    match parser::statements(sql).as_deref() {
        Ok([Statement::Query(query)]) => is_stream_of_rows(query, may_sort),
        _ => false,
    }
}

fn bytes_of(values: &ParamValues) -> usize {
    match values {
        ParamValues::List(values) => values.iter().map(|value| value.value().size()).sum(),
        ParamValues::Map(values) => values.values().map(|value| value.value().size()).sum(),
    }
}

fn is_stream_of_rows(query: &Query, may_sort: bool) -> bool {
    let Query { with: None, body, order_by, limit_clause, fetch: None, locks, for_clause: None, .. } = query
    else {
        return false;
    };
    let SetExpr::Select(select) = body.as_ref() else { return false };
    // what is sorted of a server's own queries and rules is small
    (order_by.is_none() || may_sort) && locks.is_empty() && is_plain_select(select) && {
        // LIMIT (SELECT …) is an expression like others
        let text = limit_clause.as_ref().map(ToString::to_string).unwrap_or_default();
        !text.contains('(')
    }
}

fn is_plain_select(select: &Select) -> bool {
    let Select {
        distinct: None,
        top: None,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views,
        prewhere: None,
        selection,
        group_by: GroupByExpr::Expressions(group_by, group_modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having: None,
        named_window,
        qualify: None,
        ..
    } = select
    else {
        return false;
    };
    let is_table = match from.as_slice() {
        [] => true,
        [table] => table.joins.is_empty() && is_plain_table(&table.relation),
        _ => false,
    };
    is_table
        && lateral_views.is_empty()
        && group_by.is_empty()
        && group_modifiers.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty()
        && named_window.is_empty()
        && selection.as_ref().is_none_or(is_bounded)
        && projection.iter().all(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_bounded(expr),
            SelectItem::Wildcard(_) => true,
            _ => false,
        })
}

fn is_plain_table(table: &TableFactor) -> bool {
    match table {
        TableFactor::Table {
            args,
            with_hints,
            partitions,
            sample: None,
            version: None,
            json_path: None,
            ..
        } => {
            let arguments = args.iter().flat_map(|args| &args.args);
            with_hints.is_empty() && partitions.is_empty() && arguments.into_iter().all(is_literal_argument)
        }
        _ => false,
    }
}

fn is_literal_argument(argument: &FunctionArg) -> bool {
    matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(_) | Expr::TypedString(_))))
}

/// Whether a condition can be evaluated by the server.
pub(super) fn is_bounded_condition(text: &str) -> bool {
    text.len() <= MOST_BYTES && parser::expression(text).is_ok_and(|expr| is_bounded(&expr))
}

/// Whether an expression gives no more than it gets.
fn is_bounded(expr: &Expr) -> bool {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::TypedString(_) => true,
        Expr::Value(value) => !matches!(value.value, Value::SingleQuotedByteStringLiteral(_)),
        // a pattern that is a column is compiled for each row
        Expr::BinaryOp {
            left,
            op: PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch,
            right,
        } => is_bounded(left) && matches!(right.as_ref(), Expr::Value(_)),
        Expr::BinaryOp { left, op, right } => is_plain_operator(op) && is_bounded(left) && is_bounded(right),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus, expr } => {
            is_bounded(expr)
        }
        Expr::Nested(expr)
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsFalse(expr) => is_bounded(expr),
        Expr::InList { expr, list, .. } => is_bounded(expr) && list.iter().all(is_bounded),
        Expr::Between { expr, low, high, .. } => is_bounded(expr) && is_bounded(low) && is_bounded(high),
        Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => {
            is_bounded(expr) && matches!(pattern.as_ref(), Expr::Value(_))
        }
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon | CastKind::TryCast,
            expr,
            data_type,
            format,
            ..
        } => format.is_none() && is_small(data_type) && is_bounded(expr),
        Expr::Function(function) => is_bounded_call(function),
        _ => false,
    }
}

fn is_plain_operator(operator: &BinaryOperator) -> bool {
    use BinaryOperator::{And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus};
    matches!(
        operator,
        And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | Plus | Minus | Multiply | Divide | Modulo
    )
}

/// Types whose values are as large as what they are made of.
fn is_small(data_type: &DataType) -> bool {
    use DataType::{
        BigInt, Boolean, Date, Double, Float, Int, Integer, Real, SmallInt, String, Text, Timestamp, Varchar,
    };
    matches!(
        data_type,
        BigInt(_)
            | Boolean
            | Date
            | Double(_)
            | Float(_)
            | Int(_)
            | Integer(_)
            | Real
            | SmallInt(_)
            | String(_)
            | Text
            | Timestamp(..)
            | Varchar(None)
    )
}

fn is_bounded_call(function: &Function) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    let Function {
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group,
        ..
    } = function
    else {
        return false;
    };
    let is_plain =
        within_group.is_empty() && arguments.duplicate_treatment.is_none() && arguments.clauses.is_empty();
    is_plain
        && (BOUNDED.contains(&name.as_str()) || FIXED_SIZE.contains(&name.as_str()))
        && arguments.args.iter().all(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_bounded(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => true,
            _ => false,
        })
}

/// Operators that hand on rows as they come, or keep a number.
const STREAMING: &[&str] = &[
    "BlockScanExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "ConformExec",
    "CooperativeExec",
    "DataSourceExec",
    "EmptyExec",
    "FilterExec",
    "GlobalLimitExec",
    "LocalLimitExec",
    "PagedExec",
    "PlaceholderRowExec",
    "ProjectionExec",
    "RepartitionExec",
    "StreamScanExec",
    "UnionExec",
];

/// Whether a plan only streams rows: a table can be SQL over others, which its name does not tell.
pub(crate) fn streams(plan: &dyn ExecutionPlan) -> bool {
    let is_streaming = match plan.downcast_ref::<datafusion::physical_plan::aggregates::AggregateExec>() {
        Some(aggregate) => {
            aggregate.group_expr().is_empty()
                && aggregate.aggr_expr().iter().all(|a| a.fun().name() == "count")
        }
        None => STREAMING.contains(&plan.name()),
    };
    is_streaming && plan.children().into_iter().all(|child| streams(child.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_table_are_answered_here() {
        for sql in [
            "SELECT 1",
            "SELECT * FROM log_entries",
            "SELECT time, msg AS m FROM log_entries WHERE level <= 2 AND msg LIKE '%x%' LIMIT 10",
            "SELECT count(*) FROM log_entries WHERE time > TIMESTAMP '2026-01-01T00:00:00Z'",
            "SELECT name, duration / 1000, property_get(properties, 'a') FROM view_instance('thread_spans', 'x')",
            "SELECT value::DOUBLE FROM measures WHERE name IN ('a', $1)",
        ] {
            assert_eq!(Place::of(sql, None), Place::Here, "{sql}");
        }
        for sql in [
            "SELECT query_id, sql FROM list_queries() WHERE seconds > 1 ORDER BY seconds",
            "SELECT cancel_query('a')",
        ] {
            assert_eq!(Place::of(sql, None), Place::HereOnly, "{sql}");
        }
    }

    #[test]
    fn what_gathers_or_makes_much_is_answered_elsewhere() {
        for sql in [
            "SELECT repeat('x', 9) FROM log_entries",
            "SELECT msg || msg FROM log_entries",
            "SELECT count(DISTINCT msg) FROM log_entries",
            "SELECT DISTINCT msg FROM log_entries",
            "SELECT msg FROM log_entries ORDER BY msg",
            "SELECT msg, count(*) FROM log_entries GROUP BY msg",
            "SELECT (SELECT 1)",
            "SELECT 1 WHERE EXISTS (SELECT 1)",
            "SELECT a.msg FROM log_entries a, log_entries b",
            "SELECT a.msg FROM log_entries a JOIN log_entries b ON a.msg = b.msg",
            "SELECT msg FROM (SELECT msg FROM log_entries)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "SELECT 1 UNION ALL SELECT 2",
            "SELECT row_number() OVER () FROM log_entries",
            "SELECT * FROM generate_series(1, levenshtein('a', 'b'))",
            "SELECT 1 LIMIT (SELECT 1)",
            "SELECT msg FROM log_entries WHERE msg ~ target",
            "SELECT arrow_cast(NULL, 'FixedSizeBinary(2147483647)') FROM log_entries",
            "SELECT CASE WHEN level = 1 THEN repeat('x', 9) END FROM log_entries",
            "SELECT unnest([1, 2])",
            "SELECT count(repeat(msg, 9)) FROM log_entries",
            "EXPLAIN SELECT 1",
            "this is no SQL",
        ] {
            assert_eq!(Place::of(sql, None), Place::Elsewhere, "{sql}");
        }
        let long = format!("SELECT '{}' FROM log_entries", "x".repeat(MOST_BYTES));
        assert_eq!(Place::of(&long, None), Place::Elsewhere);
        let values = vec![datafusion::scalar::ScalarValue::from("x".repeat(MOST_BYTES + 1))].into();
        assert_eq!(Place::of("SELECT $1", Some(&values)), Place::Elsewhere);
    }

    #[test]
    fn a_name_of_the_servers_own_functions_opens_no_way_around_the_limits() {
        let sql = "SELECT repeat(sql, 1000000) FROM list_queries()";
        assert_eq!(Place::of(sql, None), Place::Nowhere);
        let sql = "SELECT repeat('x', 1000000) AS a FROM generate_series(1, 1000000), \"list_queries\" ()";
        assert_eq!(Place::of(sql, None), Place::Nowhere);
        let sql =
            "SELECT msg, count(*) FROM log_entries WHERE msg = 'list_queries()' GROUP BY 1 -- list_queries()";
        assert_eq!(Place::of(sql, None), Place::Elsewhere);
    }
}
