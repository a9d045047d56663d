//! Views of four kinds: those that are decoded from blocks, those that are SQL over others and kept, those that are SQL
//! over others and made anew, and core's own three, which show the catalog.
//!
//! `blocks`, `processes` and `streams` are registered like everybody else's view sets; what they do, a third
//! party's crate could do too.

mod block_view;
pub mod blocks;
mod global_view;
mod instance_view;
pub mod processes;
mod query_view;
mod sql_view;
pub mod streams;

pub(crate) use block_view::block_view_maker;
pub(crate) use global_view::global_view_maker;
pub(crate) use query_view::query_view_maker;
pub(crate) use sql_view::sql_view_maker;
