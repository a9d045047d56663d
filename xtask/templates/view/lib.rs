//! One row for each `{{Set}}Event`: the view set `{{set}}`.
//!
//! Linked in by `use {{crate_ident}} as _;`.

mod decoder;
pub mod {{set}};

use belvedere_core::registry::Registration;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&{{set}}::REGISTRATION]
}

#[cfg(test)]
mod tests;
