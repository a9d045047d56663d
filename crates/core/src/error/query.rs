//! Whose fault it is that a query failed.

use super::panics::was_in_the_engine;
use super::words::{descriptions, in_our_words};
use arrow::error::ArrowError;
use belvedere_lake::access::Refused;
use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Why a query failed, by what the asker can do about it.
#[derive(Debug, Error, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryError {
    /// The SQL can't be answered: change it.
    #[error("{0}")]
    Sql(String),
    /// The query wants more than it is allowed: narrow it, or raise the limit.
    #[error("the query exceeded a limit: {0}")]
    Resources(String),
    /// Whoever asks may not have that: ask an administrator.
    #[error("{0}")]
    Rights(String),
    /// It took longer than it may: narrow it, or raise the limit.
    #[error("{0}")]
    TooLong(String),
    /// A rule forbids it: ask an administrator to take the rule away.
    #[error("{0}")]
    Denied(String),
    /// Somebody else is at work on the same: try again later.
    #[error("{0}")]
    Busy(String),
    /// Somebody ended it.
    #[error("{0}")]
    Cancelled(String),
    /// This is SQL, but not for here.
    #[error("{0}")]
    Unsupported(String),
    /// Rows of blocks that can't be read are missing, and an answer without them is not wanted.
    #[error("{0}")]
    Incomplete(String),
    /// The lake failed: trying again may help.
    #[error("the lake failed: {0}")]
    Internal(String),
}

impl QueryError {
    /// Whether fewer rows at a time may help.
    pub(crate) fn is_of_a_batch(&self) -> bool {
        matches!(self, Self::Resources(text) if text.starts_with(TOO_LARGE))
    }

    /// That an answer lacks rows, for whoever wants none that does.
    pub(crate) fn incomplete(blocks: u64) -> Self {
        Self::Incomplete(format!(
            "{blocks} blocks could not be read, and their rows would be missing from this answer: SELECT * FROM \
             block_faults() has the reasons; without the strict mode there is an answer"
        ))
    }

    /// Its kind, as `/metrics` has it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sql(_) => "sql",
            Self::Resources(_) => "resources",
            Self::Rights(_) => "rights",
            Self::TooLong(_) => "too_long",
            Self::Denied(_) => "denied",
            Self::Cancelled(_) => "cancelled",
            Self::Unsupported(_) => "unsupported",
            Self::Busy(_) => "busy",
            Self::Incomplete(_) => "incomplete",
            Self::Internal(_) => "internal",
        }
    }

    /// What whoever asked over a network is told. What failed inside may name paths, buckets and addresses of the host:
    /// the asker gets the id of the query, or another one, by which the log has it.
    pub fn report(&self, query_id: Option<Uuid>) -> String {
        match self {
            Self::Internal(text) => {
                let id = query_id.unwrap_or_else(Uuid::new_v4);
                tracing::error!(error_id = %id, "the lake failed: {text}");
                format!("the lake failed: the server's log has the reason as error {id}")
            }
            other => other.to_string(),
        }
    }
}

/// What a panic of the engine means for whoever asked. Where it can't hold what it makes, it panics rather than fails: that
/// is a limit like others.
pub(crate) fn panic_error(panic: &(dyn std::any::Any + Send)) -> QueryError {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    known_panic(&text).unwrap_or_else(|| {
        QueryError::Internal("the query failed inside the server: its log has details".to_owned())
    })
}

/// What is said of batches that the engine can't hold.
const TOO_LARGE: &str = "a value or a batch of rows is larger than the engine can hold";

/// An error of a task that panicked, which the engine has as an error of somebody else's.
fn of_task(text: String) -> QueryError {
    let panicked = text.contains("panicked").then(|| known_panic(&text)).flatten();
    panicked.unwrap_or(QueryError::Internal(text))
}

/// What the engine calls its own fault. It is one of a statement: one that its checks let through, and its work then does not
/// know what to do with. Faults of the lake come to the engine from outside, and are errors of another kind.
fn of_the_engine(text: String) -> QueryError {
    if let Some(known) = too_large(&text) {
        return known;
    }
    let function = text
        .split_once("Function '")
        .and_then(|(_, rest)| rest.split_once("' failed to match any signature"));
    match function {
        Some((name, _)) => {
            QueryError::Sql(format!("{name} does not take arguments of this number or of these types"))
        }
        None => QueryError::Unsupported(format!("the engine can't run this statement: {text}")),
    }
}

/// What a panic means if it is one of the engine's, by its words or by its place. Functions of lists let lists with offsets of
/// 32 and of 64 bits through, and arrow then panics: `array_cat([1], arrow_cast([2], 'LargeList(Int64)'))`.
fn known_panic(text: &str) -> Option<QueryError> {
    let mixed = text.contains("inconsistent types passed to MutableArrayData").then(|| {
        QueryError::Sql(
            "the engine can't put lists of different types together: cast them to one type, as in \
             arrow_cast(x, 'List(Int64)')"
                .to_owned(),
        )
    });
    mixed.or_else(|| too_large(text)).or_else(|| {
        // not its words, which may name files of the host: the log has them
        let told = "the engine panicked at this statement, so it can't run it: write it in another way";
        was_in_the_engine(text).then(|| QueryError::Unsupported(told.to_owned()))
    })
}

/// Whether words of the engine say that a batch can't be held: offsets of 32 bits, lengths, sizes of allocations.
fn too_large(text: &str) -> Option<QueryError> {
    const WORDS: [&str; 4] = ["overflow", "capacity", "too large", "too big"];
    WORDS
        .iter()
        .any(|word| text.contains(word))
        .then(|| QueryError::Resources(format!("{TOO_LARGE} ({text}): ask for shorter texts or lists")))
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        let text = format!("{}{}", descriptions(&error), in_our_words(root));
        if let Some(text) = bad_pattern(root, &text) {
            return Self::Sql(text);
        }
        match root {
            DataFusionError::ResourcesExhausted(_) => Self::Resources(text),
            DataFusionError::NotImplemented(_) => Self::Unsupported(text),
            DataFusionError::External(cause) => match cause.downcast_ref::<Self>() {
                Some(known) => known.clone(),
                None if cause.downcast_ref::<Refused>().is_some() => Self::Rights(text),
                // the engine does not know what it is, and so the asker can't be blamed for it
                None => of_task(text),
            },
            DataFusionError::ArrowError(cause, _)
                if matches!(**cause, ArrowError::OffsetOverflowError(_)) =>
            {
                Self::Resources(format!("{TOO_LARGE} ({text}): ask for shorter texts or lists"))
            }
            DataFusionError::ArrowError(cause, _) if is_of_the_host(cause) => spill_error(text),
            DataFusionError::ExecutionJoin(cause) => {
                known_panic(&cause.to_string()).unwrap_or(Self::Internal(text))
            }
            DataFusionError::Internal(_) => of_the_engine(text),
            DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_) => of_task(text),
            _ => Self::Sql(text),
        }
    }
}

/// Whether reading or writing failed, not what SQL asked for.
fn is_of_the_host(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::ExternalError(_)
            | ArrowError::IoError(..)
            | ArrowError::IpcError(_)
            | ArrowError::ParquetError(_)
    )
}

impl From<Refused> for QueryError {
    fn from(refused: Refused) -> Self {
        Self::Rights(refused.to_string())
    }
}

/// What is wrong with a regular expression, if that is what failed. The engine reports it as an error of somebody else's
/// crate or of its own, by where it was compiled.
fn bad_pattern(root: &DataFusionError, text: &str) -> Option<String> {
    let said = match root {
        DataFusionError::External(cause) => {
            let cause = cause.to_string();
            PATTERN_ERRORS.iter().any(|beginning| cause.starts_with(beginning)).then_some(text)?
        }
        DataFusionError::Internal(_) => {
            let (_, said) = text.split_once("Regular expression did not compile: ")?;
            // what follows asks for a bug report
            said.split("\nThis issue was likely caused").next()?.trim_end_matches('.')
        }
        _ => return None,
    };
    Some(match said {
        said if said.starts_with("CompiledTooBig") => "the regular expression is too large".to_owned(),
        said if said.starts_with("Compiled regex exceeds") => {
            format!("the regular expression is too large: {said}")
        }
        said => {
            format!("the regular expression is not valid: {}", said.trim_start_matches("Invalid regex: "))
        }
    })
}

/// How errors of the crates for regular expressions begin.
const PATTERN_ERRORS: [&str; 2] = ["regex parse error:", "Compiled regex exceeds size limit"];

/// A file failed, and those that are written as Arrow are what operators spill.
fn spill_error(text: String) -> QueryError {
    // the engine has no error of its own for its limit, and names the setting
    if text.contains("max_temp_directory_size") {
        QueryError::Resources(
            "all queries together have reached the limit on disk space for spilling: narrow the query, try again when \
             fewer queries are running, or raise the limits on disk space or memory"
                .to_owned(),
        )
    } else {
        QueryError::Internal(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tables_that_are_not_there_are_told_with_what_was_probably_meant() {
        let lake = crate::fixture::lake().await;
        let error = async |sql: &str| lake.sql(sql).await.unwrap_err().to_string();
        let near = error("SELECT * FROM proceses").await;
        assert!(near.starts_with("table 'proceses' not found; did you mean processes"), "{near}");
        let unlike = error("SELECT * FROM xyz").await;
        assert!(unlike.contains("available: ") && unlike.contains("blocks"), "{unlike}");
    }

    #[test]
    fn an_asker_is_told_nothing_of_the_host_and_the_log_has_it() {
        let id = Uuid::from_u128(5);
        for secret in ["/var/lib/lake/records/7", "s3://bucket/records/7", "postgres://user:password@db/lake"]
        {
            let io = || std::io::Error::other(secret);
            for error in [
                DataFusionError::IoError(io()),
                DataFusionError::External(Box::new(io())),
                DataFusionError::ArrowError(Box::new(ArrowError::IoError(secret.to_owned(), io())), None),
                DataFusionError::External(Box::new(QueryError::Internal(secret.to_owned()))),
            ] {
                let error = QueryError::from(error.context("reading the partition of a view"));
                assert!(error.to_string().contains(secret), "{error}");
                let told = error.report(Some(id));
                assert!(!told.contains(secret) && told.ends_with(&id.to_string()), "{told}");
                assert!(!error.report(None).contains(secret));
            }
        }
        assert_eq!(QueryError::Sql("no such table".to_owned()).report(Some(id)), "no such table");
    }

    #[tokio::test]
    async fn a_statement_that_only_the_engines_work_finds_wrong_is_no_failure_of_the_lake() {
        let lake = crate::fixture::lake().await;
        for sql in [
            "SELECT date_trunc(1)",
            "SELECT date_trunc('day', 1, 2, 3)",
            "SELECT min(DISTINCT struct(1, NULL, [1])) FROM generate_series(1, 20)",
        ] {
            match lake.sql(sql).await {
                Ok(_) | Err(QueryError::Sql(_) | QueryError::Unsupported(_)) => {}
                Err(error) => panic!("{sql}: {error:?}"),
            }
        }
        let unknown = DataFusionError::Internal("could not cast array of type List(Float64)".to_owned());
        assert!(matches!(QueryError::from(unknown), QueryError::Unsupported(_)));
        let text = "Function 'regexp_like' failed to match any signature, errors: Error during planning: it expects 2";
        let told = QueryError::from(DataFusionError::Internal(text.to_owned())).to_string();
        assert_eq!(told, "regexp_like does not take arguments of this number or of these types");
    }

    #[tokio::test]
    async fn a_bad_or_too_large_regular_expression_is_the_fault_of_its_writer_wherever_it_is_compiled() {
        let lake = crate::fixture::lake().await;
        let large = "((a{1000}){1000}){1000}";
        for (pattern, said) in [("(", "not valid"), ("[a", "not valid"), (large, "too large")] {
            for text in ["'a'", "t.a", "t.a || '('"] {
                let of = if text.starts_with('t') {
                    format!("'{pattern}' || t.b")
                } else {
                    format!("'{pattern}'")
                };
                for test in [
                    format!("{text} ~ '{pattern}'"),
                    format!("{text} !~* '{pattern}'"),
                    format!("{text} SIMILAR TO '{pattern}'"),
                    format!("regexp_like({text}, '{pattern}')"),
                    format!("regexp_replace({text}, '{pattern}', 'x')"),
                    format!("regexp_match({text}, '{pattern}') IS NULL"),
                    format!("regexp_count({text}, '{pattern}')"),
                    format!("regexp_instr({text}, '{pattern}')"),
                    format!("{text} ~ ({of})"),
                    format!("regexp_replace({text}, {of}, 'x', 'g')"),
                    format!("regexp_match({text}, {of})"),
                ] {
                    let sql = format!("SELECT {test} FROM (VALUES ('a', ''), ('b', '')) t(a, b)");
                    let error = lake.sql(&sql).await.unwrap_err();
                    assert!(matches!(error, QueryError::Sql(_)), "{sql}: {error:?}");
                    let text = error.to_string();
                    assert!(!text.contains("bug"), "{sql}: {text}");
                    if text.contains("regular expression is") {
                        assert!(text.contains(said), "{sql}: {text}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn a_pattern_of_like_that_ends_in_its_escape_is_no_failure_of_the_lake() {
        let lake = crate::fixture::lake().await;
        for (test, is_refused) in [
            ("t.a LIKE 'a\\'", false),
            ("t.a ILIKE '%\\'", false),
            ("t.a LIKE t.a || '\\'", false),
            ("t.a LIKE 'a!' ESCAPE '!'", true),
            ("t.a LIKE 'a' ESCAPE '!!'", true),
        ] {
            let sql = format!("SELECT {test} FROM (VALUES ('a'), ('b')) t(a)");
            match lake.sql(&sql).await {
                Ok(_) => assert!(!is_refused, "{sql}"),
                Err(error) => assert!(is_refused && matches!(error, QueryError::Sql(_)), "{sql}: {error:?}"),
            }
        }
    }
}
