//! Pictures that processes sent, screenshots mostly: the view set `images` and, with the feature `functions`, the SQL
//! function `image_size`.
//!
//! Linked in by `use belvedere_views_images as _;`.

#[cfg(feature = "functions")]
pub mod image_size;
pub mod images;
pub mod layouts;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    let mut all = vec![&images::REGISTRATION];
    all.extend(layouts::EVENT_LAYOUTS);
    #[cfg(feature = "functions")]
    all.push(&image_size::REGISTRATION);
    all
}

#[cfg(test)]
mod tests;
