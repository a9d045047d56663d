//! Ingestion: the service behind every protocol, and the native protocol over HTTP.

mod http;
mod service;

pub(crate) use http::REGISTRATION as NATIVE_ROUTES;
pub use service::{AnnouncedBlock, Body, IngestError, IngestLimits, IngestionService};
