//! SQL over views: what a query may see, how its tables are read, and what leaves the engine.
//!
//! A table is the rows of the partitions that there are, plus those of the blocks that no partition covers: these are
//! listed, fetched and decoded in parallel, and handed on in batches. Nothing here is as large as the lake: the list
//! is read page by page, a bounded number of blocks is in memory, and what they take is accounted in the engine's
//! memory pool.
//!
//! Invariant: this room knows no wire format; what a block means is its decoder's business.

#[cfg(test)]
mod tests;

mod amplifiers;
mod block_scan;
mod chain_scan;
mod client;
mod complexity;
mod conditions;
mod conform;
mod context;
mod denials;
mod engine;
mod error;
mod feed;
pub mod formats;
pub mod functions;
#[doc(hidden)]
pub mod fuzzed;
mod information_schema;
mod interrupt;
mod lake;
mod memory;
mod output;
mod partition_scan;
mod placeholders;
mod range_cache;
mod refused;
mod running;
mod service;
mod view_table;

pub(crate) use block_scan::note_fault;
pub(crate) use chain_scan::chain_feed;
pub use client::client_info;
pub use complexity::check_length;
pub use conditions::Conditions;
pub use conform::conformed;
pub(crate) use conform::{ConformExec, conform};
pub use context::{Fault, QueryContext, QueryReport, ScanPlan};
pub use error::{QueryError, engine_error};
pub use lake::{Lake, LakeConfig, QueryResult};
pub use output::{documented, documented_schema, is_jsonb, plain_schema};
pub(crate) use partition_scan::{PartitionScan, SIDE_BY_SIDE, runs};
pub use placeholders::numbered_placeholders;
pub use service::{Answer, AnswerTypes, ClientInfo, Description, QueryLimits, QueryRequest, QueryService};
pub(crate) use view_table::{Coverage, ViewTable, external, range_predicate};
