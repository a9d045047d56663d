//! The FlightSQL service.
//!
//! No state is kept between calls. A ticket, and the handle of a prepared statement, contains everything that the answer
//! needs, see `ticket`. So any of several servers of a lake can answer the next call, and nothing must be cleaned up when
//! a client does not come back.
//!
//! Callers are authenticated before: a request without an `Arc<Caller>` in its extensions is refused.

mod actions;
mod arguments;
mod bounds;
mod deadline;
mod decoder;
mod expanded_size;
pub mod fuzzing;
mod headers;
mod incoming;
mod ingest;
mod metadata;
mod parameters;
mod placeholders;
mod prepared;
mod replica;
mod rows;
mod runtime;
mod service;
mod sql_info;
mod sql_type;
mod statement;
mod status;
mod table_keys;
mod ticket;

#[cfg(test)]
mod tests;

use arrow_flight::flight_service_server::FlightServiceServer;
use belvedere_core::register_query_routes;
use belvedere_core::service::QueryService;
use belvedere_lake::Routes;
use belvedere_lake::axum::{Router, middleware};
use service::FlightSql;
use std::sync::Arc;

/// Size of a message of rows, in both directions. The published clients have the same limit.
const MAX_ROWS_MESSAGE_BYTES: usize = 100 << 20;

/// Size of any other incoming message. The largest useful one cancels a query by its FlightInfo, which has the statement
/// twice, with its parameters.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// The path of DoPut, the only call that accepts rows.
const DO_PUT: &str = "/arrow.flight.protocol.FlightService/DoPut";

register_query_routes! {
    Routes::new("flight-sql", router)
        .about("FlightSQL: queries, prepared statements, metadata, and copying from other lakes")
        .listeners(&["flight-sql"])
}

/// The service as a router. A message is in memory until it is complete. So only DoPut accepts large messages, and only it
/// has no deadline for all of them.
pub fn router(queries: Arc<QueryService>) -> Router {
    let service = Arc::new(FlightSql::new(queries));
    let with_limit = |max_bytes| {
        FlightServiceServer::from_arc(service.clone())
            .max_decoding_message_size(max_bytes)
            .max_encoding_message_size(MAX_ROWS_MESSAGE_BYTES)
    };
    tonic::service::Routes::new(with_limit(MAX_REQUEST_BYTES))
        .into_axum_router()
        .layer(middleware::map_request(deadline::with_deadline))
        .route_service(DO_PUT, with_limit(MAX_ROWS_MESSAGE_BYTES))
}
