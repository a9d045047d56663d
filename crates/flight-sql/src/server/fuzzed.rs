//! What the service does with bytes that anybody can send, for fuzz targets: nothing of it may stop the process.

use super::decoder::Decoder;
use super::incoming::Pace;
use super::ticket::{self, Statement};
use super::{arguments, away, replica};
use arrow_flight::FlightData;
use arrow_flight::sql::Command;
use bytes::Bytes;

/// Reads a ticket or a handle, with the parameters in it.
pub fn ticket(bytes: &[u8]) {
    let inner = match ticket::of_ticket(bytes) {
        Ok(Command::TicketStatementQuery(ticket)) => Some(ticket.statement_handle),
        Ok(Command::CommandPreparedStatementQuery(command)) => Some(command.prepared_statement_handle),
        _ => None,
    };
    for handle in [Some(Bytes::copy_from_slice(bytes)), inner].into_iter().flatten() {
        if let Ok(statement) = Statement::of_handle(&handle) {
            let _ = away::unharmed(|| arguments::values(&statement.parameters, &statement.sql));
        }
    }
}

/// Reads the messages of a call of DoPut, each a header and a body, and takes the rows for each table that they could be
/// for. How many rows there were.
pub fn put(messages: impl IntoIterator<Item = (Bytes, Bytes)>) -> usize {
    let mut decoder = Decoder::new(Pace::VALUES.unpacked);
    let mut count = 0;
    for (data_header, data_body) in messages {
        let data = FlightData { data_header, data_body, ..FlightData::default() };
        match decoder.take(&data) {
            Ok(None) => {}
            Ok(Some(rows)) => {
                let _ = away::unharmed(|| replica::processes(&rows));
                let _ = away::unharmed(|| replica::streams(&rows));
                let _ = away::unharmed(|| replica::blocks(&rows));
                let _ = away::unharmed(|| replica::payloads(&rows));
                count += rows.num_rows();
            }
            Err(_) => break,
        }
    }
    count
}
