//! FlightSQL: the service that other programs send SQL to.
//!
//! No state is kept between calls. A ticket, and the handle of a prepared statement, says all that is needed to
//! answer it: see `ticket`. So it does not matter which of several servers of a lake is asked next, and nothing has
//! to be thrown away when a client does not come back.
//!
//! Who asks is found out before: an `Arc<Caller>` is in the extensions of each request, or the request is refused.

mod actions;
mod arguments;
mod headers;
mod ingest;
mod keys;
mod metadata;
mod placeholders;
mod prepared;
mod replica;
mod rows;
mod service;
mod sql_info;
mod statement;
mod status;
mod ticket;

#[cfg(test)]
mod tests;

use arrow_flight::flight_service_server::FlightServiceServer;
use belvedere_core::axum::Router;
use belvedere_core::query::QueryService;
use belvedere_core::register_routes;
use belvedere_core::registry::{MakeRoutes, Routes};
use service::FlightSql;
use std::sync::Arc;

/// Bytes of a message, in both directions: what the published clients allow too.
const MESSAGE: usize = 100 << 20;

register_routes! {
    Routes {
        name: "flight-sql",
        about: "FlightSQL: queries, prepared statements, metadata, and copying from other lakes",
        listeners: &["flight-sql"],
        make: MakeRoutes::Query(router),
    }
}

/// The service as a router.
pub fn router(queries: Arc<QueryService>) -> Router {
    let service = FlightServiceServer::new(FlightSql::new(queries))
        .max_decoding_message_size(MESSAGE)
        .max_encoding_message_size(MESSAGE);
    tonic::service::Routes::new(service).into_axum_router()
}
