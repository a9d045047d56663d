//! FlightSQL: how other programs ask a lake.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "server")]
use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
#[cfg(feature = "server")]
pub fn registrations() -> Vec<&'static Registration> {
    vec![&server::REGISTRATION]
}
