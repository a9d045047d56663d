//! Numbers that instrumented processes report: the view set `measures`, SQL functions about histograms, and
//! pages of the web application that draw them.
//!
//! Linked in by `use belvedere_views_metrics as _;`.

mod decoder;
pub mod functions;
pub mod measures;
pub mod pages;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&measures::REGISTRATION, &functions::REGISTRATION, &pages::of_lake::PAGE, &pages::of_process::PAGE]
}

#[cfg(test)]
mod tests;
