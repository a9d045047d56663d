//! The blocks that are in the catalog, page by page: nothing here is as large as the lake.

use super::filter::{BlockFilter, Conditions};
use super::statement::{Arg, Statement};
use super::{Catalog, LakeError};
use belvedere_model::{BlockInfo, BlockRecord};
use sqlx::FromRow;
use uuid::Uuid;

/// Sums over the blocks that match a filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct BlockSummary {
    /// How many there are.
    pub blocks: i64,
    /// Bytes of their payloads.
    pub payload_bytes: i64,
    /// Events in them, as announced.
    pub objects: i64,
    /// Least `seq`; `None` if there is no block.
    pub seq_begin: Option<i64>,
    /// Greatest `seq`.
    pub seq_end: Option<i64>,
    /// Earliest reception, nanoseconds since the Unix epoch.
    pub insert_begin: Option<i64>,
    /// Latest reception.
    pub insert_end: Option<i64>,
}

impl BlockSummary {
    /// The sums over both sets of blocks.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let least = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            blocks: self.blocks + other.blocks,
            payload_bytes: self.payload_bytes + other.payload_bytes,
            objects: self.objects + other.objects,
            seq_begin: least(self.seq_begin, other.seq_begin),
            seq_end: self.seq_end.max(other.seq_end),
            insert_begin: least(self.insert_begin, other.insert_begin),
            insert_end: self.insert_end.max(other.insert_end),
        }
    }
}

/// A block that a view set could not read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct BlockFault {
    /// The block.
    pub block_id: Uuid,
    /// Which view set.
    pub view_set: String,
    /// Why.
    pub reason: String,
    /// Since when, nanoseconds since the Unix epoch.
    pub seen_at: i64,
    /// 1 if the block was not where it should be, which may pass.
    pub may_pass: i64,
    /// Its process; `None` if the block was deleted.
    pub process_id: Option<Uuid>,
    /// The program.
    pub exe: Option<String>,
}

const BLOCKS: &str = "SELECT b.seq, b.block_id, b.stream_id, b.process_id, b.begin_time, b.begin_ticks, b.end_time, \
     b.end_ticks, b.nb_objects, b.object_offset, b.payload_size, b.insert_time, b.payload_offset, \
     o.object_key FROM blocks b \
     JOIN streams s ON s.stream_id = b.stream_id \
     JOIN processes p ON p.process_id = b.process_id \
     JOIN objects o ON o.object_id = b.object_id";

#[derive(FromRow)]
struct BlockRow {
    seq: i64,
    block_id: Uuid,
    stream_id: Uuid,
    process_id: Uuid,
    begin_time: i64,
    begin_ticks: i64,
    end_time: i64,
    end_ticks: i64,
    nb_objects: i32,
    object_offset: i64,
    payload_size: i64,
    insert_time: i64,
    payload_offset: i64,
    object_key: String,
}

impl Catalog {
    /// The blocks after `after` in the order of `seq`, at most `limit` of them. A block whose stream or
    /// process has not been announced yet is not among them.
    pub async fn blocks(
        &self,
        filter: &BlockFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BlockRecord>, LakeError> {
        let mut statement = Statement::new(BLOCKS);
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("b.seq > ").bind(Arg::Int(after));
        conditions.blocks(filter);
        statement.push(" ORDER BY b.seq LIMIT ").bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<BlockRow>(statement).await?;
        self.complete(rows).await
    }

    /// The blocks after `after` in the order of their events, at most `limit` of them. For blocks of one stream.
    pub async fn chain_blocks(
        &self,
        filter: &BlockFilter,
        after: Option<(i64, i64, Uuid)>,
        limit: u32,
    ) -> Result<Vec<BlockRecord>, LakeError> {
        let mut statement = Statement::new(BLOCKS);
        let mut conditions = Conditions::new(&mut statement);
        conditions.blocks(filter);
        if let Some((offset, ticks, id)) = after {
            conditions.and("(b.object_offset, b.begin_ticks, b.block_id) > ").tuple([
                Arg::Int(offset),
                Arg::Int(ticks),
                Arg::Uuid(id),
            ]);
        }
        statement
            .push(" ORDER BY b.object_offset, b.begin_ticks, b.block_id LIMIT ")
            .bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<BlockRow>(statement).await?;
        self.complete(rows).await
    }

    /// Sums over the blocks that match a filter.
    pub async fn summary(&self, filter: &BlockFilter) -> Result<BlockSummary, LakeError> {
        // a sum of BIGINTs is a NUMERIC in PostgreSQL
        let mut statement = Statement::new(
            "SELECT COUNT(*) AS blocks, CAST(COALESCE(SUM(b.payload_size), 0) AS BIGINT) AS payload_bytes, \
             CAST(COALESCE(SUM(b.nb_objects), 0) AS BIGINT) AS objects, MIN(b.seq) AS seq_begin, \
             MAX(b.seq) AS seq_end, MIN(b.insert_time) AS insert_begin, MAX(b.insert_time) AS insert_end \
             FROM blocks b JOIN streams s ON s.stream_id = b.stream_id \
             JOIN processes p ON p.process_id = b.process_id",
        );
        Conditions::new(&mut statement).blocks(filter);
        let rows = self.readers.fetch::<BlockSummary>(statement).await?;
        Ok(rows.first().copied().unwrap_or_default())
    }

    /// The greatest `seq` that any block ever had, as far as blocks and partitions tell; 0 without any. Partitions count,
    /// since retention may have deleted the last block.
    pub async fn last_seq(&self) -> Result<i64, LakeError> {
        let statement = Statement::new(
            "SELECT MAX(last) FROM (SELECT MAX(seq) AS last FROM blocks \
             UNION ALL SELECT MAX(seq_end) FROM partitions) AS both_of_them",
        );
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        Ok(rows.first().and_then(|r| r.0).unwrap_or(0))
    }

    /// Adds the stream and the process to each block.
    async fn complete(&self, rows: Vec<BlockRow>) -> Result<Vec<BlockRecord>, LakeError> {
        let distinct = |id: fn(&BlockRow) -> Uuid| {
            let mut ids: Vec<Uuid> = rows.iter().map(id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let streams = self.streams_by_id(&self.readers, &distinct(|r| r.stream_id)).await?;
        let processes = self.processes_by_id(&self.readers, &distinct(|r| r.process_id)).await?;
        let missing = |what: &str, id: Uuid| LakeError::Corrupt(format!("{what} {id} was deleted").into());
        rows.into_iter()
            .map(|r| {
                let stream = streams.get(&r.stream_id).ok_or_else(|| missing("stream", r.stream_id))?;
                let process = processes.get(&r.process_id).ok_or_else(|| missing("process", r.process_id))?;
                Ok(BlockRecord {
                    seq: r.seq,
                    stream: stream.clone(),
                    process: process.clone(),
                    object_key: r.object_key,
                    payload_offset: r.payload_offset as u64,
                    info: BlockInfo {
                        block_id: r.block_id,
                        stream_id: r.stream_id,
                        process_id: r.process_id,
                        begin_time: r.begin_time,
                        begin_ticks: r.begin_ticks,
                        end_time: r.end_time,
                        end_ticks: r.end_ticks,
                        nb_objects: r.nb_objects,
                        object_offset: r.object_offset,
                        payload_size: r.payload_size,
                        insert_time: r.insert_time,
                    },
                })
            })
            .collect()
    }

    /// Those of `keys` whose objects are known to be complete, or are about to be deleted.
    pub async fn sealed(&self, keys: &[String]) -> Result<Vec<String>, LakeError> {
        let mut sealed = Vec::new();
        for keys in keys.chunks(1000) {
            for sql in [
                "SELECT object_key FROM objects WHERE sealed = 1 AND object_key IN ",
                "SELECT object_key FROM garbage WHERE object_key IN ",
            ] {
                let mut statement = Statement::new(sql);
                statement.tuple(keys.iter().cloned().map(Arg::Text));
                sealed.extend(self.readers.fetch::<(String,)>(statement).await?.into_iter().map(|r| r.0));
            }
        }
        Ok(sealed)
    }

    /// The position in an object before which all records are in the catalog.
    pub async fn recovered(&self, key: &str) -> Result<u64, LakeError> {
        let mut statement = Statement::new("SELECT recovered FROM objects WHERE object_key = ");
        statement.bind(Arg::Text(key.to_owned()));
        Ok(self.readers.fetch::<(i64,)>(statement).await?.first().map_or(0, |row| row.0.max(0) as u64))
    }

    /// Those of the blocks of a filter that one of these view sets could not read: their ids and `seq`, and whether that may
    /// pass.
    pub async fn faults_of(
        &self,
        filter: &BlockFilter,
        view_sets: &[&str],
    ) -> Result<Vec<(Uuid, i64, bool)>, LakeError> {
        let mut statement = Statement::new(
            "SELECT f.block_id, b.seq, f.may_pass FROM block_faults f \
             JOIN blocks b ON b.block_id = f.block_id JOIN streams s ON s.stream_id = b.stream_id",
        );
        let mut conditions = Conditions::new(&mut statement);
        conditions.and("f.view_set IN ").tuple(view_sets.iter().map(|set| Arg::Text((*set).to_owned())));
        conditions.blocks(filter);
        statement.push(" ORDER BY b.seq, f.view_set LIMIT 10000");
        let rows = self.readers.fetch::<(Uuid, i64, i64)>(statement).await?;
        Ok(rows.into_iter().map(|(id, seq, may_pass)| (id, seq, may_pass != 0)).collect())
    }

    /// Blocks that were not there when a view set was to read them, the earliest: their ids and `seq`.
    pub async fn passing_faults(&self) -> Result<Vec<(Uuid, i64)>, LakeError> {
        let statement = Statement::new(
            "SELECT DISTINCT f.block_id, b.seq FROM block_faults f JOIN blocks b ON b.block_id = f.block_id \
             WHERE f.may_pass = 1 ORDER BY b.seq LIMIT 10000",
        );
        self.readers.fetch(statement).await
    }

    /// Blocks that a view set could not read.
    pub async fn faults(&self) -> Result<Vec<BlockFault>, LakeError> {
        let statement = Statement::new(
            "SELECT f.block_id, f.view_set, f.reason, f.seen_at, f.may_pass, b.process_id, p.exe \
             FROM block_faults f LEFT JOIN blocks b ON b.block_id = f.block_id \
             LEFT JOIN processes p ON p.process_id = b.process_id ORDER BY f.seen_at, f.block_id LIMIT 10000",
        );
        self.readers.fetch(statement).await
    }

    /// Whether a block has been inserted, visible or not.
    pub async fn has_block(&self, block_id: Uuid) -> Result<bool, LakeError> {
        let mut statement = Statement::new("SELECT (SELECT COUNT(*) FROM blocks WHERE block_id = ");
        statement
            .bind(Arg::Uuid(block_id))
            .push(") + (SELECT COUNT(*) FROM waiting_blocks WHERE block_id = ")
            .bind(Arg::Uuid(block_id))
            .push(")");
        Ok(self.intake.fetch::<(i64,)>(statement).await?.first().is_some_and(|row| row.0 > 0))
    }

    /// How many objects have blocks.
    pub async fn object_count(&self) -> Result<u64, LakeError> {
        let statement = Statement::new("SELECT COUNT(DISTINCT object_id) FROM blocks");
        Ok(self.readers.fetch::<(i64,)>(statement).await?.first().map_or(0, |row| row.0.max(0) as u64))
    }

    /// Up to where an object has blocks.
    pub(crate) async fn end_of_blocks(&self, key: &str) -> Result<u64, LakeError> {
        let mut statement = Statement::new(
            "SELECT MAX(b.payload_offset + b.payload_size) FROM blocks b \
             JOIN objects o ON o.object_id = b.object_id WHERE o.object_key = ",
        );
        statement.bind(Arg::Text(key.to_owned()));
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        Ok(rows.first().and_then(|row| row.0).map_or(0, |end| end.max(0) as u64))
    }

    /// The blocks whose payloads have some of these bytes of an object: their ids and `seq`.
    pub async fn blocks_at(
        &self,
        key: &str,
        bytes: std::ops::Range<u64>,
    ) -> Result<Vec<(Uuid, i64)>, LakeError> {
        let bound = |bound: u64| Arg::Int(i64::try_from(bound).unwrap_or(i64::MAX));
        let mut statement = Statement::new(
            "SELECT b.block_id, b.seq FROM blocks b JOIN objects o ON o.object_id = b.object_id \
             WHERE o.object_key = ",
        );
        statement
            .bind(Arg::Text(key.to_owned()))
            .push(" AND b.payload_offset < ")
            .bind(bound(bytes.end))
            .push(" AND b.payload_offset + b.payload_size > ")
            .bind(bound(bytes.start))
            .push(" ORDER BY b.seq");
        self.readers.fetch(statement).await
    }

    /// What is wrong with the database itself: its file, and references to rows that are not there.
    pub async fn damage(&self) -> Result<Vec<String>, LakeError> {
        let mut damage = Vec::new();
        if self.file.is_some() {
            let statement = Statement::new("PRAGMA integrity_check(20)");
            let told = self.readers.fetch::<(String,)>(statement).await?;
            damage.extend(told.into_iter().map(|row| row.0).filter(|text| text != "ok"));
        }
        for (table, column, other) in [
            ("blocks", "stream_id", "streams"),
            ("blocks", "process_id", "processes"),
            ("blocks", "object_id", "objects"),
            ("waiting_blocks", "object_id", "objects"),
            ("stream_tags", "stream_id", "streams"),
        ] {
            let statement = Statement::new(&format!(
                "SELECT COUNT(*) FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM {other} o WHERE o.{column} = t.{column})"
            ));
            let rows = self.readers.fetch::<(i64,)>(statement).await?.first().map_or(0, |row| row.0);
            if rows > 0 {
                damage.push(format!("{rows} rows of {table} have a {column} that {other} has not"));
            }
        }
        Ok(damage)
    }

    /// Objects with blocks whose keys are after `after`, sorted, and how long each must be to hold all of its blocks.
    pub async fn object_lengths(&self, after: &str, limit: u32) -> Result<Vec<(String, i64)>, LakeError> {
        let mut statement = Statement::new(
            "SELECT o.object_key, MAX(b.payload_offset + b.payload_size) FROM objects o \
             JOIN blocks b ON b.object_id = o.object_id WHERE o.object_key > ",
        );
        statement
            .bind(Arg::Text(after.to_owned()))
            .push(" GROUP BY o.object_key ORDER BY o.object_key LIMIT ")
            .bind(Arg::Int(limit.into()));
        self.readers.fetch(statement).await
    }
}
