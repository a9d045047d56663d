//! The processes and streams that were announced.

use super::filter::{Conditions, ProcessFilter, StreamFilter};
use super::statement::{Arg, Readers, Statement};
use super::{Catalog, LakeError, locked};
use crate::Cause;
use belvedere_model::{ProcessInfo, StreamInfo, StreamParts};
use lru::LruCache;
use sqlx::FromRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// The latest activity of a process, as its blocks tell; all `None` if it has no block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct ProcessActivity {
    /// Greatest insert time of a block.
    pub last_update_time: Option<i64>,
    /// Greatest end of a block, in ticks since the start of the process.
    pub last_block_end_ticks: Option<i64>,
    /// Greatest end of a block.
    pub last_block_end_time: Option<i64>,
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
    serde_json::from_str(text).map_err(|e| {
        LakeError::Corrupt(Cause::new(format!("the catalog row of {what} {id} can't be read: {e}"), e))
    })
}

/// The cached values of these ids, and the ids that are not cached.
fn cached<T>(cache: &Mutex<LruCache<Uuid, Arc<T>>>, ids: &[Uuid]) -> (HashMap<Uuid, Arc<T>>, Vec<Uuid>) {
    let mut cache = locked(cache);
    let mut found = HashMap::new();
    let mut missing = Vec::new();
    for id in ids {
        match cache.get(id) {
            Some(record) => drop(found.insert(*id, record.clone())),
            None => missing.push(*id),
        }
    }
    (found, missing)
}

impl Catalog {
    /// The processes after `after` in the order of their ids, with their latest activity.
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

    /// The streams after `after` in the order of their ids, with the greatest insert time of their blocks.
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
            let mut exists = Conditions::new(conditions.and("EXISTS (SELECT 1 FROM blocks b"));
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

    /// Processes of which the store has no copy.
    pub(crate) async fn unsaved_processes(&self, limit: u32) -> Result<Vec<Arc<ProcessInfo>>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM processes WHERE saved = 0 LIMIT ");
        statement.bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<ProcessRow>(statement).await?;
        rows.into_iter().map(|row| Ok(Arc::new(row.try_into()?))).collect()
    }

    /// Streams of which the store has no copy.
    pub(crate) async fn unsaved_streams(&self, limit: u32) -> Result<Vec<Arc<StreamInfo>>, LakeError> {
        let mut statement = Statement::new("SELECT * FROM streams WHERE saved = 0 LIMIT ");
        statement.bind(Arg::Int(limit.into()));
        let rows = self.readers.fetch::<StreamRow>(statement).await?;
        rows.into_iter().map(|row| Ok(Arc::new(row.try_into()?))).collect()
    }

    pub(super) async fn processes_by_id(
        &self,
        readers: &Readers,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Arc<ProcessInfo>>, LakeError> {
        let (mut found, missing) = cached(&self.processes, ids);
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
        let (mut found, missing) = cached(&self.streams, ids);
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
}
