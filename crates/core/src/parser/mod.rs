//! The SQL parser of the engine, with a bound on its work.
//!
//! The parser tries one reading, and another when that fails: `interval interval … '1 day'` is read as a typed literal
//! first, then as names, and each reading does the same with what follows. Each level doubles the work, and 50 levels are
//! allowed. Such a text of 500 bytes keeps a thread for years, and nothing can stop it from outside: the parser has no
//! limit on work, only on depth. And this chain it does not even count as depth: each level takes 32 KB of stack in a debug
//! build.
//!
//! But the parser asks its dialect at every turn. So the dialect counts, and unwinds when there were far more questions than
//! the length of the text explains, or when little stack is left. Unwinding is the only way out of every reading: what a
//! dialect may return, most readings take for "not this one" and try the next.
//!
//! Statements that people write take one or two questions for each byte.
//!
//! The dialect is also asked which operators bind how tightly: `operators` has the answers.

#[cfg(test)]
mod operator_tests;
mod operators;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::{Expr, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use std::any::TypeId;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Questions to the dialect for each byte of a text.
const QUESTIONS_PER_BYTE: usize = 20;
/// Questions for any text, however short.
const FEWEST_QUESTIONS: usize = 10_000;
/// Bytes of stack that are left for what the parser does between two questions.
const LEAST_STACK: usize = 512 << 10;

/// The engine's statements of a text: SQL, and what the engine adds to it.
pub(crate) fn engine_statements(sql: &str) -> Result<VecDeque<EngineStatement>, DataFusionError> {
    bounded(sql, |dialect| DFParserBuilder::new(sql).with_dialect(dialect).build()?.parse_statements())
}

/// The statements of a text.
pub(crate) fn statements(sql: &str) -> Result<Vec<Statement>, ParserError> {
    bounded(sql, |dialect| Parser::parse_sql(dialect, sql))
}

/// The expression that a text begins with.
pub(crate) fn expression(text: &str) -> Result<Expr, ParserError> {
    bounded(text, |dialect| Parser::new(dialect).try_with_sql(text)?.parse_expr())
}

/// Parses with a dialect that counts. A text that takes too many questions is refused like one that is no SQL.
fn bounded<T, E: From<ParserError>>(
    text: &str,
    parse: impl FnOnce(&dyn Dialect) -> Result<T, E>,
) -> Result<T, E> {
    let most = text.len().saturating_mul(QUESTIONS_PER_BYTE).saturating_add(FEWEST_QUESTIONS);
    let dialect = Counting::new(most);
    // the parser is gone when it has unwound, and the dialect is asked nothing more
    catch_unwind(AssertUnwindSafe(|| parse(&dialect))).unwrap_or_else(|panic| match panic.downcast() {
        Ok(refused) => Err(ParserError::ParserError(Refused::text(*refused).to_owned()).into()),
        Err(panic) => resume_unwind(panic),
    })
}

/// Why a parser was unwound.
#[derive(Debug, Clone, Copy)]
enum Refused {
    Readings,
    Depth,
}

impl Refused {
    fn text(self) -> &'static str {
        match self {
            Self::Readings => {
                "the statement has too many possible readings: put what follows INTERVAL, DATE and the like into parentheses, \
                 and nest less"
            }
            Self::Depth => "the statement nests too deeply: split it with WITH, or ask in several statements",
        }
    }
}

/// The engine's own dialect, `GenericDialect`, with PostgreSQL's precedence of operators, which counts what it is asked.
#[derive(Debug)]
struct Counting {
    left: Cell<usize>,
    /// The parser has just met BETWEEN: what it asks next is how far the lower bound reaches.
    is_at_lower_bound: Cell<bool>,
}

impl Counting {
    fn new(most: usize) -> Self {
        Self { left: Cell::new(most), is_at_lower_bound: Cell::new(false) }
    }

    fn count(&self) {
        let refused = match self.left.get().checked_sub(1) {
            None => Refused::Readings,
            Some(_) if stacker::remaining_stack().is_some_and(|bytes| bytes < LEAST_STACK) => Refused::Depth,
            Some(left) => return self.left.set(left),
        };
        // no panic: nobody's hook is to report it
        resume_unwind(Box::new(refused))
    }
}

/// Answers as `GenericDialect` does. A law (`cargo xtask laws`) compares the names with those of its source.
macro_rules! as_generic {
    ($($question:ident)*) => {
        $(fn $question(&self) -> bool {
            self.count();
            GenericDialect.$question()
        })*
    };
}

impl Dialect for Counting {
    // the parser asks some things of a dialect by its type
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.count();
        operators::prefix(parser)
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        self.count();
        self.is_at_lower_bound.set(operators::is_between(parser));
        operators::infix(parser, left)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        let is_bound = matches!(precedence, Precedence::Between) && self.is_at_lower_bound.take();
        if is_bound { operators::LOWER_BOUND } else { operators::precedence(precedence) }
    }

    fn parse_statement(&self, _: &mut Parser) -> Option<Result<Statement, ParserError>> {
        self.count();
        None
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.count();
        operators::of_next(parser).map(Ok)
    }

    as_generic! {
        allow_extract_custom
        allow_extract_single_quotes
        support_map_literal_syntax
        supports_array_join_syntax
        supports_array_typedef_with_brackets
        supports_asc_desc_in_column_definition
        supports_bitwise_shift_operators
        supports_comma_separated_set_assignments
        supports_comma_separated_trim
        supports_comment_on
        supports_comment_optimizer_hint
        supports_connect_by
        supports_constraint_keyword_without_name
        supports_create_index_with_clause
        supports_create_view_comment_syntax
        supports_cte_without_as
        supports_data_type_signed_suffix
        supports_detach
        supports_dictionary_syntax
        supports_empty_projections
        supports_explain_with_utility_options
        supports_extract_comma_syntax
        supports_filter_during_aggregation
        supports_from_first_select
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_install
        supports_interpolate
        supports_interval_options
        supports_key_column_option
        supports_left_associative_joins_without_parens
        supports_limit_by
        supports_limit_comma
        supports_load_extension
        supports_match_against
        supports_match_recognize
        supports_multiline_comment_hints
        supports_named_fn_args_with_assignment_operator
        supports_nested_comments
        supports_optimize_table
        supports_parens_around_table_factor
        supports_parenthesized_set_variables
        supports_partition_by_after_order_by
        supports_pipe_operator
        supports_prewhere
        supports_projection_trailing_commas
        supports_quote_delimited_string
        supports_select_format
        supports_select_item_multi_column_alias
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_select_wildcard_replace
        supports_set_names
        supports_settings
        supports_start_transaction_modifier
        supports_string_escape_constant
        supports_struct_literal
        supports_try_convert
        supports_unicode_string_literal
        supports_update_order_by
        supports_user_host_grantee
        supports_values_as_table_factor
        supports_window_clause_named_window_reference
        supports_window_function_null_treatment_arg
        supports_with_fill
        supports_xml_expressions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::{Config, TestRunner};

    /// What can begin an expression, a type or a table, and goes on with another.
    const BEGINNINGS: &[&str] = &[
        "interval ",
        "date ",
        "timestamp with time zone ",
        "time ",
        "json ",
        "xml ",
        "bytea ",
        "(",
        "((",
        "[",
        "array[",
        "{",
        "{d ",
        "{fn f(",
        "map {'a': ",
        "map(",
        "struct(",
        "struct<a int>(",
        "array<",
        "struct<a ",
        "f(",
        "f(a => ",
        "f(distinct ",
        "not ",
        "- ",
        "exists (",
        "exists(select * from (",
        "x in (",
        "x in ((",
        "x between ",
        "x like any (",
        "x = all (",
        "case ",
        "case when ",
        "case a when 1 then ",
        "cast(",
        "try_cast(a as array<",
        "convert(",
        "position(",
        "substring(a from ",
        "substring(",
        "trim(",
        "trim(both ",
        "overlay(a placing ",
        "extract(year from ",
        "ceil(",
        "floor(",
        "listagg(a, ",
        "select * from (",
        "select * from ((",
        "select 1 from (",
        "select 1 from ((",
        "(select 1 from (",
        "select * from a join (",
        "select * from lateral (",
        "select * from unnest(",
        "select * from table(",
        "select * from f(",
        "select * from (values (",
        "select * from (table ",
        "from (",
        "with a as (",
        "with a as (select * from (",
        "select (select ",
        "select a, (",
        "select a where (",
        "select count(*) filter (where ",
        "f() over (order by ",
        "(a, ",
        "row(",
        "x -> (",
        "a::",
        "a[",
        "a -> ",
        "lambda x : ",
        "prior ",
        "explain ",
        "explain (",
        "values (",
        "select * from a pivot (f(a) for b in (",
        "?::",
        "grouping sets ((",
        "group by rollup((",
        "select * from a match_recognize (pattern (",
        "|> ",
        "from a |> where ",
    ];

    const MIDDLES: &[&str] =
        &["", "1", "a", "'1 day'", "*", "select 1", "select", "int", ")", "a b c", "1 from"];
    const ENDS: &[&str] =
        &["", ")", "))", "]", "}", ">", " as b)", " end", " from a", " then b end", "))))", ") a"];

    fn nested(beginnings: &[&str], levels: usize, middle: &str, end: &str) -> String {
        let mut text = "SELECT ".to_owned();
        text.extend(beginnings.iter().cycle().take(levels).copied());
        text.push_str(middle);
        text.push_str(&end.repeat(levels));
        text
    }

    /// Runs where the parser runs in a server: on a stack like that of its query threads.
    fn on_a_large_stack(work: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work);
            thread.unwrap().join().unwrap();
        });
    }

    /// That this ends is what is tested.
    #[test]
    fn whatever_is_nested_is_read_or_refused_in_bounded_work() {
        let beginnings = prop::collection::vec(select(BEGINNINGS), 1..4);
        let nested = (beginnings, 1_usize..120, select(MIDDLES), select(ENDS))
            .prop_map(|(beginnings, levels, middle, end)| nested(&beginnings, levels, middle, end));
        on_a_large_stack(|| {
            // each case that has too many readings takes some milliseconds
            let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(150) });
            let ended = runner.run(&nested, |text| {
                let _ = engine_statements(&text);
                let _ = statements(&text);
                let _ = expression(text.trim_start_matches("SELECT "));
                Ok(())
            });
            ended.unwrap();
        });
    }

    #[test]
    fn a_text_with_too_many_readings_is_refused_and_says_so() {
        on_a_large_stack(|| {
            let error = statements(&nested(&["interval "], 100, "", "")).unwrap_err();
            assert!(error.to_string().contains("too many possible readings"), "{error}");
            let error = statements(&nested(&["interval "], 10_000, "", "")).unwrap_err();
            assert!(error.to_string().contains("nests too deeply"), "{error}");
        });
    }

    #[test]
    fn a_statement_that_people_write_takes_few_questions_for_each_byte() {
        for sql in [
            "SELECT 1",
            "SELECT a FROM b WHERE c = 1 AND d IN (1, 2, 3) ORDER BY e LIMIT 5",
            "SELECT interval '1 day', date '2020-01-01', CASE WHEN a THEN (1 + 2) * 3 END FROM ((SELECT 1) UNION (SELECT 2)) t",
            "WITH a AS (SELECT x, count(*) AS n FROM t GROUP BY x) SELECT * FROM a JOIN b ON a.x = b.x WHERE n > (SELECT avg(n) FROM a)",
        ] {
            let dialect = Counting::new(usize::MAX);
            Parser::parse_sql(&dialect, sql).unwrap();
            let questions = usize::MAX - dialect.left.get();
            assert!(
                questions < sql.len() * QUESTIONS_PER_BYTE / 5,
                "{questions} for {} bytes: {sql}",
                sql.len()
            );
            assert_eq!(statements(sql).unwrap(), Parser::parse_sql(&GenericDialect, sql).unwrap());
        }
    }
}
