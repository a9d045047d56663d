//! Commits: what one group of requests adds, in one transaction.
//!
//! `seq` numbers blocks in the order in which they become visible. Everything that says which blocks a partition covers
//! relies on one promise: a reader that has seen `seq` n never sees a smaller one appear later. A plain sequence of the
//! database does not keep it: two transactions that run side by side take 7 and 8, and 8 may commit first. A reader in
//! between would cover 1–8, and block 7 would be in no partition and in no live scan. So writers take turns for the
//! whole transaction, by SQLite's write lock or an advisory lock in PostgreSQL, and numbers are given in commit order.
//! Numbers may have gaps; nothing relies on their absence.
//!
//! A block may come before its stream or its process, since clients send from several threads. It can't be visible yet:
//! nobody knows how to read it. It waits in `waiting_blocks`, without a `seq`, and gets one in the transaction after
//! which both are there. A flag in `blocks` would not do: the number would be older than the moment of its
//! visibility, which is exactly what must not happen.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use crate::Cause;
use belvedere_model::time::Clock;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, TRANSIT_FORMAT};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// PostgreSQL allows 65,535 arguments in a statement, SQLite half of that. A block has 15.
const ROWS_PER_STATEMENT: usize = 1000;

/// What one transaction adds. All payloads lie in one object.
#[derive(Debug, Default, Clone)]
pub struct Commit {
    pub object_key: String,
    /// The object may not be in the catalog yet.
    pub is_new_object: bool,
    pub processes: Vec<Arc<ProcessInfo>>,
    pub streams: Vec<Arc<StreamInfo>>,
    pub blocks: Vec<CommitBlock>,
    /// Nothing will be appended to the object, and the commit reaches the disk.
    pub seals: bool,
}

#[derive(Debug, Clone)]
pub struct CommitBlock {
    pub info: BlockInfo,
    /// Where in the object the payload starts.
    pub offset: u64,
}

const BLOCK_COLUMNS: &str = "block_id, stream_id, process_id, begin_time, begin_ticks, end_time, end_ticks, \
                             nb_objects, object_offset, payload_size, insert_time, event_begin, event_end, \
                             payload_offset, object_id";

/// Processes and streams that are in the catalog, or will be with the commit in question.
struct KnownSenders {
    processes: HashMap<Uuid, Arc<ProcessInfo>>,
    streams: HashMap<Uuid, Arc<StreamInfo>>,
}

impl KnownSenders {
    fn has_both(&self, block: &BlockInfo) -> bool {
        self.processes.contains_key(&block.process_id) && self.streams.contains_key(&block.stream_id)
    }

    /// Bounds of the events' times. For native clients they come from the block's ticks, if its process is known: the wall
    /// clock that a client reports with the block is when it was cut, not when its events were. Other protocols have no
    /// ticks: their receiver sets the block's times to the bounds of its events.
    fn event_bounds(&self, block: &BlockInfo) -> Option<(i64, i64)> {
        if self.streams.get(&block.stream_id).is_some_and(|s| s.format != TRANSIT_FORMAT) {
            return Some((block.begin_time, block.end_time));
        }
        let clock = Clock::for_block(self.processes.get(&block.process_id)?, block).ok()?;
        let a = clock.time_of_relative(block.begin_ticks);
        let b = clock.time_of_relative(block.end_ticks);
        Some((a.min(b), a.max(b)))
    }
}

impl Catalog {
    /// Adds what is new in a commit. Returns how many of its blocks were new.
    pub async fn commit(&self, commit: &Commit) -> Result<u64, LakeError> {
        let known = self.known(commit).await?;
        let mut steps = Vec::new();
        for process in &commit.processes {
            steps.push(insert_process(process)?);
        }
        for stream in &commit.streams {
            steps.extend(insert_stream(stream)?);
        }
        if !commit.blocks.is_empty() && commit.is_new_object {
            steps.push(insert_object(commit));
        }
        let (visible, waiting): (Vec<_>, Vec<_>) =
            commit.blocks.iter().partition(|b| known.has_both(&b.info));
        for (table, blocks) in [("blocks", visible), ("waiting_blocks", waiting)] {
            for blocks in blocks.chunks(ROWS_PER_STATEMENT) {
                steps.push(insert_blocks(table, &commit.object_key, blocks, &known));
            }
            // blocks may wait for what this commit announces; and what this commit's waiting blocks lack may have been
            // announced since `known` was read, which was outside of the transaction
            if table == "waiting_blocks"
                && (!blocks.is_empty() || !commit.streams.is_empty() || !commit.processes.is_empty())
            {
                steps.extend(make_waiting_visible());
            }
        }
        if steps.is_empty() { Ok(0) } else { self.writer.transact(steps).await }
    }

    /// Marks an object as complete, in a commit that reaches the disk together with all commits before it.
    pub async fn seal(&self, object_key: &str) -> Result<(), LakeError> {
        let commit = Commit { object_key: object_key.to_owned(), seals: true, ..Commit::default() };
        self.writer.transact_synced(vec![insert_object(&commit)]).await.map(drop)
    }

    /// What is known of the processes and streams of a commit's blocks when it is committed.
    async fn known(&self, commit: &Commit) -> Result<KnownSenders, LakeError> {
        let distinct = |id: fn(&BlockInfo) -> Uuid| {
            let mut ids: Vec<Uuid> = commit.blocks.iter().map(|b| id(&b.info)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        // of two announcements in one group the first one counts: `rev`, since the last one stays in the map
        let mut processes: HashMap<Uuid, Arc<ProcessInfo>> =
            commit.processes.iter().rev().map(|p| (p.process_id, p.clone())).collect();
        // what is in the catalog came earlier, so it overrides
        processes.extend(self.processes_by_id(&self.intake, &distinct(|b| b.process_id)).await?);
        let mut streams: HashMap<Uuid, Arc<StreamInfo>> =
            commit.streams.iter().rev().map(|s| (s.stream_id, s.clone())).collect();
        streams.extend(self.streams_by_id(&self.intake, &distinct(|b| b.stream_id)).await?);
        Ok(KnownSenders { processes, streams })
    }

    /// Notes that a view set could not read a block. The first reason stays.
    pub async fn record_fault(
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
    // before the stream itself, while it can be told whether it is new: the tags of a second announcement must not
    // join those of the first
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
        Arg::Int(belvedere_model::time::now()),
    ]);
    statement.push(if commit.seals {
        " ON CONFLICT (object_key) DO UPDATE SET sealed = 1"
    } else {
        " ON CONFLICT DO NOTHING"
    });
    Step::Do(statement)
}

fn insert_blocks(table: &str, object_key: &str, blocks: &[&CommitBlock], known: &KnownSenders) -> Step {
    let mut statement = Statement::new("INSERT INTO ");
    statement.push(table).push(" (").push(BLOCK_COLUMNS).push(") VALUES ");
    for (i, CommitBlock { info: b, offset }) in blocks.iter().enumerate() {
        let bounds = known.event_bounds(b);
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

/// Moves blocks to `blocks` whose stream and process are known by now: they get their `seq` here.
fn make_waiting_visible() -> [Step; 2] {
    let is_complete = "EXISTS (SELECT 1 FROM streams s WHERE s.stream_id = waiting_blocks.stream_id) \
                       AND EXISTS (SELECT 1 FROM processes p WHERE p.process_id = waiting_blocks.process_id)";
    let mut insert = Statement::new("INSERT INTO blocks (");
    insert
        .push(BLOCK_COLUMNS)
        .push(") SELECT ")
        .push(BLOCK_COLUMNS)
        .push(" FROM waiting_blocks WHERE ")
        .push(is_complete)
        .push(" ORDER BY insert_time, block_id ON CONFLICT DO NOTHING");
    let mut delete = Statement::new("DELETE FROM waiting_blocks WHERE ");
    delete.push(is_complete);
    [Step::Do(insert), Step::Do(delete)]
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, LakeError> {
    serde_json::to_string(value).map_err(|e| LakeError::Corrupt(Cause::new(e.to_string(), e)))
}
