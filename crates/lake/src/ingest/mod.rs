//! Ingestion: the service behind every protocol, and the native protocol over HTTP.

mod body;
#[cfg(test)]
mod body_tests;
mod http;
mod memory;
mod service;

pub(crate) use http::REGISTRATION as NATIVE_ROUTES;
pub use memory::Reservation;
pub use service::{AnnouncedBlock, Body, IngestError, IngestLimits, IngestionService};
