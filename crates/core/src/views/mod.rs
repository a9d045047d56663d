//! Views of three kinds: those that are decoded from blocks, those that are SQL over others, and core's own three,
//! which show the catalogue.
//!
//! `blocks`, `processes` and `streams` are registered like everybody else's view sets; what they do, a third
//! party's crate could do too.

mod block_view;
pub mod blocks;
mod paged;
pub mod processes;
mod sql_view;
pub mod streams;
mod user_views;

pub(crate) use block_view::block_view_maker;
pub use paged::{GlobalViewMaker, Page, PagedSource, PagedTable};
pub(crate) use sql_view::{extract, merge, sql_view_maker};
pub(crate) use user_views::Views;
