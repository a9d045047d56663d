//! What the engine says happened, in words for those who wrote the statement.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

/// What is said in addition by functions of ours, before what happened. That a rule of the optimizer was at work is of no
/// use to anybody.
pub(super) fn descriptions(error: &DataFusionError) -> String {
    let (mut text, mut error) = (String::new(), error);
    loop {
        error = match error {
            DataFusionError::Context(description, inner) => {
                if description.contains(' ') && !description.contains(" rule ") {
                    text.push_str(description);
                    text.push_str(": ");
                }
                inner.as_ref()
            }
            DataFusionError::Diagnostic(_, inner) => inner.as_ref(),
            DataFusionError::Shared(inner) => inner.as_ref(),
            _ => return text,
        };
    }
}

/// What the engine says happened, without the words that only its developers need.
pub(super) fn in_our_words(root: &DataFusionError) -> String {
    if let DataFusionError::SQL(cause, _) = root {
        return match &**cause {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => format!("SQL: {text}"),
            other => format!("SQL: {other}"),
        };
    }
    let text = without_insides(without_report(&root.strip_backtrace())).replace("'datafusion.public.", "'");
    if let Some(text) = other_arguments(&text) {
        return text;
    }
    let mut words = text.as_str();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| words.strip_prefix(prefix)) {
        words = rest;
    }
    words.to_owned()
}

/// The text without requests for a bug report, which engine errors carry along wherever they are told again: who asks
/// has made a mistake in SQL, or has found one of ours. What could not be computed of texts is told with a way out.
fn without_report(text: &str) -> String {
    const BEGIN: &str = "This issue was likely caused by a bug in DataFusion's code.";
    const END: &str = "github.com/apache/datafusion/issues";
    let (mut rest, mut kept, mut was_cut) = (text, String::new(), false);
    while let Some((before, request)) = rest.split_once(BEGIN) {
        kept.push_str(before.trim_end());
        rest = request.split_once(END).map_or("", |(_, after)| after.trim_start_matches('/'));
        was_cut = true;
    }
    kept.push_str(rest);
    if !was_cut {
        return kept;
    }
    let mut kept = kept.replace("Internal error: ", "");
    if ["Utf8", "String"].iter().any(|kind| kept.contains(kind)) {
        kept = format!(
            "{}: cast texts to numbers with CAST(… AS DOUBLE)",
            kept.trim_end_matches(['.', '\n', ' '])
        );
    }
    kept
}

/// What to say of a function that does not take its arguments: the engine lists everything that it would take.
fn other_arguments(text: &str) -> Option<String> {
    let (before, call) = text.split_once("No function matches the given name and argument types '")?;
    let (call, _) = call.split_once(")'")?;
    let (name, types) = call.split_once('(')?;
    // a function of ours says itself what it takes
    let own = before.split_once("coercion failed with: ").map(|(_, own)| own.trim_matches(['"', ' ', '\n']));
    let own = own.and_then(|own| own.strip_prefix("Error during planning: "));
    if let Some(own) = own.filter(|own| own.starts_with(name)) {
        return Some(own.to_owned());
    }
    let types = types.replace("Dictionary(Int32, Utf8)", "Utf8");
    // what people mean by numbers that are texts, and by lengths in arithmetic; of others nothing can be guessed
    let is_of_lists = ["array_", "list_", "map_"].iter().any(|family| name.starts_with(family));
    let wanted = match () {
        () if types.starts_with("Utf8") && !is_of_lists => "DOUBLE",
        () if types.contains("Decimal") || types.contains("UInt") => "BIGINT",
        () => {
            return Some(format!(
                "{name} does not take ({types}): look up how many arguments it takes, and of which types"
            ));
        }
    };
    Some(format!(
        "{name} does not take ({types}): give it what it takes, or cast, as in {name}(CAST(… AS {wanted}))"
    ))
}

/// The text without the engine's own notation of a statement, which goes on for pages: only what kind of thing it is stays.
fn without_insides(text: String) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("Physical plan does not support logical expression ", "the engine can't compute this here"),
        ("Unsupported ast node in sqltorel: ", "this part of SQL is not supported"),
        ("Unsupported ast node ", "this part of SQL is not supported"),
        ("Unsupported AST node: ", "this part of SQL is not supported"),
    ];
    for (engines, ours) in WORDS {
        if let Some((before, insides)) = text.split_once(engines) {
            let kind: String = insides.chars().take_while(|c| c.is_alphanumeric()).collect();
            return format!("{before}{ours}: {kind}");
        }
    }
    text
}

/// Kinds of errors, which the engine puts before what it says.
const PREFIXES: [&str; 11] = [
    "Internal error: ",
    "Error during planning: ",
    "Schema error: ",
    "External error: ",
    "Execution error: ",
    "Resources exhausted: ",
    "Arrow error: ",
    "Cast error: ",
    "Compute error: ",
    "Invalid argument error: ",
    "Parser error: ",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::QueryError;

    #[tokio::test]
    async fn of_an_error_only_what_happened_is_told() {
        let lake = crate::fixture::lake().await;
        let error = lake.sql("SELECT 'a'::int").await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, QueryError::Sql(_)), "{text}");
        assert!(text.starts_with("Cannot cast string 'a'"), "{text}");
        let error = lake.sql("SELECT nothing FROM processes").await.unwrap_err().to_string();
        assert!(error.starts_with("No field named nothing"), "{error}");
    }

    #[tokio::test]
    async fn mistakes_in_sql_are_told_without_a_word_about_bugs_and_other_trackers() {
        let lake = crate::fixture::lake().await;
        for expression in [
            "avg(t.a)",
            "sum(t.a)",
            "stddev(t.a)",
            "median(t.a)",
            "range(1, array_length([1, 2]) + 1)",
            "generate_series(1, array_length([1, 2]) + 1)",
            "sum(t.a) OVER ()",
            "abs(t.a)",
            "t.a + INTERVAL '1 day'",
            "array_length(t.a)",
        ] {
            let sql = format!("SELECT {expression} FROM (VALUES ('a'), ('b')) t(a)");
            let Err(error) = lake.sql(&sql).await else { continue };
            let text = error.to_string();
            for word in ["bug", "github", "Internal error", "Backtrace"] {
                assert!(!text.contains(word), "{sql}: {text}");
            }
        }
        let text = "Error during planning: Function 'avg' failed with \"Internal error: Avg of Utf8.\\nThis issue \
                    was likely caused by a bug in DataFusion's code. Please help us to resolve this by filing a bug \
                    report in our issue tracker: https://github.com/apache/datafusion/issues\" No function matches";
        assert_eq!(
            without_report(&text.replace("\\n", "\n")),
            "Error during planning: Function 'avg' failed with \"Avg of Utf8.\" No function matches: cast texts to \
             numbers with CAST(… AS DOUBLE)"
        );
    }

    #[tokio::test]
    async fn a_function_that_does_not_take_its_arguments_says_so_in_one_line_with_a_way_out() {
        let lake = crate::fixture::lake().await;
        for (call, expected) in [
            ("avg(t.a)", "avg(CAST(… AS DOUBLE))"),
            ("sum(arrow_cast(t.a, 'Dictionary(Int32, Utf8)'))", "sum does not take (Utf8): "),
            ("range(1, arrow_cast(2, 'Decimal128(20, 0)'))", "range(CAST(… AS BIGINT))"),
            ("array_length(t.a)", "array_length does not take (Utf8): look up"),
            ("bool_and(1)", "bool_and does not take (Int64): look up"),
            ("date_bin(5, now())", "look up how many arguments it takes"),
        ] {
            let sql = format!("SELECT {call} FROM (VALUES ('a'), ('b')) t(a)");
            let Err(error) = lake.sql(&sql).await else { continue };
            let text = error.to_string();
            assert!(matches!(error, QueryError::Sql(_)) && text.contains(expected), "{sql}: {text}");
            assert!(!text.contains('\n') && text.len() < 200, "{sql}: {text}");
        }
        let text = "Function 'avg' failed to match any signature. No function matches the given name and argument \
                    types 'avg(Dictionary(Int32, Utf8))'. You might need to add explicit type casts.";
        let told = "avg does not take (Utf8): give it what it takes, or cast, as in avg(CAST(… AS DOUBLE))";
        assert_eq!(other_arguments(text).as_deref(), Some(told));
    }

    #[test]
    fn the_engines_notation_of_a_statement_is_not_told() {
        for (text, told) in [
            (
                "Physical plan does not support logical expression Exists(Exists { subquery: <subquery>, negated: false })",
                "the engine can't compute this here: Exists",
            ),
            (
                "Unsupported ast node in sqltorel: Lambda(LambdaFunction { params: One(Ident { value: \"x\" }) })",
                "this part of SQL is not supported: Lambda",
            ),
            ("table 'x' not found", "table 'x' not found"),
        ] {
            assert_eq!(without_insides(text.to_owned()), told);
        }
    }
}
