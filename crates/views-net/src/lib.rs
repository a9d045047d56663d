//! What network traffic is made of: the view set `net_spans`.
//!
//! Linked in by `use belvedere_views_net as _;`.

mod decoder;
pub mod net_spans;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&net_spans::REGISTRATION]
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
