//! Belvedere's core: SQL over views, partitions, and the assembly that views plug into.
//!
//! Instrumented processes send what happens in them in *blocks*; the lake keeps the blocks as they came.
//! *Views* are functions from blocks to rows; SQL is the way to look. Every view set is a plug-in, core's
//! own three (`blocks`, `processes`, `streams`) included.
//!
//! A lake embeds in a program or a test:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), belvedere_core::Error> {
//! let lake = belvedere_core::Lake::in_memory().await?;
//! let rows = lake.sql("SELECT view_set_name FROM list_view_sets() ORDER BY 1").await?;
//! assert_eq!(rows[0].num_rows(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! The rooms, each of which uses those below it only:
//!
//! | room | what it knows |
//! | --- | --- |
//! | [`service`] | whose query it is, whose turn, what it may use |
//! | [`isolation`] | processes that queries run in, and what is said through their pipes |
//! | [`lake`] | the lake as one value; background work |
//! | [`assembly`] | how what is registered becomes tables |
//! | `views` | views over blocks, views that are SQL, the catalog's own |
//! | [`query`] | sessions, planning, functions, limits, what leaves |
//! | `partitions` | Parquet files: what they cover, how they are built, merged, checked and retired |
//! | `scan` | reading partitions, and decoding the blocks that none covers |
//! | `registry` | what crates registered, checked and in order |
//! | `metrics` | what is counted |
//! | `parser` | the engine's SQL parser, with a bound on its work |
//! | `error` | what can go wrong: [`Error`], [`QueryError`](query::QueryError), [`AssemblyError`](assembly::AssemblyError) |

pub mod assembly;
mod error;
#[cfg(test)]
mod fixture;
pub mod isolation;
pub mod lake;
mod metrics;
mod parser;
mod partitions;
pub mod query;
mod registry;
mod scan;
pub mod service;
mod views;

pub use error::Error;
pub use lake::{Lake, LakeConfig};

// plug-ins use the very versions that core was built with
pub use arrow;
pub use datafusion;
#[doc(hidden)]
pub use {belvedere_lake as __lake, belvedere_view as __view};

/// What core itself registers, as plain values.
pub fn registrations() -> Vec<&'static belvedere_view::Registration> {
    vec![
        &views::blocks::REGISTRATION,
        &views::blocks::MAKER,
        &views::processes::REGISTRATION,
        &views::processes::MAKER,
        &views::streams::REGISTRATION,
        &views::streams::MAKER,
        &query::functions::REGISTRATION,
        &query::functions::deny_rules::REGISTRATION,
        &query::functions::queries::REGISTRATION,
        &query::functions::blocks::REGISTRATION,
        &query::functions::blocks::native_parser::REGISTRATION,
        &query::functions::retire::REGISTRATION,
    ]
}
