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

use super::headers::Asker;
use super::service::FlightSql;
use super::{replica, status};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::CommandStatementIngest;
use belvedere_core::access::Right;
use belvedere_core::lake::LakeError;
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

/// Rows that are inserted at once: those that wait together share a disk sync.
const SIDE_BY_SIDE: usize = 256;

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
        mut batches: FlightRecordBatchStream,
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
                    "bulk ingest for table {other} not supported: processes, streams, blocks and payloads are"
                )));
            }
        };
        let lake = self.queries().lake().connection().clone();
        let mut count = 0;
        while let Some(batch) = batches.try_next().await.map_err(status::of_data)? {
            count += batch.num_rows() as i64;
            let inserted = match table {
                Table::Processes => {
                    let insert = |process| {
                        let lake = lake.clone();
                        async move { lake.insert_process(process).await }
                    };
                    each(replica::processes(&batch)?, insert).await
                }
                Table::Streams => {
                    let insert = |stream| {
                        let lake = lake.clone();
                        async move { lake.insert_stream(stream).await }
                    };
                    each(replica::streams(&batch)?, insert).await
                }
                Table::Blocks => {
                    let insert = |block| {
                        let lake = lake.clone();
                        async move { lake.insert_announcement(block).await }
                    };
                    each(replica::blocks(&batch)?, insert).await
                }
                Table::Payloads => {
                    let insert = |(block_id, payload)| {
                        let lake = lake.clone();
                        async move { lake.insert_payload(block_id, payload).await }
                    };
                    each(replica::payloads(&batch)?, insert).await
                }
            };
            inserted.map_err(|e| status::of_lake(&e))?;
        }
        Ok(count)
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
