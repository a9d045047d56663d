//! Entry points for fuzz targets: what the service does with bytes from clients. Nothing of it may panic.

use super::decoder::Decoder;
use super::incoming::PutLimits;
use super::ticket::{self, Statement};
use super::{arguments, replica, runtime};
use arrow_flight::FlightData;
use arrow_flight::sql::Command;
use bytes::Bytes;

/// Parses a ticket or a handle, with the parameters in it.
pub fn ticket(bytes: &[u8]) {
    let inner = match ticket::command_from_ticket(bytes) {
        Ok(Command::TicketStatementQuery(ticket)) => Some(ticket.statement_handle),
        Ok(Command::CommandPreparedStatementQuery(command)) => Some(command.prepared_statement_handle),
        _ => None,
    };
    for handle in [Some(Bytes::copy_from_slice(bytes)), inner].into_iter().flatten() {
        if let Ok(statement) = Statement::from_handle(&handle) {
            let _ = runtime::catch_panic(|| arguments::values(&statement.parameters, &statement.sql));
        }
    }
}

/// Decodes the messages of a call of DoPut, each a header and a body, and converts the rows for each table. Returns the
/// number of rows.
pub fn put(messages: impl IntoIterator<Item = (Bytes, Bytes)>) -> usize {
    let mut decoder = Decoder::new(PutLimits::VALUES.max_unpacked_bytes);
    let mut count = 0;
    for (data_header, data_body) in messages {
        let data = FlightData { data_header, data_body, ..FlightData::default() };
        match decoder.decode(&data) {
            Ok(None) => {}
            Ok(Some(rows)) => {
                let _ = runtime::catch_panic(|| replica::processes(&rows));
                let _ = runtime::catch_panic(|| replica::streams(&rows));
                let _ = runtime::catch_panic(|| replica::blocks(&rows));
                let _ = runtime::catch_panic(|| replica::payloads(&rows));
                count += rows.num_rows();
            }
            Err(_) => break,
        }
    }
    count
}
