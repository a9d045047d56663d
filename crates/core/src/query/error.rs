//! Whose fault it is that a query failed.

use crate::access::Refused;
use crate::lake::LakeError;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use thiserror::Error;

/// Why a query failed, by what the asker can do about it.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// The SQL can't be answered: change it.
    #[error("{0}")]
    Sql(String),
    /// The query wants more than it is allowed: narrow it, or raise the limit.
    #[error("the query needs more than it is allowed: {0}")]
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
    /// Somebody ended it.
    #[error("{0}")]
    Cancelled(String),
    /// This is SQL, but not for here.
    #[error("{0}")]
    Unsupported(String),
    /// The lake failed: trying again may help.
    #[error("the lake failed: {0}")]
    Internal(String),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let text = in_our_words(&error);
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Resources(text),
            DataFusionError::NotImplemented(_) => Self::Unsupported(text),
            DataFusionError::External(cause) if cause.downcast_ref::<Refused>().is_some() => {
                Self::Rights(text)
            }
            DataFusionError::External(cause) if cause.downcast_ref::<LakeError>().is_some() => {
                Self::Internal(text)
            }
            DataFusionError::ArrowError(cause, _) if matches!(**cause, ArrowError::IoError(..)) => {
                of_spilling(text)
            }
            DataFusionError::Internal(_)
            | DataFusionError::IoError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ExecutionJoin(_) => Self::Internal(text),
            _ => Self::Sql(text),
        }
    }
}

impl From<Refused> for QueryError {
    fn from(refused: Refused) -> Self {
        Self::Rights(refused.to_string())
    }
}

impl From<anyhow::Error> for QueryError {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<DataFusionError>() {
            Ok(error) => error.into(),
            Err(error) => Self::Internal(format!("{error:#}")),
        }
    }
}

/// A file failed, and those that are written as Arrow are what operators spill.
fn of_spilling(text: String) -> QueryError {
    // the engine has no error of its own for its limit, and names the setting
    match text.contains("max_temp_directory_size") {
        true => QueryError::Resources(
            "it spills to disk what does not fit into its memory, and all queries together may not spill more: narrow \
             it, try again when there are fewer, or allow queries more memory or more disk"
                .to_owned(),
        ),
        false => QueryError::Internal(text),
    }
}

/// What the engine says, without the words that only its developers need.
fn in_our_words(error: &DataFusionError) -> String {
    if let DataFusionError::SQL(cause, _) = error.find_root() {
        return match &**cause {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => format!("SQL: {text}"),
            other => format!("SQL: {other}"),
        };
    }
    let text = error.strip_backtrace().replace("'datafusion.public.", "'");
    let mut words = text.as_str();
    for prefix in [
        "Error during planning: ",
        "Schema error: ",
        "External error: ",
        "Execution error: ",
        "Resources exhausted: ",
    ] {
        words = words.trim_start_matches(prefix);
    }
    words.to_owned()
}
