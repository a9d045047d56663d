//! What threads and tasks do when: the view sets `thread_spans`, `frame_times` and `async_events`, SQL functions over
//! them, their pictures, and the pages of the web application that draw them.
//!
//! Linked in by `use belvedere_views_spans as _;`.

mod async_decoder;
pub mod async_events;
mod call_site;
pub mod flame;
pub mod frame_times;
pub mod functions;
pub mod pages;
mod thread_decoder;
pub mod thread_spans;
pub mod trace;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use belvedere_view::Registration;

/// The name that it registers under.
pub const CRATE: &str = env!("CARGO_PKG_NAME");

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    vec![
        &thread_spans::REGISTRATION,
        &frame_times::REGISTRATION,
        &async_events::REGISTRATION,
        &functions::REGISTRATION,
        &pages::timeline::PAGE,
        &pages::flame::PAGE,
    ]
}
