//! Copying from other lakes: processes, streams, blocks and payloads, as tables of columns.
//!
//! | table | what is needed |
//! | --- | --- |
//! | `processes`, `streams` | all columns of the view, but `insert_time` |
//! | `blocks` | all stored columns, but `payload_size` and `insert_time` |
//! | `payloads` | `block_id` and `payload`; other columns are not looked at |
//!
//! A row of `blocks` and the row of `payloads` with its id make a block together, in whatever order they come; each is
//! durable when the call is answered, and the block is in queries from the second on.
//!
//! Insert times are when this lake received a row, not what the other lake says: what background work has done is
//! told by them. Ids that are there already change nothing, and count as received.

use super::away::{away, unharmed};
use super::headers::Asker;
use super::incoming::Incoming;
use super::service::FlightSql;
use super::{replica, status};
use arrow_flight::sql::CommandStatementIngest;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_lake::LakeError;
use belvedere_lake::access::Right;
use futures::StreamExt;
use tonic::Status;

/// Rows that are inserted at once: those that wait together share a disk sync.
const SIDE_BY_SIDE: usize = 256;

/// Rows that are taken apart at once: a row of few bytes can become a process of many.
const AT_ONCE: usize = 8192;

/// What can be copied.
#[derive(Debug, Clone, Copy)]
enum Table {
    Processes,
    Streams,
    Blocks,
    Payloads,
}

impl FlightSql {
    /// Takes the rows of a table; how many came.
    pub(super) async fn ingest(
        &self,
        command: &CommandStatementIngest,
        asker: &Asker,
        mut batches: Incoming,
    ) -> Result<i64, Status> {
        asker
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
            for begin in (0..batch.num_rows()).step_by(AT_ONCE) {
                let rows = batch.slice(begin, AT_ONCE.min(batch.num_rows() - begin));
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
                let processes = self.apart(rows, replica::processes).await?;
                let insert = |process| {
                    let lake = lake.clone();
                    async move { lake.insert_process(process).await }
                };
                each(processes, insert).await
            }
            Table::Streams => {
                let streams = self.apart(rows, replica::streams).await?;
                let insert = |stream| {
                    let lake = lake.clone();
                    async move { lake.insert_stream(stream).await }
                };
                each(streams, insert).await
            }
            Table::Blocks => {
                let blocks = self.apart(rows, replica::blocks).await?;
                let insert = |block| {
                    let lake = lake.clone();
                    async move { lake.insert_announcement(block).await }
                };
                each(blocks, insert).await
            }
            Table::Payloads => {
                let payloads = self.apart(rows, replica::payloads).await?;
                let insert = |(block_id, payload)| {
                    let lake = lake.clone();
                    async move { lake.insert_payload(block_id, payload).await }
                };
                each(payloads, insert).await
            }
        };
        inserted.map_err(|e| status::of_lake(&e))
    }

    /// Takes rows apart, which are a client's and can have anything in them.
    async fn apart<T: Send + 'static>(
        &self,
        rows: RecordBatch,
        read: impl FnOnce(&RecordBatch) -> Result<Vec<T>, Status> + Send + 'static,
    ) -> Result<Vec<T>, Status> {
        away(self.queries().runtime(), move || unharmed(|| read(&rows))).await
    }
}

async fn each<T, F>(rows: Vec<T>, insert: impl Fn(T) -> F) -> Result<(), LakeError>
where
    F: Future<Output = Result<(), LakeError>>,
{
    let mut insertions = futures::stream::iter(rows.into_iter().map(insert)).buffer_unordered(SIDE_BY_SIDE);
    while let Some(inserted) = insertions.next().await {
        inserted?;
    }
    Ok(())
}
