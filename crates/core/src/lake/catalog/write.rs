//! Commits: what one group of requests adds, in one transaction.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use crate::model::{BlockInfo, ProcessInfo, StreamInfo};
use crate::time::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// PostgreSQL takes 65,535 arguments a statement, SQLite half of that; a block has 15.
const ROWS_PER_STATEMENT: usize = 1000;

/// What one transaction adds. All payloads lie in one object.
#[derive(Debug, Default, Clone)]
pub(crate) struct Commit {
    pub(crate) object_key: String,
    /// The object may not be in the catalogue yet.
    pub(crate) is_new_object: bool,
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
        let mut steps = Vec::new();
        for process in &commit.processes {
            steps.push(insert_process(process)?);
        }
        for stream in &commit.streams {
            steps.extend(insert_stream(stream)?);
        }
        if !commit.blocks.is_empty() {
            if commit.is_new_object {
                steps.push(insert_object(commit));
            }
            for (blocks, bounds) in
                commit.blocks.chunks(ROWS_PER_STATEMENT).zip(bounds.chunks(ROWS_PER_STATEMENT))
            {
                steps.push(insert_blocks(&commit.object_key, blocks, bounds));
            }
        }
        if steps.is_empty() { Ok(0) } else { self.writer.transact(steps).await }
    }

    /// Marks an object as complete, in a commit that reaches the disk together with all commits before it.
    pub(crate) async fn seal(&self, object_key: &str) -> Result<(), LakeError> {
        let commit = Commit { object_key: object_key.to_owned(), seals: true, ..Commit::default() };
        self.writer.transact_synced(vec![insert_object(&commit)]).await.map(drop)
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
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }
}

fn insert_process(p: &ProcessInfo) -> Result<Step, LakeError> {
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
    Ok(Step::Do(statement))
}

fn insert_stream(s: &StreamInfo) -> Result<Vec<Step>, LakeError> {
    let mut steps = Vec::new();
    // first, while it can be told whether the stream is new: the tags of a second registration must not join
    // those of the first
    for tag in &s.tags {
        let mut statement = Statement::new("INSERT INTO stream_tags (tag, stream_id) SELECT ");
        statement
            .bind(Arg::Text(tag.clone()))
            .push(", ")
            .bind(Arg::Uuid(s.stream_id))
            .push(" WHERE NOT EXISTS (SELECT 1 FROM streams WHERE stream_id = ")
            .bind(Arg::Uuid(s.stream_id))
            .push(") ON CONFLICT DO NOTHING");
        steps.push(Step::Do(statement));
    }
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
    steps.push(Step::Do(statement));
    Ok(steps)
}

fn insert_object(commit: &Commit) -> Step {
    let mut statement = Statement::new("INSERT INTO objects (object_key, sealed, insert_time) VALUES ");
    statement.tuple([
        Arg::Text(commit.object_key.clone()),
        Arg::Small(commit.seals.into()),
        Arg::Int(crate::time::now()),
    ]);
    statement.push(match commit.seals {
        true => " ON CONFLICT (object_key) DO UPDATE SET sealed = 1",
        false => " ON CONFLICT DO NOTHING",
    });
    Step::Do(statement)
}

fn insert_blocks(object_key: &str, blocks: &[CommitBlock], bounds: &[Option<(i64, i64)>]) -> Step {
    let mut statement = Statement::new(
        "INSERT INTO blocks (block_id, stream_id, process_id, begin_time, begin_ticks, end_time, \
         end_ticks, nb_objects, object_offset, payload_size, insert_time, event_begin, event_end, \
         payload_offset, object_id) VALUES ",
    );
    for (i, (CommitBlock { info: b, offset }, bounds)) in blocks.iter().zip(bounds).enumerate() {
        statement.push(if i > 0 { ", (" } else { "(" });
        for arg in [
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
            Arg::Int(*offset as i64),
        ] {
            statement.bind(arg).push(", ");
        }
        statement
            .push("(SELECT object_id FROM objects WHERE object_key = ")
            .bind(Arg::Text(object_key.to_owned()))
            .push("))");
    }
    statement.push(" ON CONFLICT DO NOTHING");
    Step::Count(statement)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, LakeError> {
    serde_json::to_string(value).map_err(|e| LakeError::Corrupt(e.to_string()))
}
