//! What is registered, checked and in order.
//!
//! [`Assembly::new`] is a pure function from a list of registrations to an ordered assembly or an error that names crates
//! and view sets; `inventory` only supplies the list.
//!
//! Invariant: no view set is known by name in here, and core's own come through the same door.

mod assembly;
mod checks;
mod dependencies;
mod nearest;
mod sql_text;

pub use assembly::Assembly;
pub(crate) use nearest::nearest;
pub(crate) use sql_text::{PARTIALS, tables_of};
