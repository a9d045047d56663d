//! Routes that plug-ins register.

use axum::Router;
use belvedere_view::Extension;
use std::sync::Arc;

/// HTTP or gRPC routes of a plug-in, around a service: [`IngestionService`](crate::ingest::IngestionService) for
/// ingestion, the query service of `belvedere-core` for queries.
///
/// Callers are authenticated before a request gets here. Ingestion routes need the right to send, query routes the right
/// to read.
#[derive(Debug)]
pub struct Routes<S: 'static> {
    name: &'static str,
    about: &'static str,
    listeners: &'static [&'static str],
    make: fn(Arc<S>) -> Router,
}

impl<S> Routes<S> {
    /// Routes of the protocol of that name, served at the main HTTP address.
    pub const fn new(name: &'static str, make: fn(Arc<S>) -> Router) -> Self {
        Self { name, about: "", listeners: &["http"], make }
    }

    /// Sets a one-line description.
    #[must_use]
    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// Sets the names of the addresses that serve the routes; `http` is the main one. Names that the program has no address
    /// for are ignored.
    #[must_use]
    pub const fn listeners(self, listeners: &'static [&'static str]) -> Self {
        Self { listeners, ..self }
    }

    /// One line about the protocol.
    pub fn description(&self) -> &'static str {
        self.about
    }

    /// Names of the addresses that serve the routes.
    pub fn listener_names(&self) -> &'static [&'static str] {
        self.listeners
    }

    /// Makes the router.
    pub fn router(&self, service: Arc<S>) -> Router {
        (self.make)(service)
    }
}

impl<S: std::fmt::Debug + 'static> Extension for Routes<S> {
    fn kind(&self) -> &'static str {
        "set of routes"
    }

    fn names(&self) -> Vec<&'static str> {
        vec![self.name]
    }
}

/// Registers [`Routes`] around the ingestion service, as the static `REGISTRATION` of the module.
#[macro_export]
macro_rules! register_ingestion_routes {
    ($routes:expr) => {
        $crate::__view::register_extension!(
            REGISTRATION,
            $crate::Routes<$crate::ingest::IngestionService>,
            $routes
        );
    };
}
