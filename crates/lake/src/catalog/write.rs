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
use super::{Catalog, LakeError, Waiting};
use crate::Cause;
use belvedere_model::time::Clock;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, TRANSIT_FORMAT};
use std::collections::{HashMap, HashSet};
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
    /// With this commit, all records of the object before this position are in the catalog.
    pub recovered: Option<u64>,
    /// The same, to be noted if one of the blocks was there before. Its record is in two objects then. When retention has
    /// taken the block with the first one, recovery must not find it in the second.
    pub recovered_if_repeated: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct CommitBlock {
    pub info: BlockInfo,
    /// Where in the object the payload starts.
    pub offset: u64,
}

/// What a commit did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Committed {
    /// Blocks that were new.
    pub added: u64,
    /// Blocks whose stream or process was not known.
    pub unannounced: Waiting,
}

const BLOCK_COLUMNS: &str = "block_id, stream_id, process_id, begin_time, begin_ticks, end_time, end_ticks, \
                             nb_objects, object_offset, payload_size, insert_time, event_begin, event_end, \
                             payload_offset, object_id";

/// Processes and streams that are in the catalog, or will be with the commit in question.
struct KnownSenders {
    processes: HashMap<Uuid, Arc<ProcessInfo>>,
    streams: HashMap<Uuid, Arc<StreamInfo>>,
    /// Those that the commit announces and the catalog does not have: only for these can blocks wait.
    new_processes: Vec<Uuid>,
    new_streams: Vec<Uuid>,
}

impl KnownSenders {
    fn has_both(&self, block: &BlockInfo) -> bool {
        self.processes.contains_key(&block.process_id) && self.streams.contains_key(&block.stream_id)
    }

    /// Whether a block names a process that its stream does not belong to. Such a block is refused on arrival; one that came
    /// in the same moment as its stream, or that is read back from an object, is left out.
    fn is_foreign(&self, block: &BlockInfo) -> bool {
        self.other_owner(block).is_some()
    }

    /// The process that a block's stream belongs to, if the block names another one.
    fn other_owner(&self, block: &BlockInfo) -> Option<Uuid> {
        let owner = self.streams.get(&block.stream_id)?.process_id;
        (owner != block.process_id).then_some(owner)
    }

    /// Bounds of the events' times. For native clients they come from the block's clock, if its process is known: decoders
    /// use the same one, and it gives no time outside of them. Other protocols have no ticks: their receiver sets the
    /// block's times to the bounds of its events.
    fn event_bounds(&self, block: &BlockInfo) -> Option<(i64, i64)> {
        if self.streams.get(&block.stream_id).is_some_and(|s| s.format != TRANSIT_FORMAT) {
            return Some((block.begin_time, block.end_time));
        }
        Clock::for_block(self.processes.get(&block.process_id)?, block).bounds()
    }
}

impl Catalog {
    /// Adds what is new in a commit.
    pub async fn commit(&self, commit: &Commit) -> Result<Committed, LakeError> {
        let known = self.known(commit).await?;
        let mut steps = insert_processes(&commit.processes)?;
        steps.extend(insert_streams(&commit.streams)?);
        // one that is complete already is noted even without blocks: otherwise it would look like a group that was never
        // committed
        let is_noted = !commit.blocks.is_empty() || commit.recovered.is_some() || commit.seals;
        if commit.is_new_object && is_noted {
            steps.push(insert_object(&commit.object_key, commit.seals));
        }
        if let Some(position) = commit.recovered {
            let mut statement = Statement::new("UPDATE objects SET recovered = ");
            statement
                .bind(Arg::Int(position as i64))
                .push(" WHERE object_key = ")
                .bind(Arg::Text(commit.object_key.clone()));
            steps.push(Step::Do(statement));
        }
        if let Some(position) = commit.recovered_if_repeated {
            steps.extend(note_repeated(commit, position));
        }
        let (foreign, own): (Vec<_>, Vec<_>) = commit.blocks.iter().partition(|b| known.is_foreign(&b.info));
        for CommitBlock { info, .. } in foreign {
            let owner = known.other_owner(info).unwrap_or_default();
            tracing::warn!(block = %info.block_id, "left out: {}", foreign_block(info, owner));
        }
        let (visible, waiting): (Vec<_>, Vec<_>) = own.into_iter().partition(|b| known.has_both(&b.info));
        for (table, blocks) in [("blocks", &visible), ("waiting_blocks", &waiting)] {
            for blocks in blocks.chunks(ROWS_PER_STATEMENT) {
                steps.push(insert_blocks(table, &commit.object_key, blocks, &known));
                match table {
                    "blocks" => {
                        steps.push(keep_first(&commit.object_key, blocks));
                        steps.extend(forget_retired(&commit.object_key, blocks));
                    }
                    _ => steps.push(forget_known(blocks)),
                }
            }
        }
        // what this commit's waiting blocks lack may have been announced since `known` was read, which was outside of the
        // transaction; and blocks may wait for what this commit announces
        let unannounced = Waiting {
            blocks: waiting.len() as i64,
            bytes: waiting.iter().map(|b| b.info.payload_size).sum(),
        };
        let waiting: Vec<Uuid> = waiting.iter().map(|b| b.info.block_id).collect();
        self.warn_of_foreign(&known).await?;
        for (column, ids) in
            [("block_id", waiting), ("stream_id", known.new_streams), ("process_id", known.new_processes)]
        {
            for ids in ids.chunks(ROWS_PER_STATEMENT) {
                if column == "stream_id" {
                    steps.push(drop_foreign(ids));
                }
                steps.extend(make_waiting_visible(column, ids));
            }
        }
        let added = if steps.is_empty() { 0 } else { self.writer.transact(steps).await? };
        Ok(Committed { added, unannounced })
    }

    /// Marks objects as complete, in a commit that reaches the disk together with all commits before it.
    pub async fn seal(&self, object_keys: &[String]) -> Result<(), LakeError> {
        if object_keys.is_empty() {
            return Ok(());
        }
        let steps = object_keys.iter().map(|key| insert_object(key, true)).collect();
        self.writer.transact_synced(steps).await.map(drop)
    }

    /// Tells the log which waiting blocks turn out to name the wrong process.
    async fn warn_of_foreign(&self, known: &KnownSenders) -> Result<(), LakeError> {
        for ids in known.new_streams.chunks(ROWS_PER_STATEMENT) {
            let mut statement = Statement::new(
                "SELECT block_id, stream_id, process_id FROM waiting_blocks WHERE stream_id IN ",
            );
            statement.tuple(ids.iter().copied().map(Arg::Uuid)).push(" LIMIT 1000");
            for (block_id, stream_id, process_id) in
                self.intake.fetch::<(Uuid, Uuid, Uuid)>(statement).await?
            {
                let block = BlockInfo { block_id, stream_id, process_id, ..BlockInfo::default() };
                if let Some(owner) = known.other_owner(&block) {
                    tracing::warn!(block = %block_id, "dropped: {}", foreign_block(&block, owner));
                }
            }
        }
        Ok(())
    }

    /// What is known of the processes and streams of a commit when it is committed.
    async fn known(&self, commit: &Commit) -> Result<KnownSenders, LakeError> {
        let blocks = |id: fn(&BlockInfo) -> Uuid| commit.blocks.iter().map(move |b| id(&b.info));
        let announced = commit.processes.iter().map(|p| p.process_id);
        let process_ids = distinct(blocks(|b| b.process_id).chain(announced.clone()));
        let stored_processes = self.processes_by_id(&self.intake, &process_ids).await?;
        let new_processes =
            distinct(announced).into_iter().filter(|id| !stored_processes.contains_key(id)).collect();
        let announced = commit.streams.iter().map(|s| s.stream_id);
        let stream_ids = distinct(blocks(|b| b.stream_id).chain(announced.clone()));
        let stored_streams = self.streams_by_id(&self.intake, &stream_ids).await?;
        let new_streams =
            distinct(announced).into_iter().filter(|id| !stored_streams.contains_key(id)).collect();
        // of two announcements in one group the first one counts: `rev`, since the last one stays in the map
        let mut processes: HashMap<Uuid, Arc<ProcessInfo>> =
            commit.processes.iter().rev().map(|p| (p.process_id, p.clone())).collect();
        // what is in the catalog came earlier, so it overrides
        processes.extend(stored_processes);
        let mut streams: HashMap<Uuid, Arc<StreamInfo>> =
            commit.streams.iter().rev().map(|s| (s.stream_id, s.clone())).collect();
        streams.extend(stored_streams);
        Ok(KnownSenders { processes, streams, new_processes, new_streams })
    }

    /// Notes that a view set could not read a block, and whether that may pass. When it was first seen stays.
    pub async fn record_fault(
        &self,
        block_id: Uuid,
        view_set: &str,
        reason: &str,
        may_pass: bool,
        seen_at: i64,
    ) -> Result<(), LakeError> {
        let mut statement = Statement::new(
            "INSERT INTO block_faults (block_id, view_set, reason, seen_at, may_pass) VALUES ",
        );
        statement
            .tuple([
                Arg::Uuid(block_id),
                Arg::Text(view_set.to_owned()),
                Arg::Text(reason.replace('\0', "\u{fffd}")),
                Arg::Int(seen_at),
                Arg::Int(may_pass.into()),
            ])
            .push(" ON CONFLICT (block_id, view_set) DO UPDATE SET reason = excluded.reason, ")
            .push("may_pass = excluded.may_pass");
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }

    /// Forgets that these blocks were not there.
    pub async fn forget_passing_faults(&self, block_ids: &[Uuid]) -> Result<(), LakeError> {
        for ids in block_ids.chunks(1000) {
            let mut statement =
                Statement::new("DELETE FROM block_faults WHERE may_pass = 1 AND block_id IN ");
            statement.tuple(ids.iter().copied().map(Arg::Uuid));
            self.writer.transact(vec![Step::Do(statement)]).await?;
        }
        Ok(())
    }
}

/// Why a block is not taken whose stream is another process's.
pub(crate) fn foreign_block(block: &BlockInfo, owner: Uuid) -> String {
    format!(
        "block {} names the process {}, but its stream {} belongs to the process {owner}: send it with the \
         process_id that the stream was announced with",
        block.block_id, block.process_id, block.stream_id
    )
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// `INSERT … VALUES (…), (…) ON CONFLICT DO NOTHING`, so many rows in a statement. One statement for each row took SQLite
/// twenty times as long: it copies the rest of the script for each statement.
fn insert_rows(into: &str, rows: Vec<Vec<Arg>>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut statement = Statement::new(into);
        for (i, row) in rows.by_ref().take(ROWS_PER_STATEMENT).enumerate() {
            statement.push(if i > 0 { ", " } else { "" }).tuple(row);
        }
        statement.push(" ON CONFLICT DO NOTHING");
        steps.push(Step::Do(statement));
    }
    steps
}

fn insert_processes(processes: &[Arc<ProcessInfo>]) -> Result<Vec<Step>, LakeError> {
    let row = |p: &Arc<ProcessInfo>| {
        Ok(vec![
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
    };
    let into = "INSERT INTO processes (process_id, exe, username, realname, computer, distro, cpu_brand, \
                tsc_frequency, start_time, start_ticks, parent_process_id, properties, insert_time) VALUES ";
    Ok(insert_rows(into, processes.iter().map(row).collect::<Result<_, LakeError>>()?))
}

fn insert_streams(streams: &[Arc<StreamInfo>]) -> Result<Vec<Step>, LakeError> {
    // of two announcements of one stream the first one counts, with its tags
    let mut seen = HashSet::new();
    let streams: Vec<&StreamInfo> =
        streams.iter().map(Arc::as_ref).filter(|s| seen.insert(s.stream_id)).collect();
    let mut steps = Vec::new();
    // before the streams themselves, while it can be told which are new: the tags of a second announcement must not
    // join those of the first
    let tags: Vec<[Arg; 2]> = streams
        .iter()
        .flat_map(|s| s.tags.iter().map(|tag| [Arg::Text(tag.clone()), Arg::Uuid(s.stream_id)]))
        .collect();
    for tags in tags.chunks(ROWS_PER_STATEMENT) {
        let mut statement = Statement::new("WITH announced (tag, stream_id) AS (VALUES ");
        for (i, tag) in tags.iter().enumerate() {
            statement.push(if i > 0 { ", " } else { "" }).tuple(tag.iter().cloned());
        }
        statement.push(
            ") INSERT INTO stream_tags (tag, stream_id) SELECT tag, stream_id FROM announced a \
             WHERE NOT EXISTS (SELECT 1 FROM streams s WHERE s.stream_id = a.stream_id) ON CONFLICT DO NOTHING",
        );
        steps.push(Step::Do(statement));
    }
    let row = |s: &&StreamInfo| {
        Ok(vec![
            Arg::Uuid(s.stream_id),
            Arg::Uuid(s.process_id),
            Arg::Bytes(s.dependencies_metadata.to_vec()),
            Arg::Bytes(s.objects_metadata.to_vec()),
            Arg::Text(json(&s.tags)?),
            Arg::Text(json(&s.properties)?),
            Arg::Text(s.format.clone()),
            Arg::Int(s.insert_time),
        ])
    };
    let into = "INSERT INTO streams (stream_id, process_id, dependencies_metadata, objects_metadata, tags, \
                properties, format, insert_time) VALUES ";
    steps.extend(insert_rows(into, streams.iter().map(row).collect::<Result<_, LakeError>>()?));
    Ok(steps)
}

fn insert_object(object_key: &str, seals: bool) -> Step {
    let mut statement = Statement::new("INSERT INTO objects (object_key, sealed, insert_time) VALUES ");
    statement.tuple([
        Arg::Text(object_key.to_owned()),
        Arg::Small(seals.into()),
        Arg::Int(belvedere_model::time::now()),
    ]);
    statement.push(if seals {
        " ON CONFLICT (object_key) DO UPDATE SET sealed = 1"
    } else {
        " ON CONFLICT DO NOTHING"
    });
    Step::Do(statement)
}

/// Notes up to where an object is in the catalog, if a block of the commit is in another one.
fn note_repeated(commit: &Commit, position: u64) -> Vec<Step> {
    let ids: Vec<Uuid> = commit.blocks.iter().map(|block| block.info.block_id).collect();
    let note = |ids: &[Uuid]| {
        let mut statement = Statement::new("UPDATE objects SET recovered = ");
        statement
            .bind(Arg::Int(position as i64))
            .push(" WHERE object_key = ")
            .bind(Arg::Text(commit.object_key.clone()))
            .push(" AND recovered < ")
            .bind(Arg::Int(position as i64));
        for (i, table) in ["blocks", "waiting_blocks", "retired_blocks"].into_iter().enumerate() {
            statement.push(if i == 0 { " AND (" } else { " OR " });
            statement.push("EXISTS (SELECT 1 FROM ").push(table).push(" WHERE block_id IN ");
            statement.tuple(ids.iter().copied().map(Arg::Uuid)).push(")");
        }
        statement.push(")");
        Step::Do(statement)
    };
    ids.chunks(ROWS_PER_STATEMENT).map(note).collect()
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

/// Takes blocks back that this commit has just added although others with their ids wait: the first of two blocks with one id
/// stays. Nobody has seen them yet. In most commits no block waits at all, and this looks at nothing.
fn keep_first(object_key: &str, blocks: &[&CommitBlock]) -> Step {
    let mut statement = Statement::new(
        "DELETE FROM blocks WHERE block_id IN (SELECT block_id FROM waiting_blocks WHERE block_id IN ",
    );
    statement
        .tuple(blocks.iter().map(|b| Arg::Uuid(b.info.block_id)))
        .push(") AND object_id = (SELECT object_id FROM objects WHERE object_key = ")
        .bind(Arg::Text(object_key.to_owned()))
        .push(")");
    Step::Do(statement)
}

/// Takes blocks back that this commit has just added although retention has deleted them before and a partition still has their
/// rows: these would be there twice. One without a partition is new, and nothing that was once deleted.
fn forget_retired(object_key: &str, blocks: &[&CommitBlock]) -> [Step; 2] {
    let ids = || blocks.iter().map(|b| Arg::Uuid(b.info.block_id));
    let mut known = Statement::new(
        "DELETE FROM blocks WHERE block_id IN (SELECT block_id FROM retired_blocks r WHERE block_id IN ",
    );
    known
        .tuple(ids())
        .push(
            " AND EXISTS (SELECT 1 FROM partitions p WHERE p.seq_end >= r.seq AND p.seq_begin <= r.seq \
             AND p.row_count > 0)) AND object_id = (SELECT object_id FROM objects WHERE object_key = ",
        )
        .bind(Arg::Text(object_key.to_owned()))
        .push(")");
    let mut new = Statement::new("DELETE FROM retired_blocks WHERE block_id IN ");
    new.tuple(ids()).push(" AND EXISTS (SELECT 1 FROM blocks b WHERE b.block_id = retired_blocks.block_id)");
    [Step::Do(known), Step::Do(new)]
}

/// Forgets blocks that are about to wait although there are visible ones with their ids.
fn forget_known(blocks: &[&CommitBlock]) -> Step {
    let mut statement = Statement::new(
        "DELETE FROM waiting_blocks WHERE block_id IN (SELECT block_id FROM blocks WHERE block_id IN ",
    );
    statement.tuple(blocks.iter().map(|b| Arg::Uuid(b.info.block_id))).push(")");
    Step::Do(statement)
}

/// Forgets the blocks that waited for streams which turn out to be of other processes: nothing could ever show them.
fn drop_foreign(stream_ids: &[Uuid]) -> Step {
    let mut statement = Statement::new("DELETE FROM waiting_blocks WHERE stream_id IN ");
    statement.tuple(stream_ids.iter().copied().map(Arg::Uuid)).push(
        " AND EXISTS (SELECT 1 FROM streams s WHERE s.stream_id = waiting_blocks.stream_id \
         AND s.process_id <> waiting_blocks.process_id)",
    );
    Step::Do(statement)
}

/// Moves those of these waiting blocks to `blocks` whose stream and process are known by now: they get their `seq` here.
fn make_waiting_visible(column: &str, ids: &[Uuid]) -> [Step; 2] {
    let condition = |statement: &mut Statement| {
        statement
            .push(" FROM waiting_blocks WHERE ")
            .push(column)
            .push(" IN ")
            .tuple(ids.iter().copied().map(Arg::Uuid))
            .push(
                " AND EXISTS (SELECT 1 FROM streams s WHERE s.stream_id = waiting_blocks.stream_id \
                 AND s.process_id = waiting_blocks.process_id) \
                 AND EXISTS (SELECT 1 FROM processes p WHERE p.process_id = waiting_blocks.process_id)",
            );
    };
    let mut insert = Statement::new("INSERT INTO blocks (");
    insert.push(BLOCK_COLUMNS).push(") SELECT ").push(BLOCK_COLUMNS);
    condition(&mut insert);
    insert.push(" ORDER BY insert_time, block_id ON CONFLICT DO NOTHING");
    let mut delete = Statement::new("DELETE");
    condition(&mut delete);
    [Step::Do(insert), Step::Do(delete)]
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, LakeError> {
    serde_json::to_string(value).map_err(|e| LakeError::Corrupt(Cause::new(e.to_string(), e)))
}
