//! Blocks that wait for their stream or their process. Those that wait for ever would only grow in number, so the oldest
//! are dropped: they were acknowledged, but nobody could have read them.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use belvedere_model::time::now;
use sqlx::FromRow;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

/// Blocks of one step. Writers wait meanwhile.
const STEP: u32 = 1000;
/// An object without blocks is kept for so long, for those who still read it.
const GRACE: Duration = Duration::from_secs(3600);

/// How many blocks may wait for their stream or their process, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnannouncedLimits {
    /// At most so many blocks wait.
    pub blocks: u64,
    /// At most so many bytes of payload wait.
    pub bytes: u64,
    /// None waits longer than this.
    pub age: Duration,
}

impl Default for UnannouncedLimits {
    fn default() -> Self {
        Self { blocks: 100_000, bytes: 1 << 30, age: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// Blocks that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Waiting {
    pub blocks: i64,
    pub bytes: i64,
}

#[derive(FromRow)]
struct WaitingBlock {
    block_id: Uuid,
    payload_size: i64,
    insert_time: i64,
    object_id: i64,
}

impl Catalog {
    /// How many blocks wait for their stream or their process.
    pub async fn waiting_blocks(&self) -> Result<i64, LakeError> {
        Ok(self.waiting().await?.blocks)
    }

    async fn waiting(&self) -> Result<Waiting, LakeError> {
        // a sum of BIGINTs is a NUMERIC in PostgreSQL
        let statement = Statement::new(
            "SELECT COUNT(*) AS blocks, CAST(COALESCE(SUM(payload_size), 0) AS BIGINT) AS bytes FROM waiting_blocks",
        );
        Ok(self.intake.fetch::<Waiting>(statement).await?.first().copied().unwrap_or_default())
    }

    /// Drops the oldest waiting blocks that are beyond these limits. Returns what still waits, and what was dropped.
    pub(crate) async fn drop_unannounced(
        &self,
        limits: &UnannouncedLimits,
    ) -> Result<(Waiting, Waiting), LakeError> {
        let cutoff = now().saturating_sub(i64::try_from(limits.age.as_nanos()).unwrap_or(i64::MAX));
        let at_most = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
        let (mut waiting, mut dropped) = (self.waiting().await?, Waiting::default());
        // somewhat below the limits, so that not every block that comes costs such a step
        let is_over = waiting.blocks > at_most(limits.blocks) || waiting.bytes > at_most(limits.bytes);
        let room = |limit: u64| at_most(if is_over { limit - limit / 16 } else { limit });
        loop {
            let mut statement = Statement::new(
                "SELECT block_id, payload_size, insert_time, object_id FROM waiting_blocks \
                 ORDER BY insert_time LIMIT ",
            );
            statement.bind(Arg::Int(STEP.into()));
            let oldest = self.intake.fetch::<WaitingBlock>(statement).await?;
            let (mut ids, mut objects) = (Vec::new(), HashSet::new());
            for block in oldest {
                let is_beyond = waiting.blocks > room(limits.blocks) || waiting.bytes > room(limits.bytes);
                if !is_beyond && block.insert_time >= cutoff {
                    break;
                }
                waiting.blocks -= 1;
                waiting.bytes -= block.payload_size;
                dropped.blocks += 1;
                dropped.bytes += block.payload_size;
                ids.push(block.block_id);
                objects.insert(block.object_id);
            }
            if ids.is_empty() {
                return Ok((waiting, dropped));
            }
            self.delete_waiting(&ids, objects).await?;
            if ids.len() < STEP as usize {
                return Ok((waiting, dropped));
            }
        }
    }

    /// Deletes waiting blocks, and marks those of their objects as garbage that hold no other block.
    async fn delete_waiting(&self, ids: &[Uuid], objects: HashSet<i64>) -> Result<(), LakeError> {
        let mut delete = Statement::new("DELETE FROM waiting_blocks WHERE block_id IN ");
        delete.tuple(ids.iter().copied().map(Arg::Uuid));
        let unused = |statement: &mut Statement| {
            statement
                .push(" FROM objects WHERE sealed = 1 AND object_id IN ")
                .tuple(objects.iter().copied().map(Arg::Int))
                .push(
                    " AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.object_id = objects.object_id) \
                     AND NOT EXISTS (SELECT 1 FROM waiting_blocks w WHERE w.object_id = objects.object_id)",
                );
        };
        let grace = i64::try_from(GRACE.as_nanos()).unwrap_or(i64::MAX);
        let mut discard =
            Statement::new("INSERT INTO garbage (object_key, size, expires) SELECT object_key, 0, ");
        discard.bind(Arg::Int(now().saturating_add(grace)));
        unused(&mut discard);
        discard.push(" ON CONFLICT DO NOTHING");
        let mut forget = Statement::new("DELETE");
        unused(&mut forget);
        self.writer.transact(vec![Step::Do(delete), Step::Do(discard), Step::Do(forget)]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Entry;
    use crate::tests::{announcement, block_of};
    use crate::{BlockFilter, LakeConnection, LakeOptions};
    use std::sync::Arc;

    async fn lake(unannounced: UnannouncedLimits) -> Arc<LakeConnection> {
        let options = LakeOptions { unannounced, ..LakeOptions::in_memory() };
        LakeConnection::open(&options).await.unwrap()
    }

    /// Inserts blocks of a stream that nobody knows, one by one.
    async fn insert(lake: &LakeConnection, ids: std::ops::Range<u128>) {
        for id in ids {
            let block = block_of(Uuid::from_u128(id), Uuid::from_u128(1), Uuid::from_u128(2), 100);
            lake.insert(vec![Entry::Block(block)], None).await.unwrap();
        }
    }

    async fn has(lake: &LakeConnection, id: u128) -> bool {
        lake.catalog().has_block(Uuid::from_u128(id)).await.unwrap()
    }

    #[tokio::test]
    async fn of_too_many_blocks_that_wait_the_oldest_are_dropped_and_counted() {
        let limits = UnannouncedLimits { blocks: 64, ..UnannouncedLimits::default() };
        let lake = lake(limits).await;
        insert(&lake, 100..300).await;
        let waiting = lake.catalog().waiting_blocks().await.unwrap();
        assert!(waiting <= 68, "{waiting}");
        assert!(!has(&lake, 100).await && has(&lake, 299).await);
        let text = lake.metrics().to_text();
        assert!(
            text.contains(&format!("belvedere_unannounced_blocks_dropped_total {}", 200 - waiting)),
            "{text}"
        );
        assert!(text.contains("belvedere_unannounced_blocks_total 200"), "{text}");
        // those that are left become visible when they are announced
        let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
        lake.insert(vec![Entry::Process(process), Entry::Stream(stream)], None).await.unwrap();
        let visible = lake.catalog().blocks(&BlockFilter::default(), 0, 1000).await.unwrap();
        assert_eq!((visible.len() as i64, lake.catalog().waiting_blocks().await.unwrap()), (waiting, 0));
    }

    #[tokio::test]
    async fn blocks_that_wait_are_bounded_by_bytes_and_by_age_too() {
        let size = block_of(Uuid::nil(), Uuid::nil(), Uuid::nil(), 100).info.payload_size as u64;
        let by_bytes = lake(UnannouncedLimits { bytes: 10 * size, ..UnannouncedLimits::default() }).await;
        insert(&by_bytes, 100..150).await;
        assert!(by_bytes.catalog().waiting_blocks().await.unwrap() <= 11);
        assert!(has(&by_bytes, 149).await);
        let by_age = lake(UnannouncedLimits { age: Duration::ZERO, ..UnannouncedLimits::default() }).await;
        insert(&by_age, 100..150).await;
        by_age.drop_unannounced().await.unwrap();
        assert_eq!(by_age.catalog().waiting_blocks().await.unwrap(), 0);
        // in memory each group is an object of its own: those without blocks are to be deleted
        let later = now() + 2 * GRACE.as_nanos() as i64;
        assert!(!by_age.catalog().garbage(later, "", 10).await.unwrap().is_empty());
        // what was sent again is taken again
        insert(&by_age, 100..101).await;
    }

    #[tokio::test]
    async fn an_announcement_does_not_look_at_blocks_that_wait_for_others() {
        let lake = lake(UnannouncedLimits::default()).await;
        let strangers = (0..20_000_u128)
            .map(|i| Entry::Block(block_of(Uuid::from_u128(i), Uuid::from_u128(1), Uuid::from_u128(2), 1)))
            .collect();
        lake.insert(strangers, None).await.unwrap();
        let mut plan = Statement::new("EXPLAIN QUERY PLAN SELECT 1 FROM waiting_blocks WHERE stream_id IN ");
        plan.tuple([Arg::Uuid(Uuid::nil()), Arg::Uuid(Uuid::nil())]);
        let rows = lake.catalog().intake.fetch::<(i64, i64, i64, String)>(plan).await.unwrap();
        assert!(rows.iter().any(|row| row.3.contains("waiting_stream")), "{rows:?}");
        let (process, stream) = announcement(Uuid::from_u128(3), Uuid::from_u128(4));
        lake.insert(vec![Entry::Process(process), Entry::Stream(stream)], None).await.unwrap();
        assert_eq!(lake.catalog().waiting_blocks().await.unwrap(), 20_000);
    }
}
