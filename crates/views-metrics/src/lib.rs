//! Numbers that instrumented processes report: the view set `measures`, and SQL functions about histograms.
//!
//! Linked in by `use belvedere_views_metrics as _;`.

mod decoder;
pub mod functions;
pub mod measures;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&measures::REGISTRATION, &functions::REGISTRATION]
}

#[cfg(test)]
mod tests;
