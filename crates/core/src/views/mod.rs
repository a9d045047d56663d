//! Views of two kinds: those that are decoded from blocks, and core's own three, which show the catalogue.
//!
//! `blocks`, `processes` and `streams` are registered like everybody else's view sets; what they do, a third
//! party's crate could do too.

mod block_view;
pub mod blocks;
mod paged;
pub mod processes;
pub mod streams;

pub(crate) use block_view::{Scope, block_view_maker};
pub use paged::{GlobalViewMaker, Page, PagedSource, PagedTable};
