//! Routes that crates bring along.

use axum::Router;
use belvedere_view::Extension;
use std::sync::Arc;

/// HTTP or gRPC routes of one crate, around a service: [`IngestionService`](crate::ingest::IngestionService) for what
/// programs send, the query service of `belvedere-core` for what they ask.
///
/// The program checks who a caller is before a request gets here: callers of ingestion routes need the right to send,
/// callers of query routes the right to read.
#[derive(Debug)]
pub struct Routes<S: 'static> {
    name: &'static str,
    about: &'static str,
    listeners: &'static [&'static str],
    make: fn(Arc<S>) -> Router,
}

impl<S> Routes<S> {
    /// Routes of the protocol of that name, served at the program's main HTTP address.
    pub const fn new(name: &'static str, make: fn(Arc<S>) -> Router) -> Self {
        Self { name, about: "", listeners: &["http"], make }
    }

    /// The same with a description in one line.
    #[must_use]
    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// The same, served at the addresses of these names; `http` is the main one. Those that the program has no address
    /// for are left out.
    #[must_use]
    pub const fn listeners(self, listeners: &'static [&'static str]) -> Self {
        Self { listeners, ..self }
    }

    /// What the protocol is, in one line.
    pub fn description(&self) -> &'static str {
        self.about
    }

    /// Names of the addresses that the routes are served at.
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

/// Registers [`Routes`] around the ingestion service, and keeps them as the static `REGISTRATION` of the module.
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
