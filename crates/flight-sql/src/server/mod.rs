//! FlightSQL: the service that other programs send SQL to.
//!
//! No state is kept between calls. A ticket, and the handle of a prepared statement, says all that is needed to
//! answer it: see `ticket`. So it does not matter which of several servers of a lake is asked next, and nothing has
//! to be thrown away when a client does not come back.
//!
//! Who asks is found out before: an `Arc<Caller>` is in the extensions of each request, or the request is refused.

mod actions;
mod arguments;
mod away;
mod bounds;
mod decoder;
pub mod fuzzed;
mod headers;
mod incoming;
mod ingest;
mod keys;
mod metadata;
mod parameters;
mod placeholders;
mod prepared;
mod replica;
mod rows;
mod service;
mod sql_info;
mod statement;
mod status;
mod ticket;
mod unary;
mod unfolded;

#[cfg(test)]
mod tests;

use arrow_flight::flight_service_server::FlightServiceServer;
use belvedere_core::register_query_routes;
use belvedere_core::service::QueryService;
use belvedere_lake::Routes;
use belvedere_lake::axum::{Router, middleware};
use service::FlightSql;
use std::sync::Arc;

/// Bytes of a message of rows, in both directions: what the published clients allow too.
const ROWS: usize = 100 << 20;

/// Bytes of any other message that comes. The largest that is of use cancels a query by what GetFlightInfo said of it:
/// there the statement is twice, with its parameters.
const QUESTION: usize = 8 << 20;

/// The only call that takes rows.
const PUT: &str = "/arrow.flight.protocol.FlightService/DoPut";

register_query_routes! {
    Routes::new("flight-sql", router)
        .about("FlightSQL: queries, prepared statements, metadata, and copying from other lakes")
        .listeners(&["flight-sql"])
}

/// The service as a router. A message is held in memory until it is whole: so only the call that takes rows takes large
/// ones, and only it may take its time.
pub fn router(queries: Arc<QueryService>) -> Router {
    let service = Arc::new(FlightSql::new(queries));
    let of = |most| {
        FlightServiceServer::from_arc(service.clone())
            .max_decoding_message_size(most)
            .max_encoding_message_size(ROWS)
    };
    tonic::service::Routes::new(of(QUESTION))
        .into_axum_router()
        .layer(middleware::map_request(unary::in_time))
        .route_service(PUT, of(ROWS))
}
