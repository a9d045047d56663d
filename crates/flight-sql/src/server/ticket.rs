//! Tickets, and the handles of prepared statements.
//!
//! A handle is either the UTF-8 text of a statement, which some clients build themselves (the Python client does), or
//! [`MAGIC`] and a [`Statement`]: the text with everything else that the answer depends on. A ticket gives no rights: it
//! says what is asked for, never who may have it.

use super::headers::RequestOptions;
use arrow_flight::sql::{Any, Command, TicketStatementQuery};
use belvedere_model::time::TimeRange;
use bytes::Bytes;
use prost::Message;
use tonic::Status;
use uuid::Uuid;

/// Prefix of handles that are not plain SQL: no statement begins with NUL.
pub(super) const MAGIC: &[u8] = b"\0belvedere\x01";

/// A statement, with everything that its answer depends on.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Statement {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    #[prost(sfixed64, optional, tag = "2")]
    pub(super) begin: Option<i64>,
    #[prost(sfixed64, optional, tag = "3")]
    pub(super) end: Option<i64>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) limit: Option<u64>,
    #[prost(bool, optional, tag = "5")]
    pub(super) keeps_dictionaries: Option<bool>,
    /// Sixteen bytes, or none: the id that the query will have, so that it can be cancelled by its ticket.
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) query_id: Bytes,
    /// Values of parameters, see `parameters`. Number 7 was an older form of them.
    #[prost(bytes = "bytes", tag = "8")]
    pub(super) parameters: Bytes,
}

impl Statement {
    /// A statement without options.
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    /// Parses a handle of either kind.
    pub(super) fn from_handle(handle: &[u8]) -> Result<Self, Status> {
        if let Some(message) = handle.strip_prefix(MAGIC) {
            return Self::decode(message)
                .map_err(|e| Status::invalid_argument(format!("the ticket is not from this server: {e}")));
        }
        let text = std::str::from_utf8(handle).map_err(|e| {
            Status::invalid_argument(format!("the ticket is neither SQL in UTF-8 nor from this server: {e}"))
        })?;
        Ok(Self::new(text))
    }

    /// The handle: the plain text if there are no options.
    pub(super) fn to_handle(&self) -> Bytes {
        if *self == Self::new(self.sql.as_str()) {
            return Bytes::from(self.sql.clone().into_bytes());
        }
        let mut handle = MAGIC.to_vec();
        handle.extend(self.encode_to_vec());
        handle.into()
    }

    /// Overrides the options that headers set.
    #[must_use]
    pub(super) fn with(mut self, options: &RequestOptions) -> Self {
        let TimeRange { begin, end } = options.range;
        self.begin = begin.or(self.begin);
        self.end = end.or(self.end);
        self.limit = options.limit.or(self.limit);
        self.keeps_dictionaries = options.keeps_dictionaries.or(self.keeps_dictionaries);
        self
    }

    /// The id that the query will have.
    pub(super) fn query_id(&self) -> Option<Uuid> {
        Uuid::from_slice(&self.query_id).ok()
    }
}

/// The command of a descriptor.
pub(super) fn command_from_descriptor(bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes)
        .map_err(|e| Status::invalid_argument(format!("DecodeError: the command is not protobuf: {e}")))?;
    Command::try_from(any).map_err(|e| Status::invalid_argument(format!("the command can't be read: {e}")))
}

/// The command of a ticket. It may also be a `TicketStatementQuery` that is not wrapped: published clients send both.
pub(super) fn command_from_ticket(bytes: &[u8]) -> Result<Command, Status> {
    if let Ok(any) = Any::decode(bytes)
        && any.type_url.starts_with("type.googleapis.com/")
    {
        return Command::try_from(any)
            .map_err(|e| Status::invalid_argument(format!("the ticket can't be read: {e}")));
    }
    TicketStatementQuery::decode(bytes)
        .map(Command::TicketStatementQuery)
        .map_err(|e| Status::invalid_argument(format!("DecodeError: the ticket is not protobuf: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_flight::sql::ProstMessageExt;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_handle_is_read_as_it_was_written(
            sql in "[^\0].*",
            begin in any::<Option<i64>>(),
            limit in any::<Option<u64>>(),
            id in any::<[u8; 16]>(),
        ) {
            let statement =
                Statement { begin, limit, query_id: id.to_vec().into(), ..Statement::new(sql.as_str()) };
            prop_assert_eq!(Statement::from_handle(&statement.to_handle()).unwrap(), statement);
            let text = Statement::new(sql.as_str());
            prop_assert_eq!(text.to_handle(), sql.as_bytes());
            prop_assert_eq!(Statement::from_handle(sql.as_bytes()).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_a_ticket_or_an_error(bytes in any::<Vec<u8>>()) {
            if let Ok(Command::TicketStatementQuery(ticket)) = command_from_ticket(&bytes) {
                let _ = Statement::from_handle(&ticket.statement_handle);
            }
        }
    }

    #[test]
    fn a_ticket_may_be_wrapped_or_bare() {
        let opaque = Statement { limit: Some(3), ..Statement::new("SELECT 1") };
        for handle in [Bytes::from_static(b"SELECT 1"), opaque.to_handle()] {
            let ticket = TicketStatementQuery { statement_handle: handle };
            let expected = Command::TicketStatementQuery(ticket.clone());
            assert_eq!(command_from_ticket(&ticket.encode_to_vec()).unwrap(), expected);
            assert_eq!(command_from_ticket(&ticket.as_any().encode_to_vec()).unwrap(), expected);
        }
        assert_eq!(
            command_from_ticket(&[]).unwrap(),
            Command::TicketStatementQuery(TicketStatementQuery::default())
        );
    }

    #[test]
    fn headers_win_over_the_ticket_one_by_one() {
        let statement = Statement { begin: Some(1), end: Some(2), limit: Some(3), ..Statement::default() };
        let options =
            RequestOptions { range: TimeRange { begin: None, end: Some(9) }, ..RequestOptions::default() };
        let merged = statement.with(&options);
        assert_eq!((merged.begin, merged.end, merged.limit), (Some(1), Some(9), Some(3)));
    }
}
