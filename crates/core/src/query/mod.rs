//! SQL over views: what a query may see, how its tables are read, and what leaves the engine.
//!
//! A query reads blocks live: it lists those that can matter, fetches and decodes them in parallel, and
//! hands on batches of rows. Nothing here is as large as the lake: the list is read page by page, a bounded
//! number of blocks is in memory, and what they take is accounted in the engine's memory pool.
//!
//! Invariant: this room knows no wire format; what a block means is its decoder's business.

#[cfg(test)]
mod tests;

mod block_scan;
mod block_table;
mod conditions;
mod context;
mod error;
mod feed;
pub mod functions;
mod lake;
mod output;

pub(crate) use block_table::BlockTable;
pub use conditions::Conditions;
pub use context::{Fault, QueryContext, QueryReport};
pub use error::QueryError;
pub use lake::{Lake, LakeConfig, QueryResult};
pub use output::{documented, documented_schema, is_jsonb};
