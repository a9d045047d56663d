//! What an error says, as a text or as the error of another library.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What is wrong: a text, or an error. It shows as that, and has its source.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// A text or an error.
    pub fn new(what: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(what.into()))
    }

    /// The error, if it is one of that type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Cause {
    // it stands for the error, so its source is that one's
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Two that say the same are equal.
impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Cause {}

#[cfg(test)]
mod tests {
    use crate::transit::DecodeError;

    #[test]
    fn an_error_of_a_library_is_shown_as_it_is_and_can_be_had_back() {
        let library = || "x".parse::<i32>().unwrap_err();
        let error = DecodeError::corrupt(library());
        assert_eq!(error.to_string(), library().to_string());
        let DecodeError::Corrupt(cause) = &error else { panic!("{error:?}") };
        assert_eq!(cause.downcast_ref(), Some(&library()));
        assert_eq!(error, DecodeError::corrupt(library().to_string()));
        assert_eq!(DecodeError::mistake("a slip").to_string(), "bug in the decoder: a slip");
    }
}
