//! What the store has copies of, and what a catalog that is made again takes from them.

use super::statement::{Arg, Statement, Step, WritingPool};
use super::{Catalog, LakeError};
use uuid::Uuid;

/// Blocks that get their numbers in one transaction.
const RENUMBERED: usize = 1000;

impl Catalog {
    /// Notes that the store has copies of these.
    pub(crate) async fn mark_saved(
        &self,
        processes: &[Uuid],
        streams: &[Uuid],
        partitions: &[i64],
    ) -> Result<(), LakeError> {
        let uuids = |ids: &[Uuid]| ids.iter().copied().map(Arg::Uuid).collect::<Vec<_>>();
        let partitions = partitions.iter().copied().map(Arg::Int).collect::<Vec<_>>();
        let mut steps = Vec::new();
        for (update, ids) in [
            ("UPDATE processes SET saved = 1 WHERE process_id IN ", uuids(processes)),
            ("UPDATE streams SET saved = 1 WHERE stream_id IN ", uuids(streams)),
            ("UPDATE partitions SET saved = 1 WHERE partition_id IN ", partitions),
        ] {
            for ids in ids.chunks(1000) {
                let mut statement = Statement::new(update);
                statement.tuple(ids.iter().cloned());
                steps.push(Step::Do(statement));
            }
        }
        match steps.is_empty() {
            true => Ok(()),
            false => self.writer.transact(steps).await.map(drop),
        }
    }

    /// The store has the numbers of all blocks up to this one.
    pub(crate) async fn saved_numbers(&self) -> Result<i64, LakeError> {
        let statement = Statement::new("SELECT seq FROM saved_numbers WHERE place = 1");
        Ok(self.readers.fetch::<(i64,)>(statement).await?.first().map_or(0, |row| row.0))
    }

    /// Notes that.
    pub(crate) async fn set_saved_numbers(&self, seq: i64) -> Result<(), LakeError> {
        let mut insert = Statement::new("INSERT INTO saved_numbers (place, seq) VALUES ");
        insert.tuple([Arg::Small(1), Arg::Int(seq)]).push(
            " ON CONFLICT (place) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > saved_numbers.seq",
        );
        self.writer.transact(vec![Step::Do(insert)]).await.map(drop)
    }

    /// The blocks after `after` by their numbers.
    pub(crate) async fn numbers_after(&self, after: i64, limit: u32) -> Result<Vec<(i64, Uuid)>, LakeError> {
        let mut statement = Statement::new("SELECT seq, block_id FROM blocks WHERE seq > ");
        statement.bind(Arg::Int(after)).push(" ORDER BY seq LIMIT ").bind(Arg::Int(limit.into()));
        self.readers.fetch(statement).await
    }

    /// The least number of a block.
    pub(crate) async fn first_number(&self) -> Result<Option<i64>, LakeError> {
        let statement = Statement::new("SELECT MIN(seq) FROM blocks");
        Ok(self.readers.fetch::<(Option<i64>,)>(statement).await?.first().and_then(|row| row.0))
    }

    /// Blocks that come get greater numbers than this.
    pub(crate) async fn number_after(&self, seq: i64) -> Result<(), LakeError> {
        if seq < 1 {
            return Ok(());
        }
        let steps = match self.writer.pool() {
            WritingPool::Sqlite(_) => {
                let mut insert = Statement::new("INSERT INTO sqlite_sequence (name, seq) SELECT 'blocks', ");
                insert
                    .bind(Arg::Int(seq))
                    .push(" WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'blocks')");
                let mut update = Statement::new("UPDATE sqlite_sequence SET seq = MAX(seq, ");
                update.bind(Arg::Int(seq)).push(") WHERE name = 'blocks'");
                vec![Step::Do(insert), Step::Do(update)]
            }
            #[cfg(feature = "postgres")]
            WritingPool::Postgres(_) => {
                let mut set =
                    Statement::new("SELECT setval(pg_get_serial_sequence('blocks', 'seq'), GREATEST(");
                set.bind(Arg::Int(seq)).push(", (SELECT COALESCE(MAX(seq), 1) FROM blocks)))");
                vec![Step::Do(set)]
            }
            // the writer says why it can't
            WritingPool::Nobody => Vec::new(),
        };
        self.writer.transact(steps).await.map(drop)
    }

    /// Gives those of these blocks that are there the numbers that they had. For a catalog that nobody uses yet.
    pub(crate) async fn renumber(&self, numbers: &[(Uuid, i64)]) -> Result<(), LakeError> {
        for numbers in numbers.chunks(RENUMBERED) {
            let mut update = Statement::new("WITH numbers (block_id, seq) AS (VALUES ");
            for (i, (id, seq)) in numbers.iter().enumerate() {
                update.push(if i > 0 { ", " } else { "" }).tuple([Arg::Uuid(*id), Arg::Int(*seq)]);
            }
            update.push(
                ") UPDATE blocks SET seq = (SELECT n.seq FROM numbers n WHERE n.block_id = blocks.block_id) \
                 WHERE block_id IN (SELECT block_id FROM numbers)",
            );
            self.writer.transact(vec![Step::Do(update)]).await?;
        }
        Ok(())
    }
}
