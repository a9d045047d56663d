//! What is in the catalogue, page by page: nothing here is as large as the lake.

use super::statement::{Arg, Readers, Statement};
use super::{Catalog, LakeError, locked};
use crate::model::{BlockInfo, ProcessInfo, SeqRange, StreamInfo, StreamParts};
use crate::time::TimeRange;
use sqlx::FromRow;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Events of a block may lie a little outside of the block's bounds: a thread takes the time of its event
/// before it gets its turn to write it.
const EVENT_TIME_SLACK: i64 = crate::time::SECOND;

/// Which blocks are wanted: those that meet every condition that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockFilter {
    /// Streams with at least one of these tags.
    pub tags: Option<Vec<String>>,
    /// Streams in one of these formats.
    pub formats: Option<Vec<String>>,
    /// Blocks of this process.
    pub process_id: Option<Uuid>,
    /// Blocks of this stream.
    pub stream_id: Option<Uuid>,
    /// This block.
    pub block_id: Option<Uuid>,
    /// Blocks that may have events in this range.
    pub events: TimeRange,
    /// Blocks whose wall clock bounds touch this range.
    pub bounds: TimeRange,
    /// Blocks received in this range.
    pub inserted: TimeRange,
    /// Blocks with a `seq` in this range.
    pub seqs: SeqRange,
    /// Blocks that begin with an event of one of these numbers, the last of them not included.
    pub offsets: Option<(i64, i64)>,
}

/// What a filter's blocks are together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
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
    /// What these blocks and others are together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
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

/// Which processes are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessFilter {
    /// This process.
    pub process_id: Option<Uuid>,
    /// Processes that ran in this range, as far as their blocks tell.
    pub active: TimeRange,
}

/// Which streams are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFilter {
    /// This stream.
    pub stream_id: Option<Uuid>,
    /// Streams of this process.
    pub process_id: Option<Uuid>,
    /// Streams with a block whose wall clock bounds touch this range.
    pub active: TimeRange,
}

/// A block with all that is needed to read it.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Grows in the order in which blocks became visible.
    pub seq: i64,
    /// The block.
    pub info: BlockInfo,
    /// Its stream.
    pub stream: Arc<StreamInfo>,
    /// Its process.
    pub process: Arc<ProcessInfo>,
    /// Object that the payload lies in.
    pub object_key: String,
    /// Where in the object the payload starts; it is `info.payload_size` bytes long.
    pub payload_offset: u64,
}

/// What the blocks of a process tell of it. `None` if it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct ProcessActivity {
    /// Greatest insert time of a block.
    pub last_update_time: Option<i64>,
    /// Greatest end of a block, in ticks since the start of the process.
    pub last_block_end_ticks: Option<i64>,
    /// Greatest end of a block.
    pub last_block_end_time: Option<i64>,
}

/// Where a block stands among those of its stream: the number of its first event, where its ticks begin, its id. Only
/// blocks without events, or of a sender that counts wrongly, share the first.
pub(crate) type ChainKey = (i64, i64, Uuid);

impl BlockRecord {
    /// Where it stands among the blocks of its stream.
    pub(crate) fn chain_key(&self) -> ChainKey {
        (self.info.object_offset, self.info.begin_ticks, self.info.block_id)
    }
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

#[derive(FromRow)]
struct ProcessRow {
    process_id: Uuid,
    exe: String,
    username: String,
    realname: String,
    computer: String,
    distro: String,
    cpu_brand: String,
    tsc_frequency: i64,
    start_time: i64,
    start_ticks: i64,
    parent_process_id: Option<Uuid>,
    properties: String,
    insert_time: i64,
}

#[derive(FromRow)]
struct ProcessActivityRow {
    #[sqlx(flatten)]
    process: ProcessRow,
    #[sqlx(flatten)]
    activity: ProcessActivity,
}

#[derive(FromRow)]
struct StreamRow {
    stream_id: Uuid,
    process_id: Uuid,
    dependencies_metadata: Vec<u8>,
    objects_metadata: Vec<u8>,
    tags: String,
    properties: String,
    format: String,
    insert_time: i64,
}

#[derive(FromRow)]
struct StreamActivityRow {
    #[sqlx(flatten)]
    stream: StreamRow,
    last_update_time: Option<i64>,
}

impl TryFrom<ProcessRow> for ProcessInfo {
    type Error = LakeError;

    fn try_from(row: ProcessRow) -> Result<Self, LakeError> {
        Ok(Self {
            properties: from_json(&row.properties, "process", row.process_id)?,
            process_id: row.process_id,
            exe: row.exe,
            username: row.username,
            realname: row.realname,
            computer: row.computer,
            distro: row.distro,
            cpu_brand: row.cpu_brand,
            tsc_frequency: row.tsc_frequency,
            start_time: row.start_time,
            start_ticks: row.start_ticks,
            parent_process_id: row.parent_process_id,
            insert_time: row.insert_time,
        })
    }
}

impl TryFrom<StreamRow> for StreamInfo {
    type Error = LakeError;

    fn try_from(row: StreamRow) -> Result<Self, LakeError> {
        Ok(StreamParts {
            tags: from_json(&row.tags, "stream", row.stream_id)?,
            properties: from_json(&row.properties, "stream", row.stream_id)?,
            stream_id: row.stream_id,
            process_id: row.process_id,
            dependencies_metadata: row.dependencies_metadata.into(),
            objects_metadata: row.objects_metadata.into(),
            format: row.format,
            insert_time: row.insert_time,
        }
        .into())
    }
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, what: &str, id: Uuid) -> Result<T, LakeError> {
    serde_json::from_str(text)
        .map_err(|e| LakeError::Corrupt(format!("the catalogue row of {what} {id} is not readable: {e}")))
}

/// Conditions under construction: `WHERE a AND b`.
pub(super) struct Conditions<'a> {
    statement: &'a mut Statement,
    is_first: bool,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(statement: &'a mut Statement) -> Self {
        Self { statement, is_first: true }
    }

    pub(super) fn and(&mut self, sql: &str) -> &mut Statement {
        self.statement.push(if self.is_first { " WHERE " } else { " AND " }).push(sql);
        self.is_first = false;
        self.statement
    }

    fn equals(&mut self, column: &str, id: Option<Uuid>) {
        if let Some(id) = id {
            self.and(column).push(" = ").bind(Arg::Uuid(id));
        }
    }

    /// What a filter wants of `blocks b` with its stream `s`.
    fn blocks(&mut self, filter: &BlockFilter) {
        if filter.seqs.begin > 1 {
            self.and("b.seq >= ").bind(Arg::Int(filter.seqs.begin));
        }
        if filter.seqs.end < i64::MAX {
            self.and("b.seq <= ").bind(Arg::Int(filter.seqs.end));
        }
        self.equals("b.process_id", filter.process_id);
        self.equals("b.stream_id", filter.stream_id);
        self.equals("b.block_id", filter.block_id);
        if let Some(formats) = &filter.formats {
            self.and("s.format IN ").tuple(formats.iter().cloned().map(Arg::Text));
        }
        if let Some(tags) = &filter.tags {
            self.and("EXISTS (SELECT 1 FROM stream_tags t WHERE t.stream_id = b.stream_id AND t.tag IN ")
                .tuple(tags.iter().cloned().map(Arg::Text))
                .push(")");
        }
        if let Some((begin, end)) = filter.offsets {
            self.and("b.object_offset >= ").bind(Arg::Int(begin));
            // nothing is behind the greatest number
            if end < i64::MAX {
                self.and("b.object_offset < ").bind(Arg::Int(end));
            }
        }
        self.touches("b.event_begin", "b.event_end", filter.events.widen(EVENT_TIME_SLACK));
        self.touches("b.begin_time", "b.end_time", filter.bounds);
        self.touches("b.insert_time", "b.insert_time", filter.inserted);
    }

    /// `begin` and `end` are expressions; what they span touches the range. NULLs do too.
    fn touches(&mut self, begin: &str, end: &str, range: TimeRange) {
        if let Some(t) = range.end {
            self.and(&format!("({begin} IS NULL OR {begin} <= ")).bind(Arg::Int(t)).push(")");
        }
        if let Some(t) = range.begin {
            self.and(&format!("({end} IS NULL OR {end} >= ")).bind(Arg::Int(t)).push(")");
        }
    }
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

    /// The blocks behind `after` in the order of their events, at most `limit` of them: for those of one stream.
    pub(crate) async fn chain_blocks(
        &self,
        filter: &BlockFilter,
        after: Option<ChainKey>,
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

    /// What the blocks of a filter are together.
    pub async fn summary(&self, filter: &BlockFilter) -> Result<BlockSummary, LakeError> {
        // PostgreSQL's sums of integers are numerics
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

    /// The greatest `seq` that any block ever had, as far as blocks or partitions tell; 0 if there was none.
    pub async fn last_seq(&self) -> Result<i64, LakeError> {
        let statement = Statement::new(
            "SELECT MAX(last) FROM (SELECT MAX(seq) AS last FROM blocks \
             UNION ALL SELECT MAX(seq_end) FROM partitions) AS both_of_them",
        );
        let rows = self.readers.fetch::<(Option<i64>,)>(statement).await?;
        Ok(rows.first().and_then(|r| r.0).unwrap_or(0))
    }

    /// Adds streams and processes to rows of blocks.
    async fn complete(&self, rows: Vec<BlockRow>) -> Result<Vec<BlockRecord>, LakeError> {
        let distinct = |id: fn(&BlockRow) -> Uuid| {
            let mut ids: Vec<Uuid> = rows.iter().map(id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let streams = self.streams_by_id(&self.readers, &distinct(|r| r.stream_id)).await?;
        let processes = self.processes_by_id(&self.readers, &distinct(|r| r.process_id)).await?;
        let missing = |what: &str, id: Uuid| LakeError::Corrupt(format!("{what} {id} has vanished"));
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

    /// The processes behind `after` in the order of their ids, with what their blocks tell of them.
    pub async fn processes(
        &self,
        filter: &ProcessFilter,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(ProcessInfo, ProcessActivity)>, LakeError> {
        let mut statement = Statement::new(
            "SELECT * FROM (SELECT p.*, \
             (SELECT MAX(b.insert_time) FROM blocks b WHERE b.process_id = p.process_id) AS last_update_time, \
             (SELECT MAX(b.end_ticks) FROM blocks b WHERE b.process_id = p.process_id) AS last_block_end_ticks, \
             (SELECT MAX(b.end_time) FROM blocks b WHERE b.process_id = p.process_id) AS last_block_end_time \
             FROM processes p) AS p",
        );
        let mut conditions = Conditions::new(&mut statement);
        conditions.equals("p.process_id", filter.process_id);
        if let Some(after) = after {
            conditions.and("p.process_id > ").bind(Arg::Uuid(after));
        }
        conditions.touches("p.start_time", "COALESCE(p.last_block_end_time, p.start_time)", filter.active);
        statement.push(" ORDER BY p.process_id LIMIT ").bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<ProcessActivityRow>(statement).await?;
        rows.into_iter().map(|r| Ok((r.process.try_into()?, r.activity))).collect()
    }

    /// The streams behind `after` in the order of their ids, with the greatest insert time of their blocks.
    pub async fn streams(
        &self,
        filter: &StreamFilter,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(StreamInfo, Option<i64>)>, LakeError> {
        let mut statement = Statement::new(
            "SELECT s.*, \
             (SELECT MAX(b.insert_time) FROM blocks b WHERE b.stream_id = s.stream_id) AS last_update_time \
             FROM streams s",
        );
        let mut conditions = Conditions::new(&mut statement);
        conditions.equals("s.stream_id", filter.stream_id);
        conditions.equals("s.process_id", filter.process_id);
        if let Some(after) = after {
            conditions.and("s.stream_id > ").bind(Arg::Uuid(after));
        }
        if !filter.active.is_all() {
            let mut exists =
                Conditions { statement: conditions.and("EXISTS (SELECT 1 FROM blocks b"), is_first: true };
            exists.and("b.stream_id = s.stream_id");
            exists.touches("b.begin_time", "b.end_time", filter.active);
            statement.push(")");
        }
        statement.push(" ORDER BY s.stream_id LIMIT ").bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<StreamActivityRow>(statement).await?;
        rows.into_iter().map(|r| Ok((r.stream.try_into()?, r.last_update_time))).collect()
    }

    /// All streams of a process, in the order of their ids.
    pub async fn streams_of(&self, process_id: Uuid) -> Result<Vec<StreamInfo>, LakeError> {
        const PAGE: u32 = 500;
        let filter = StreamFilter { process_id: Some(process_id), ..StreamFilter::default() };
        let mut streams = Vec::new();
        let mut after = None;
        loop {
            let page = self.streams(&filter, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|(stream, _)| stream.stream_id);
            streams.extend(page.into_iter().map(|(stream, _)| stream));
            if is_last {
                return Ok(streams);
            }
        }
    }

    /// The process of that id, if it was announced.
    pub async fn process(&self, id: Uuid) -> Result<Option<Arc<ProcessInfo>>, LakeError> {
        Ok(self.processes_by_id(&self.readers, &[id]).await?.remove(&id))
    }

    /// The stream of that id, if it was announced.
    pub async fn stream(&self, id: Uuid) -> Result<Option<Arc<StreamInfo>>, LakeError> {
        Ok(self.streams_by_id(&self.readers, &[id]).await?.remove(&id))
    }

    pub(super) async fn processes_by_id(
        &self,
        readers: &Readers,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<ProcessInfo>>, LakeError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let mut cache = locked(&self.processes);
            for id in ids {
                match cache.get(id) {
                    Some(process) => drop(found.insert(*id, process.clone())),
                    None => missing.push(*id),
                }
            }
        }
        for ids in missing.chunks(1000) {
            let mut statement = Statement::new("SELECT * FROM processes WHERE process_id IN ");
            statement.tuple(ids.iter().copied().map(Arg::Uuid));
            for row in readers.fetch::<ProcessRow>(statement).await? {
                let process = Arc::new(ProcessInfo::try_from(row)?);
                locked(&self.processes).put(process.process_id, process.clone());
                found.insert(process.process_id, process);
            }
        }
        Ok(found)
    }

    pub(super) async fn streams_by_id(
        &self,
        readers: &Readers,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<StreamInfo>>, LakeError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let mut cache = locked(&self.streams);
            for id in ids {
                match cache.get(id) {
                    Some(stream) => drop(found.insert(*id, stream.clone())),
                    None => missing.push(*id),
                }
            }
        }
        for ids in missing.chunks(1000) {
            let mut statement = Statement::new("SELECT * FROM streams WHERE stream_id IN ");
            statement.tuple(ids.iter().copied().map(Arg::Uuid));
            for row in readers.fetch::<StreamRow>(statement).await? {
                let stream = Arc::new(StreamInfo::try_from(row)?);
                locked(&self.streams).put(stream.stream_id, stream.clone());
                found.insert(stream.stream_id, stream);
            }
        }
        Ok(found)
    }

    /// Keys of the objects that are known to be complete, out of `keys`: those that are going to be deleted too.
    pub(crate) async fn sealed(&self, keys: &[String]) -> Result<Vec<String>, LakeError> {
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

    /// Blocks that a view set could not read: block id, view set, reason, when that was first seen.
    pub async fn faults(&self) -> Result<Vec<(Uuid, String, String, i64)>, LakeError> {
        let statement = Statement::new(
            "SELECT block_id, view_set, reason, seen_at FROM block_faults ORDER BY seen_at, block_id LIMIT 10000",
        );
        self.readers.fetch(statement).await
    }

    /// How many blocks wait for their stream or their process.
    pub async fn waiting_blocks(&self) -> Result<i64, LakeError> {
        let statement = Statement::new("SELECT COUNT(*) FROM waiting_blocks");
        Ok(self.readers.fetch::<(i64,)>(statement).await?.first().map_or(0, |r| r.0))
    }

    /// Objects with blocks behind `after`, by key, and how long each must be for all of its blocks.
    pub(crate) async fn object_lengths(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, i64)>, LakeError> {
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
