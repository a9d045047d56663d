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
//! # async fn main() -> anyhow::Result<()> {
//! let lake = belvedere_core::Lake::in_memory().await?;
//! let rows = lake.sql("SELECT view_set_name FROM list_view_sets() ORDER BY 1").await?;
//! assert_eq!(rows[0].num_rows(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! | room | what it knows |
//! | --- | --- |
//! | [`assembly`] | what crates register, and how it becomes tables |
//! | [`views`] | views over blocks, and the catalog's own |
//! | [`query`] | SQL: what is read, filtered, accounted, and how it leaves |
//! | [`partitions`] | rows that are kept: Parquet files, what they cover, when they are made and go |

pub mod assembly;
#[cfg(test)]
mod fixture;
mod metrics;
pub mod partitions;
pub mod query;
pub mod views;

pub use query::{Lake, LakeConfig, QueryResult};

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
        &query::functions::denials::REGISTRATION,
        &query::functions::queries::REGISTRATION,
        &query::functions::blocks::REGISTRATION,
        &query::functions::blocks::native_parser::REGISTRATION,
        &query::functions::retire::REGISTRATION,
    ]
}
