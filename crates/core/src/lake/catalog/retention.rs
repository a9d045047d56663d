//! What retention takes away: blocks, the objects that hold no others, and processes that left nothing.

use super::statement::{Arg, Statement, Step};
use super::{BlockSummary, Catalog, LakeError, locked};

/// Blocks that one transaction takes away.
const STEP: i64 = 5000;

impl Catalog {
    /// The blocks that were received before `cutoff`, up to the `seq` `up_to`.
    pub(crate) async fn blocks_before(&self, cutoff: i64, up_to: i64) -> Result<BlockSummary, LakeError> {
        let mut statement = Statement::new(
            "SELECT COUNT(*) AS blocks, CAST(COALESCE(SUM(payload_size), 0) AS BIGINT) AS payload_bytes, \
             CAST(COALESCE(SUM(nb_objects), 0) AS BIGINT) AS objects, MIN(seq) AS seq_begin, \
             MAX(seq) AS seq_end, MIN(insert_time) AS insert_begin, MAX(insert_time) AS insert_end \
             FROM blocks WHERE insert_time < ",
        );
        statement.bind(Arg::Int(cutoff)).push(" AND seq <= ").bind(Arg::Int(up_to));
        Ok(self.readers.fetch::<BlockSummary>(statement).await?.first().copied().unwrap_or_default())
    }

    /// When the oldest block was received that is kept if the latest ones with `limit` bytes of payload are. `None`
    /// if all are.
    pub(crate) async fn oldest_kept_by_size(&self, limit: u64) -> Result<Option<i64>, LakeError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = Statement::new(
            "SELECT MAX(insert_time) FROM (SELECT insert_time, SUM(payload_size) OVER (ORDER BY seq DESC) AS total \
             FROM blocks) AS b WHERE total > ",
        );
        statement.bind(Arg::Int(limit));
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        // that one goes too
        Ok(rows.first().and_then(|r| r.0).map(|t| t.saturating_add(1)))
    }

    /// Takes some of these blocks away, and discards the objects that hold no block any more. Returns how many
    /// blocks there were to take.
    pub(crate) async fn delete_blocks_before(
        &self,
        cutoff: i64,
        up_to: i64,
        expires: i64,
    ) -> Result<u64, LakeError> {
        let mut faults = Statement::new(
            "DELETE FROM block_faults WHERE block_id IN (SELECT block_id FROM blocks WHERE seq IN (",
        );
        let mut blocks = Statement::new("DELETE FROM blocks WHERE seq IN (");
        for statement in [&mut faults, &mut blocks] {
            statement
                .push("SELECT seq FROM blocks WHERE insert_time < ")
                .bind(Arg::Int(cutoff))
                .push(" AND seq <= ")
                .bind(Arg::Int(up_to))
                .push(" ORDER BY seq LIMIT ")
                .bind(Arg::Int(STEP))
                .push(")");
        }
        faults.push(")");
        // an object that is not sealed still grows
        let unused = "sealed = 1 AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.object_id = objects.object_id) \
                      AND NOT EXISTS (SELECT 1 FROM waiting_blocks w WHERE w.object_id = objects.object_id)";
        let mut discard =
            Statement::new("INSERT INTO garbage (object_key, size, expires) SELECT object_key, 0, ");
        discard
            .bind(Arg::Int(expires))
            .push(" FROM objects WHERE ")
            .push(unused)
            .push(" ON CONFLICT DO NOTHING");
        let mut objects = Statement::new("DELETE FROM objects WHERE ");
        objects.push(unused);
        self.writer
            .transact(vec![Step::Do(faults), Step::Count(blocks), Step::Do(discard), Step::Do(objects)])
            .await
    }

    /// Takes away processes that were announced before `cutoff` and have no block, with their streams. A process
    /// is kept with all of its streams as long as any of them may still send.
    pub(crate) async fn delete_processes_before(&self, cutoff: i64) -> Result<u64, LakeError> {
        let gone = |statement: &mut Statement, id: &str| {
            statement
                .push(id)
                .push(" IN (SELECT p.process_id FROM processes p WHERE p.insert_time < ")
                .bind(Arg::Int(cutoff))
                .push(" AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.process_id = p.process_id)")
                .push(" AND NOT EXISTS (SELECT 1 FROM waiting_blocks w WHERE w.process_id = p.process_id)")
                .push(" AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.process_id = p.process_id AND s.insert_time >= ")
                .bind(Arg::Int(cutoff))
                .push("))");
        };
        let mut tags = Statement::new(
            "DELETE FROM stream_tags WHERE stream_id IN (SELECT stream_id FROM streams WHERE ",
        );
        gone(&mut tags, "process_id");
        tags.push(")");
        let mut streams = Statement::new("DELETE FROM streams WHERE ");
        gone(&mut streams, "process_id");
        let mut processes = Statement::new("DELETE FROM processes WHERE ");
        gone(&mut processes, "process_id");
        let count =
            self.writer.transact(vec![Step::Do(tags), Step::Do(streams), Step::Count(processes)]).await?;
        if count > 0 {
            locked(&self.processes).clear();
            locked(&self.streams).clear();
        }
        Ok(count)
    }
}
