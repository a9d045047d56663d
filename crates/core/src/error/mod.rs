//! What can go wrong above the lake, and how errors pass through the engine.

mod assembly;
mod panics;
mod query;
mod words;

pub use assembly::AssemblyError;
pub(crate) use panics::watch as watch_panics;
pub use query::QueryError;
pub(crate) use query::panic_error;

use arrow::error::ArrowError;
use belvedere_lake::LakeError;
use belvedere_lake::access::Refused;
use belvedere_model::transit::DecodeError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;
use thiserror::Error;
use tokio::sync::AcquireError;
use tokio::task::JoinError;

/// Why work on views, partitions or queries failed: what was done, to what, and what happened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The catalog or the object store failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The engine failed, or Arrow, or Parquet.
    #[error(transparent)]
    Engine(Box<DataFusionError>),
    /// Reading or writing something that is not in the lake failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The caller lacks a right.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bytes of a block are not what its stream says.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Registrations don't fit together.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// What was asked for does not exist, or can't be done: the caller's mistake.
    #[error("{0}")]
    Request(String),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// What was being done when the source happened. The words have those of the source in them, since many errors end up
    /// in a message without their chain.
    #[error("{doing}: {source}")]
    While {
        /// What was being done, and to what.
        doing: String,
        /// What happened.
        source: Box<Error>,
    },
}

/// The result of work that fails with [`Error`].
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a crate's own, or a text.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The same with what was being done, and to what.
    pub fn during(self, doing: impl Into<String>) -> Self {
        Self::While { doing: doing.into(), source: Box::new(self) }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::other(error)
    }
}

impl From<ParserError> for Error {
    fn from(error: ParserError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}

impl From<AcquireError> for Error {
    fn from(error: AcquireError) -> Self {
        Self::other(error)
    }
}

/// On its way through the engine an error stays what it is, so that it is still known whose fault it is when it comes
/// out: [`QueryError`] tells.
impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Engine(error) => *error,
            Error::While { doing, source } => Self::from(*source).context(doing),
            Error::Io(error) => Self::IoError(error),
            Error::Lake(error) => Self::External(Box::new(error)),
            Error::Refused(error) => Self::External(Box::new(error)),
            Error::Query(error) => Self::External(Box::new(error)),
            Error::Request(text) => Self::External(Box::new(QueryError::Sql(text))),
            Error::Decode(error) => Self::External(Box::new(error)),
            Error::Assembly(error) => Self::External(Box::new(error)),
            Error::Other(error) => Self::External(error),
        }
    }
}

impl From<Error> for QueryError {
    fn from(error: Error) -> Self {
        DataFusionError::from(error).into()
    }
}

/// Says what was being done when something failed, or what is missing.
pub(crate) trait Context<T> {
    /// See [`Error::While`].
    fn context(self, doing: impl Into<String>) -> Result<T>;

    /// The same, told only if it is needed.
    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T>;
}

/// What should be there is not: the words are the error itself.
impl<T> Context<T> for Option<T> {
    fn context(self, missing: impl Into<String>) -> Result<T> {
        self.with_context(|| missing)
    }

    fn with_context<S: Into<String>>(self, missing: impl FnOnce() -> S) -> Result<T> {
        self.ok_or_else(|| Error::other(missing().into()))
    }
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.with_context(|| doing)
    }

    fn with_context<S: Into<String>>(self, doing: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| e.into().during(doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_lake::with_causes;

    #[test]
    fn an_error_comes_out_of_the_engine_as_what_it_was() {
        let through = |error: Error| {
            QueryError::from(DataFusionError::from(error).context("Optimizer rule 'x' failed"))
        };
        let lake = || LakeError::Database("gone".into());
        assert!(matches!(through(lake().into()), QueryError::Internal(text) if text.contains("gone")));
        let told = Err::<(), _>(lake()).context("looking it up").unwrap_err();
        assert_eq!(with_causes(&told), "looking it up: metadata database: gone");
        assert_eq!(told.during("answering").to_string(), "answering: looking it up: metadata database: gone");
        let told = Err::<(), _>(lake()).context("looking it up").unwrap_err();
        assert_eq!(through(told), QueryError::Internal("looking it up: metadata database: gone".to_owned()));
        assert_eq!(through(Error::other("odd")), QueryError::Internal("odd".to_owned()));
        let full = DataFusionError::ResourcesExhausted("full".to_owned());
        assert_eq!(through(full.into()), QueryError::Resources("full".to_owned()));
        let mistake = QueryError::Unsupported("not here".to_owned());
        assert_eq!(through(mistake.clone().into()), mistake);
        assert_eq!(
            through(Error::Request("no such view set".to_owned())),
            QueryError::Sql("no such view set".to_owned())
        );
        let described = DataFusionError::Plan("no".to_owned()).context("the bound can't be computed");
        assert_eq!(
            QueryError::from(described),
            QueryError::Sql("the bound can't be computed: no".to_owned())
        );
    }
}
