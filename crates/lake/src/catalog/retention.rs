//! Deletes blocks that are too old or too many, and the objects that hold no other blocks.
//!
//! Processes and streams stay: clients announce them once and may still send blocks.
//!
//! The ids of deleted blocks stay, too, as long as a partition may have their rows: a sender that did not hear the answer
//! sends a block again, even days later, and its rows would be there twice. See `forget_retired` in the module `write`.

use super::statement::{Arg, Statement, Step};
use super::{BlockSummary, Catalog, LakeError};

/// Blocks that one transaction deletes: writers wait meanwhile.
const BLOCKS_PER_STEP: i64 = 5000;

/// The first number of a block that a partition may have rows of; greater than all if there are no partitions.
const FIRST_IN_A_PARTITION: &str = "(SELECT COALESCE(MIN(seq_begin), 9223372036854775807) FROM partitions)";

/// Selects blocks to delete: of those up to `up_to`, the ones received before `cutoff` or up to `beyond_size`. Of those that
/// could not be read, only the ones received before `faults_before`.
#[derive(Debug, Clone, Copy)]
pub struct ExpiredBlocks {
    /// Greatest `seq` that may be deleted.
    pub up_to: i64,
    /// Received before this, nanoseconds since the Unix epoch.
    pub cutoff: i64,
    /// Or with a `seq` up to this one, because the lake is too large.
    pub beyond_size: i64,
    /// Received before this, a block goes even if a view set could not read it: its rows would not be kept any more.
    pub faults_before: i64,
}

impl ExpiredBlocks {
    fn condition(self, statement: &mut Statement) {
        statement
            .push("seq <= ")
            .bind(Arg::Int(self.up_to))
            .push(" AND (insert_time < ")
            .bind(Arg::Int(self.cutoff))
            .push(" OR seq <= ")
            .bind(Arg::Int(self.beyond_size))
            .push(") AND EXISTS (SELECT 1 FROM objects o WHERE o.object_id = blocks.object_id AND o.sealed = 1)")
            // its rows are in no file
            .push(" AND (insert_time < ")
            .bind(Arg::Int(self.faults_before))
            .push(" OR NOT EXISTS (SELECT 1 FROM block_faults f WHERE f.block_id = blocks.block_id))");
    }
}

impl Catalog {
    /// Sums over the blocks to delete. Blocks in an object that still grows are not among them: the next start would read
    /// the object and add them again.
    pub async fn expired_blocks(&self, expired: ExpiredBlocks) -> Result<BlockSummary, LakeError> {
        let mut statement = Statement::new(
            "SELECT COUNT(*) AS blocks, CAST(COALESCE(SUM(payload_size), 0) AS BIGINT) AS payload_bytes, \
             CAST(COALESCE(SUM(nb_objects), 0) AS BIGINT) AS objects, MIN(seq) AS seq_begin, \
             MAX(seq) AS seq_end, MIN(insert_time) AS insert_begin, MAX(insert_time) AS insert_end \
             FROM blocks WHERE ",
        );
        expired.condition(&mut statement);
        Ok(self.readers.fetch::<BlockSummary>(statement).await?.first().copied().unwrap_or_default())
    }

    /// `seq` of the last block to delete if the latest blocks with `limit` bytes of payload stay; 0 if all stay.
    pub async fn last_beyond_size(&self, limit: u64) -> Result<i64, LakeError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = Statement::new(
            "SELECT MAX(seq) FROM (SELECT seq, SUM(payload_size) OVER (ORDER BY seq DESC) AS total \
             FROM blocks) AS b WHERE total > ",
        );
        statement.bind(Arg::Int(limit));
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        Ok(rows.first().and_then(|r| r.0).unwrap_or(0))
    }

    /// `seq` of the last block that was received before `cutoff`; 0 without any.
    pub async fn last_received_before(&self, cutoff: i64) -> Result<i64, LakeError> {
        let mut statement = Statement::new("SELECT MAX(seq) FROM blocks WHERE insert_time < ");
        statement.bind(Arg::Int(cutoff));
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        Ok(rows.first().and_then(|r| r.0).unwrap_or(0))
    }

    /// Deletes some of these blocks, and marks the objects that hold no block any more as garbage. Returns how many blocks
    /// it deleted: call it until there are none.
    pub async fn delete_expired_blocks(
        &self,
        expired: ExpiredBlocks,
        expires: i64,
    ) -> Result<u64, LakeError> {
        let mut faults = Statement::new(
            "DELETE FROM block_faults WHERE block_id IN (SELECT block_id FROM blocks WHERE seq IN (",
        );
        let mut known = Statement::new(
            "INSERT INTO retired_blocks (block_id, seq) SELECT block_id, seq FROM blocks WHERE seq IN (",
        );
        let mut blocks = Statement::new("DELETE FROM blocks WHERE seq IN (");
        for statement in [&mut faults, &mut known, &mut blocks] {
            statement.push("SELECT seq FROM blocks WHERE ");
            expired.condition(statement);
            statement.push(" ORDER BY seq LIMIT ").bind(Arg::Int(BLOCKS_PER_STEP)).push(")");
        }
        faults.push(")");
        known
            .push(" AND seq >= ")
            .push(FIRST_IN_A_PARTITION)
            .push(" ON CONFLICT (block_id) DO UPDATE SET seq = excluded.seq");
        let mut forgotten = Statement::new("DELETE FROM retired_blocks WHERE seq < ");
        forgotten.push(FIRST_IN_A_PARTITION);
        // an object that is not sealed may get further blocks
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
            .transact(vec![
                Step::Do(known),
                Step::Do(faults),
                Step::Count(blocks),
                Step::Do(discard),
                Step::Do(objects),
                Step::Do(forgotten),
            ])
            .await
    }
}
