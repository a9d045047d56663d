//! Partitions: Parquet files that cache the rows of a view instance.
//!
//! A partition covers a range of blocks by their `seq`, the order in which blocks became visible. What is in that
//! range never changes, so the rows of a query are those of the partitions plus those of the blocks that no
//! partition covers, whatever else goes on: `docs/partitions.md` has the argument.
//!
//! | file | idea |
//! | --- | --- |
//! | `instance` | what can be kept: a view set, an instance, where its rows come from |
//! | `order`, `encode`, `dictionary_column`, `file` | rows to a file in the object store |
//! | `builder` | makes partitions of blocks and of SQL, and publishes them |
//! | `chains`, `chain_rows` | partitions of what is decoded along streams: which hold, and how they are made |
//! | `merge` | which partitions become one, and how |
//! | `wanted` | what queries would have liked to find |
//! | `maintenance` | what is to be done, and who does it when |
//! | `retention`, `sweep` | what goes, and when its files do |
//! | `plan` | what a program would make again of a lake that others worked on |
//! | `check` | compares catalog, objects and contents |
//!
//! Invariant: an answer does not depend on which partitions there are.
//! Invariant: no more is in memory than one partition's rows under work, whatever the size of the lake.

mod builder;
mod check;
mod dictionary_column;
mod encode;
mod file;
mod instance_partitions;
mod merge;
mod order;
mod retention;
mod stream_builder;
mod sweep;
#[cfg(test)]
mod tests;
mod view_rows;

pub(crate) use builder::{BuildStats, MaintenanceLimits, PartitionBuilder};
pub use check::{CheckReport, Finding};
pub use instance_partitions::InstancePartitions;
pub use retention::{Expired, Keep, Retention};
pub(crate) use view_rows::ViewRows;
