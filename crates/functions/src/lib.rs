//! SQL functions on JSONB, on properties, for colors and between numbers.
//!
//! A plug-in like any other: linked in by `use belvedere_functions as _;`.

mod arg_column;
pub mod color;
mod color_scales;
#[doc(hidden)]
pub mod fuzzed;
pub mod interpolate;
pub mod jsonb;
#[cfg(test)]
mod odd_keys;
pub mod properties;
mod scalar_function;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&color::REGISTRATION, &interpolate::REGISTRATION, &jsonb::REGISTRATION, &properties::REGISTRATION]
}
