//! Replication from other lakes: processes, streams, blocks and payloads, as rows of tables.
//!
//! | table | required columns |
//! | --- | --- |
//! | `processes`, `streams` | all columns of the view, but `insert_time` |
//! | `blocks` | all stored columns, but `payload_size` and `insert_time` |
//! | `payloads` | `block_id` and `payload`; other columns are not looked at |
//!
//! A row of `blocks` and the row of `payloads` with the same id make a block, in any order. Each is durable when the call is
//! answered, and the block is visible after the second.
//!
//! Insert times are those of this lake, not of the other one: background work relies on them. Ids that exist already change
//! nothing, and count as received.

use super::headers::RequestContext;
use super::incoming::Incoming;
use super::runtime::{catch_panic, on_query_runtime};
use super::service::FlightSql;
use super::{replica, status};
use arrow_flight::sql::CommandStatementIngest;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_lake::LakeError;
use belvedere_lake::access::Right;
use futures::StreamExt;
use tonic::Status;

/// Rows that are inserted concurrently: they share a disk sync.
const CONCURRENT_INSERTS: usize = 256;

/// Rows that are converted together: a row of few bytes can become a process of many.
const ROWS_PER_SLICE: usize = 8192;

/// The tables.
#[derive(Debug, Clone, Copy)]
enum Table {
    Processes,
    Streams,
    Blocks,
    Payloads,
}

impl FlightSql {
    /// Receives the rows of a table. Returns their number.
    pub(super) async fn ingest(
        &self,
        command: &CommandStatementIngest,
        context: &RequestContext,
        mut batches: Incoming,
    ) -> Result<i64, Status> {
        context
            .caller
            .check(Right::Administer)
            .map_err(|e| Status::permission_denied(format!("bulk_ingest requires admin privileges: {e}")))?;
        let table = match command.table.as_str() {
            "processes" => Table::Processes,
            "streams" => Table::Streams,
            "blocks" => Table::Blocks,
            "payloads" => Table::Payloads,
            other => {
                return Err(Status::invalid_argument(format!(
                    "bulk ingest for table {other} not supported: supported are processes, streams, blocks \
                     and payloads"
                )));
            }
        };
        let mut count = 0;
        while let Some(batch) = batches.next().await? {
            for begin in (0..batch.num_rows()).step_by(ROWS_PER_SLICE) {
                let rows = batch.slice(begin, ROWS_PER_SLICE.min(batch.num_rows() - begin));
                count += rows.num_rows() as i64;
                self.insert(table, rows).await?;
            }
        }
        Ok(count)
    }

    async fn insert(&self, table: Table, rows: RecordBatch) -> Result<(), Status> {
        let lake = self.queries().lake().connection().clone();
        let inserted = match table {
            Table::Processes => {
                let processes = self.read_rows(rows, replica::processes).await?;
                let insert = |process| {
                    let lake = lake.clone();
                    async move { lake.insert_process(process).await }
                };
                each(processes, insert).await
            }
            Table::Streams => {
                let streams = self.read_rows(rows, replica::streams).await?;
                let insert = |stream| {
                    let lake = lake.clone();
                    async move { lake.insert_stream(stream).await }
                };
                each(streams, insert).await
            }
            Table::Blocks => {
                let blocks = self.read_rows(rows, replica::blocks).await?;
                let insert = |block| {
                    let lake = lake.clone();
                    async move { lake.insert_announcement(block).await }
                };
                each(blocks, insert).await
            }
            Table::Payloads => {
                let payloads = self.read_rows(rows, replica::payloads).await?;
                let insert = |(block_id, payload)| {
                    let lake = lake.clone();
                    async move { lake.insert_payload(block_id, payload).await }
                };
                each(payloads, insert).await
            }
        };
        inserted.map_err(|e| status::from_lake_error(&e))
    }

    /// Converts rows, which come from a client and may contain anything.
    async fn read_rows<T: Send + 'static>(
        &self,
        rows: RecordBatch,
        read: impl FnOnce(&RecordBatch) -> Result<Vec<T>, Status> + Send + 'static,
    ) -> Result<Vec<T>, Status> {
        on_query_runtime(self.queries().runtime(), move || catch_panic(|| read(&rows))).await
    }
}

async fn each<T, F>(rows: Vec<T>, insert: impl Fn(T) -> F) -> Result<(), LakeError>
where
    F: Future<Output = Result<(), LakeError>>,
{
    let mut insertions =
        futures::stream::iter(rows.into_iter().map(insert)).buffer_unordered(CONCURRENT_INSERTS);
    while let Some(inserted) = insertions.next().await {
        inserted?;
    }
    Ok(())
}
