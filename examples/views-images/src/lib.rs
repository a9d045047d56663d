//! Pictures that processes sent, screenshots mostly, and how long their frames took: the view sets `images` and
//! `frame_times`, and the SQL function `image_size`.
//!
//! Linked in by `use views_images as _;`.

pub mod frame_times;
pub mod image_size;
pub mod images;

use belvedere_view::Registration;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![&images::REGISTRATION, &frame_times::REGISTRATION, &image_size::REGISTRATION]
}

#[cfg(test)]
mod tests;
