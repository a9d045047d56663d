//! What instrumented processes log: the view set `log_entries`.
//!
//! Linked in by `use belvedere_views_log as _;`.

mod decoder;
pub mod log_entries;
mod template;

use belvedere_core::registry::Registration;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&log_entries::REGISTRATION]
}
