//! One row for each `{{Set}}Event`: the view set `{{set}}`.
//!
//! Linked in by `use {{crate_ident}} as _;`.

mod decoder;
pub mod {{set}};

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&{{set}}::REGISTRATION]
}

#[cfg(test)]
mod tests;
