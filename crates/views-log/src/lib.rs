//! What instrumented processes log: the view sets `log_entries` and `log_stats`.
//!
//! Linked in by `use belvedere_views_log as _;`.

mod decoder;
pub mod layouts;
pub mod log_entries;
pub mod log_stats;
mod template;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    [&log_entries::REGISTRATION, &log_stats::REGISTRATION].into_iter().chain(layouts::EVENT_LAYOUTS).collect()
}

#[cfg(test)]
mod tests;
