//! Errors of the client.

use arrow_flight::error::FlightError;
use belvedere_lake::with_causes;
use std::error::Error;
use tonic::{Code, Status};

/// Why a query failed, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The address, the key or a certificate can't be used.
    Request,
    /// No server answers at the address.
    Unreachable,
    /// The server did not accept the key or token.
    Unauthenticated,
    /// The caller lacks a right.
    Rights,
    /// The SQL is wrong.
    Sql,
    /// The query needs more resources than it may use.
    Resources,
    /// The query took too long.
    TooLong,
    /// The query was cancelled.
    Cancelled,
    /// The statement is SQL that the server does not support.
    Unsupported,
    /// The server failed.
    Server,
}

/// Why a query failed: the server's message, without the id of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    kind: ErrorKind,
    message: String,
}

impl ClientError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ClientError {}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let kind = match status.code() {
            Code::InvalidArgument => ErrorKind::Sql,
            Code::ResourceExhausted => ErrorKind::Resources,
            Code::PermissionDenied => ErrorKind::Rights,
            Code::Unauthenticated => ErrorKind::Unauthenticated,
            Code::DeadlineExceeded => ErrorKind::TooLong,
            Code::Cancelled => ErrorKind::Cancelled,
            Code::Unimplemented => ErrorKind::Unsupported,
            Code::Unavailable => ErrorKind::Unreachable,
            _ => ErrorKind::Server,
        };
        let said = without_query_id(status.message());
        // an error of the transport has a source, one of the server has none
        let message = match (said.is_empty(), status.source()) {
            (_, Some(cause)) => format!("the connection was lost: {}", with_causes(cause)),
            // what other doors of our server say of this protocol's methods; tonic has no type for an answer that is not
            // gRPC, only the second text
            (false, None)
                if (kind == ErrorKind::Unsupported && said.starts_with("/arrow.flight.protocol."))
                    || said.starts_with("grpc-status header missing") =>
            {
                "the server there does not speak FlightSQL: 'belvedere serve' prints the address, 'listening \
                 flight-sql …'"
                    .to_owned()
            }
            (true, None) => status.code().description().to_owned(),
            (false, None) => said.to_owned(),
        };
        Self { kind, message }
    }
}

impl From<FlightError> for ClientError {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => (*status).into(),
            other => {
                Self::new(ErrorKind::Server, format!("the response of the server can't be read: {other}"))
            }
        }
    }
}

/// Removes the id that servers append to their messages: here it is known which query it was.
fn without_query_id(text: &str) -> &str {
    let cut = text.rfind(" (query_id=").filter(|_| text.ends_with(')'));
    match cut {
        Some(cut) if !text[cut + 1..text.len() - 1].contains(')') => &text[..cut],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_said_without_the_name_of_the_query() {
        let said = |text: &str| ClientError::from(Status::invalid_argument(text)).to_string();
        let id = "0c6f4b0e-6a44-4ab3-9d0f-3f3c4a5b6c7d";
        assert_eq!(said(&format!("table 'nope' not found (query_id={id})")), "table 'nope' not found");
        assert_eq!(said("f(1) (query_id=x) is not the end"), "f(1) (query_id=x) is not the end");
        assert_eq!(said("'(query_id=' is (really) odd)"), "'(query_id=' is (really) odd)");
        assert_eq!(said("two\nlines"), "two\nlines");
    }

    #[test]
    fn codes_tell_what_can_be_done() {
        let kind = |code| ClientError::from(Status::new(code, "x")).kind();
        assert_eq!(kind(Code::InvalidArgument), ErrorKind::Sql);
        assert_eq!(kind(Code::Unauthenticated), ErrorKind::Unauthenticated);
        assert_eq!(kind(Code::Internal), ErrorKind::Server);
        assert_eq!(kind(Code::Cancelled), ErrorKind::Cancelled);
    }
}
