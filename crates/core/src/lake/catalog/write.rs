//! Commits: what one group of requests adds, in one transaction.

use super::statement::{Arg, Statement, Transaction};
use super::{Catalog, LakeError};
use crate::model::{BlockInfo, ProcessInfo, StreamInfo};
use crate::time::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// PostgreSQL takes 65,535 arguments a statement, SQLite half of that; a block has 14.
const ROWS_PER_STATEMENT: usize = 1000;

/// What one transaction adds. All payloads lie in one object.
#[derive(Debug, Default, Clone)]
pub(crate) struct Commit {
    pub(crate) object_key: String,
    pub(crate) processes: Vec<Arc<ProcessInfo>>,
    pub(crate) streams: Vec<Arc<StreamInfo>>,
    pub(crate) blocks: Vec<CommitBlock>,
    /// Nothing will be appended to the object, and the commit reaches the disk.
    pub(crate) seals: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct CommitBlock {
    pub(crate) info: BlockInfo,
    /// Where in the object the payload starts.
    pub(crate) offset: u64,
}

impl Catalog {
    /// Adds what is new of a commit. Returns how many of its blocks were new.
    pub(crate) async fn commit(&self, commit: &Commit) -> Result<u64, LakeError> {
        let bounds = self.event_bounds(commit).await?;
        let mut transaction = self.begin().await?;
        insert_processes(&mut transaction, &commit.processes).await?;
        insert_streams(&mut transaction, &commit.streams).await?;
        let mut added = 0;
        if !commit.blocks.is_empty() || commit.seals {
            let object_id = insert_object(&mut transaction, commit).await?;
            for (blocks, bounds) in
                commit.blocks.chunks(ROWS_PER_STATEMENT).zip(bounds.chunks(ROWS_PER_STATEMENT))
            {
                added += insert_blocks(&mut transaction, object_id, blocks, bounds).await?;
            }
        }
        transaction.commit().await?;
        Ok(added)
    }

    /// Marks an object as complete, in a commit that reaches the disk together with all commits before it.
    pub(crate) async fn seal(&self, object_key: &str) -> Result<(), LakeError> {
        let commit = Commit { object_key: object_key.to_owned(), seals: true, ..Commit::default() };
        if !self.is_relaxed() {
            return self.commit(&commit).await.map(drop);
        }
        // the pool for writing has one connection: the setting is undone on the same one
        self.set_synchronous("FULL").await?;
        let sealed = self.commit(&commit).await;
        self.set_synchronous("NORMAL").await?;
        sealed.map(drop)
    }

    async fn set_synchronous(&self, level: &str) -> Result<(), LakeError> {
        self.writer.fetch::<(i64,)>(Statement::new(&format!("PRAGMA synchronous = {level}"))).await.map(drop)
    }

    /// Bounds of the events' times by the blocks' ticks, where the process is known.
    async fn event_bounds(&self, commit: &Commit) -> Result<Vec<Option<(i64, i64)>>, LakeError> {
        // of two announcements in one group the first one counts
        let mut processes: HashMap<Uuid, Arc<ProcessInfo>> =
            commit.processes.iter().rev().map(|p| (p.process_id, p.clone())).collect();
        let mut wanted: Vec<Uuid> = commit.blocks.iter().map(|b| b.info.process_id).collect();
        wanted.sort_unstable();
        wanted.dedup();
        // what is in the catalogue was there first and stays
        processes.extend(self.processes_by_id(&wanted).await?);
        Ok(commit
            .blocks
            .iter()
            .map(|block| {
                let clock = Clock::for_block(processes.get(&block.info.process_id)?, &block.info).ok()?;
                let a = clock.time_of_relative(block.info.begin_ticks);
                let b = clock.time_of_relative(block.info.end_ticks);
                Some((a.min(b), a.max(b)))
            })
            .collect())
    }

    /// Notes that a view set could not read a block. The first reason stays.
    pub(crate) async fn record_fault(
        &self,
        block_id: Uuid,
        view_set: &str,
        reason: &str,
        seen_at: i64,
    ) -> Result<(), LakeError> {
        let mut transaction = self.begin().await?;
        let mut statement =
            Statement::new("INSERT INTO block_faults (block_id, view_set, reason, seen_at) VALUES ");
        statement
            .tuple([
                Arg::Uuid(block_id),
                Arg::Text(view_set.to_owned()),
                Arg::Text(reason.replace('\0', "\u{fffd}")),
                Arg::Int(seen_at),
            ])
            .push(" ON CONFLICT DO NOTHING");
        transaction.execute(statement).await?;
        transaction.commit().await
    }
}

async fn insert_processes(t: &mut Transaction, processes: &[Arc<ProcessInfo>]) -> Result<(), LakeError> {
    for p in processes {
        let mut statement = Statement::new(
            "INSERT INTO processes (process_id, exe, username, realname, computer, distro, cpu_brand, \
             tsc_frequency, start_time, start_ticks, parent_process_id, properties, insert_time) VALUES ",
        );
        statement
            .tuple([
                Arg::Uuid(p.process_id),
                Arg::Text(p.exe.clone()),
                Arg::Text(p.username.clone()),
                Arg::Text(p.realname.clone()),
                Arg::Text(p.computer.clone()),
                Arg::Text(p.distro.clone()),
                Arg::Text(p.cpu_brand.clone()),
                Arg::Int(p.tsc_frequency),
                Arg::Int(p.start_time),
                Arg::Int(p.start_ticks),
                Arg::OptionalUuid(p.parent_process_id),
                Arg::Text(json(&p.properties)?),
                Arg::Int(p.insert_time),
            ])
            .push(" ON CONFLICT DO NOTHING");
        t.execute(statement).await?;
    }
    Ok(())
}

async fn insert_streams(t: &mut Transaction, streams: &[Arc<StreamInfo>]) -> Result<(), LakeError> {
    for s in streams {
        let mut statement = Statement::new(
            "INSERT INTO streams (stream_id, process_id, dependencies_metadata, objects_metadata, tags, \
             properties, format, insert_time) VALUES ",
        );
        statement
            .tuple([
                Arg::Uuid(s.stream_id),
                Arg::Uuid(s.process_id),
                Arg::Bytes(s.dependencies_metadata.to_vec()),
                Arg::Bytes(s.objects_metadata.to_vec()),
                Arg::Text(json(&s.tags)?),
                Arg::Text(json(&s.properties)?),
                Arg::Text(s.format.clone()),
                Arg::Int(s.insert_time),
            ])
            .push(" ON CONFLICT DO NOTHING");
        // the tags of a second registration must not join those of the first
        if t.execute(statement).await? == 0 || s.tags.is_empty() {
            continue;
        }
        for tags in s.tags.chunks(ROWS_PER_STATEMENT) {
            let mut statement = Statement::new("INSERT INTO stream_tags (tag, stream_id) VALUES ");
            statement
                .tuples(tags.iter().map(|tag| [Arg::Text(tag.clone()), Arg::Uuid(s.stream_id)]))
                .push(" ON CONFLICT DO NOTHING");
            t.execute(statement).await?;
        }
    }
    Ok(())
}

async fn insert_object(t: &mut Transaction, commit: &Commit) -> Result<i64, LakeError> {
    let mut statement = Statement::new("INSERT INTO objects (object_key, sealed, insert_time) VALUES ");
    statement
        .tuple([
            Arg::Text(commit.object_key.clone()),
            Arg::Small(commit.seals.into()),
            Arg::Int(crate::time::now()),
        ])
        .push(" ON CONFLICT (object_key) DO UPDATE SET sealed = excluded.sealed RETURNING object_id");
    match t.fetch::<(i64,)>(statement).await?.first() {
        Some((id,)) => Ok(*id),
        None => Err(LakeError::Corrupt(format!("object {} has no id", commit.object_key))),
    }
}

async fn insert_blocks(
    t: &mut Transaction,
    object_id: i64,
    blocks: &[CommitBlock],
    bounds: &[Option<(i64, i64)>],
) -> Result<u64, LakeError> {
    let mut statement = Statement::new(
        "INSERT INTO blocks (block_id, stream_id, process_id, begin_time, begin_ticks, end_time, \
         end_ticks, nb_objects, object_offset, payload_size, insert_time, event_begin, event_end, \
         object_id, payload_offset) VALUES ",
    );
    statement.tuples(blocks.iter().zip(bounds).map(|(CommitBlock { info: b, offset }, bounds)| {
        [
            Arg::Uuid(b.block_id),
            Arg::Uuid(b.stream_id),
            Arg::Uuid(b.process_id),
            Arg::Int(b.begin_time),
            Arg::Int(b.begin_ticks),
            Arg::Int(b.end_time),
            Arg::Int(b.end_ticks),
            Arg::Small(b.nb_objects),
            Arg::Int(b.object_offset),
            Arg::Int(b.payload_size),
            Arg::Int(b.insert_time),
            Arg::OptionalInt(bounds.map(|b| b.0)),
            Arg::OptionalInt(bounds.map(|b| b.1)),
            Arg::Int(object_id),
            Arg::Int(*offset as i64),
        ]
    }));
    statement.push(" ON CONFLICT DO NOTHING");
    t.execute(statement).await
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, LakeError> {
    serde_json::to_string(value).map_err(|e| LakeError::Corrupt(e.to_string()))
}
