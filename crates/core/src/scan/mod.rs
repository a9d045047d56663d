//! Scans: the rows of view instances, read from partitions and decoded from the blocks that no partition covers.
//!
//! The blocks are listed page by page, fetched and decoded in parallel, and handed on in batches. Nothing here is as
//! large as the lake: a bounded number of blocks is in memory, and what they take is accounted in the query's memory.
//!
//! | file | idea |
//! | --- | --- |
//! | `context`, `report` | what a scan goes by, and what it says of its work |
//! | `instance` | a view instance: its view set, which blocks it is about, where its rows come from |
//! | `conditions` | what WHERE says about ids and times |
//! | `coverage` | which partitions a query reads, and which blocks they leave |
//! | `stream_partitions` | the same for rows that are decoded along streams |
//! | `view_table` | a view instance as a table of the engine: partitions and blocks together |
//! | `block_queue`, `block_scan` | blocks that are decoded each by itself |
//! | `stream_scan` | blocks of streams that are decoded one after the other |
//! | `partition_scan`, `range_cache`, `lost_files` | Parquet files |
//! | `file_sums`, `verified_files` | their checksums |
//! | `faults` | blocks that can't be read: counted, logged, told |
//! | `jit_requests` | which partitions queries would have liked to find |
//!
//! Invariant: this module knows no SQL text and no wire format.

mod block_queue;
mod block_scan;
mod conditions;
mod conform;
mod context;
mod coverage;
mod faults;
mod file_sums;
mod instance;
mod jit_requests;
mod leaf_exec;
mod lost_files;
mod partition_scan;
mod range_cache;
mod report;
mod row_bytes;
mod stream_partitions;
mod stream_scan;
mod verified_files;
mod view_table;

pub(crate) use conditions::{Conditions, range_predicate};
pub(crate) use conform::{ConformExec, conform};
pub(crate) use context::{ScanContext, ScanResources};
pub(crate) use coverage::Coverage;
pub(crate) use faults::note_fault;
pub(crate) use file_sums::{FileSums, SumsWriter};
#[doc(hidden)]
pub use instance::Instance;
pub(crate) use instance::{RowSource, Scope, hash_of};
pub(crate) use jit_requests::JitRequests;
pub(crate) use lost_files::{SeenFiles, what_is_wrong_with_file};
pub(crate) use partition_scan::{PartitionScan, SIDE_BY_SIDE, STORE, runs};
pub(crate) use range_cache::RangeCache;
pub(crate) use report::ReportState;
pub use report::{Fault, QueryReport, ScanPlan};
pub(crate) use row_bytes::row_bytes;
pub(crate) use stream_partitions::{StreamPiece, StreamPlan, plan_streams};
pub(crate) use stream_scan::stream_blocks;
pub(crate) use view_table::ViewTable;

use belvedere_lake::{LakeConnection, LakeError};
use belvedere_model::BlockRecord;
use belvedere_model::transit::Cause;
use belvedere_view::decoder::DecodeError;
use bytes::Bytes;

/// The payload of a block, or why it can't be read: it is not there, or its checksum is wrong. Fails if the lake does, and
/// so if the store can't be reached.
pub(crate) async fn fetch_payload(
    connection: &LakeConnection,
    block: &BlockRecord,
) -> Result<Result<Bytes, DecodeError>, LakeError> {
    match connection.payload(block).await {
        Ok(payload) => Ok(Ok(payload)),
        Err(LakeError::Missing(why)) => Ok(Err(DecodeError::Missing(Cause::new(why.to_string())))),
        Err(LakeError::Corrupt(why)) => Ok(Err(DecodeError::Damaged(Cause::new(why.to_string())))),
        Err(e) => Err(e),
    }
}

/// Blocks of one page of a list: for tests that want several.
#[cfg(test)]
pub(crate) const BLOCKS_OF_A_PAGE: u32 = block_queue::PAGE;
