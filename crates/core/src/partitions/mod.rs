//! Partitions: Parquet files that cache the rows of a view instance.
//!
//! A partition covers a range of blocks by their `seq`, the order in which blocks became visible. What is in that
//! range never changes, so the rows of a query are those of the partitions plus those of the blocks that no
//! partition covers, whatever else goes on: `docs/partitions.md` has the argument.
//!
//! | file | idea |
//! | --- | --- |
//! | `view_rows` | what partitions are made of: the rows of views, as the modules above give them |
//! | `order`, `encode`, `dictionary_column`, `file` | rows to a file in the object store |
//! | `builder`, `block_rows` | makes partitions of blocks and of SQL, and publishes them |
//! | `lease`, `limits` | who works on what, with how much |
//! | `postponed` | blocks that are not there, and are tried again later |
//! | `last_copies` | partitions with rows that their blocks don't give any more, and ones that lack rows |
//! | `stream_builder` | makes partitions of what is decoded along streams |
//! | `instance_partitions` | the partitions of one instance, by hand: for programs and tests |
//! | `listing` | all partitions, page by page |
//! | `merge` | which partitions become one, and how |
//! | `retention`, `sweep` | what goes, and when its files do |
//! | `check`, `check_objects`, `digest` | compares catalog, objects and contents |
//!
//! Invariant: an answer does not depend on which partitions there are.
//! Invariant: no more is in memory than one partition's rows under work, whatever the size of the lake.

mod adopt;
mod block_rows;
mod builder;
mod check;
mod check_objects;
#[cfg(test)]
mod damaged_file_tests;
mod dictionary_column;
mod digest;
mod encode;
mod file;
mod instance_partitions;
mod last_copies;
mod lease;
mod limits;
mod listing;
#[cfg(test)]
mod loss_tests;
mod merge;
mod order;
mod postponed;
mod retention;
mod stream_builder;
mod sweep;
#[cfg(test)]
mod tests;
mod view_rows;

pub(crate) use builder::PartitionBuilder;
pub(crate) use check::CheckPlan;
pub use check::{CheckReport, Finding};
pub use instance_partitions::InstancePartitions;
pub(crate) use last_copies::Retired;
pub(crate) use limits::{BuildStats, MaintenanceLimits};
pub(crate) use listing::all_partitions;
pub use retention::{Expired, Keep, Retention};
pub(crate) use view_rows::ViewRows;
