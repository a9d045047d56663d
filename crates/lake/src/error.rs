//! Errors of the lake, and how they are told.

use std::error::Error;
use std::fmt::{Debug, Display, Formatter, Result};
use std::sync::Arc;

/// What went wrong, in words, with the error that it came from.
///
/// The words are complete: they have those of the source in them, since most errors of a lake end up in a log line or
/// in an answer without their chain. To print a chain use [`with_causes`], which says everything once.
#[derive(Clone)]
pub struct Cause {
    message: String,
    // shared, since one failed commit is the answer to many requests
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Cause {
    /// Words that include those of the source, and the source.
    pub fn new(message: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { message: message.into(), source: Some(Arc::new(source)) }
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.message
    }

    /// The error that it came from, if it came from another one.
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.message)
    }
}

impl Debug for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.source {
            Some(source) => write!(f, "{:?} ({source:?})", self.message),
            None => write!(f, "{:?}", self.message),
        }
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        Self { message, source: None }
    }
}

impl From<&str> for Cause {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), source: None }
    }
}

/// What can go wrong with a lake. Never the fault of the sender or the caller, except for [`LakeError::Refused`] and
/// [`LakeError::Conflict`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LakeError {
    /// The address of a database or of an object store is not usable.
    Address(Cause),
    /// The metadata database failed. A retry may help.
    Database(Cause),
    /// The metadata database does not accept the values that it was given. A retry does not help.
    Refused(Cause),
    /// What is sent contradicts what is in the lake: an id belongs to somebody else. A retry does not help.
    Conflict(Cause),
    /// The object store or the disk failed. A retry may help.
    Objects(Cause),
    /// An object is not there, or ends early. That proves nothing: its volume may not be mounted.
    Missing(Cause),
    /// What is stored is not what was written: a checksum or the content proves it.
    Corrupt(Cause),
    /// The lake is being closed.
    Closed,
}

impl Display for LakeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Address(cause) | Self::Conflict(cause) => write!(f, "{cause}"),
            Self::Database(cause) | Self::Refused(cause) => write!(f, "metadata database: {cause}"),
            Self::Objects(cause) => write!(f, "object store: {cause}"),
            Self::Missing(cause) => write!(f, "not in the object store: {cause}"),
            Self::Corrupt(cause) => write!(f, "the lake is damaged: {cause}"),
            Self::Closed => f.write_str("the lake is closing"),
        }
    }
}

impl Error for LakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Address(cause)
            | Self::Database(cause)
            | Self::Refused(cause)
            | Self::Conflict(cause)
            | Self::Objects(cause)
            | Self::Missing(cause)
            | Self::Corrupt(cause) => cause.source(),
            Self::Closed => None,
        }
    }
}

impl From<sqlx::Error> for LakeError {
    fn from(e: sqlx::Error) -> Self {
        let code = e.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        // SQLite: too big, constraint, mismatch; PostgreSQL: data exceptions, constraints, limits
        let is_about_data = matches!(code.as_ref(), "18" | "19" | "20")
            || (code.len() == 5 && ["22", "23", "54"].iter().any(|class| code.starts_with(class)));
        let cause = Cause::new(e.to_string(), e);
        if is_about_data { Self::Refused(cause) } else { Self::Database(cause) }
    }
}

impl From<sqlx::migrate::MigrateError> for LakeError {
    fn from(e: sqlx::migrate::MigrateError) -> Self {
        Self::Database(Cause::new(format!("the schema could not be brought up to date: {e}"), e))
    }
}

impl From<object_store::Error> for LakeError {
    fn from(e: object_store::Error) -> Self {
        let missing = match &e {
            object_store::Error::NotFound { path, .. } => Some(format!("object {path} is missing")),
            _ => None,
        };
        match missing {
            Some(message) => Self::Missing(Cause::new(message, e)),
            None => Self::Objects(Cause::new(e.to_string(), e)),
        }
    }
}

/// An error and the errors that it came from, each said once: texts that an earlier one contains are left out.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|told| told.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_the_error_that_they_came_from_and_tell_it_once() {
        let error = LakeError::from(sqlx::Error::PoolTimedOut);
        assert!(error.source().is_some_and(|source| source.is::<sqlx::Error>()));
        let copy = error.clone();
        assert_eq!(with_causes(&copy), format!("metadata database: {}", sqlx::Error::PoolTimedOut));
    }
}
