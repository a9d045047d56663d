//! Group commit: requests that wait together share one object write and one transaction.
//!
//! ```text
//! requests ─▶ gather ─▶ write records, make them durable ─▶ transaction ─▶ answers
//! ```
//!
//! No timer decides when a group is full. While one group is being written, the next requests gather, and they become
//! the next group: a lone sender gets the latency of the disk, a crowd shares it. A fixed delay, as many databases have
//! it, would only slow the lone sender down.
//!
//! All of it runs on one thread that may block. As tasks of the async runtime each step woke another thread, and
//! waking a thread costs more than most of the work.
//!
//! A request of very many entries is large: it would keep all others waiting for as long as its transaction takes. It is
//! written by itself, and its rows become visible in several transactions; between them the groups of the others get
//! their turn, and so do other large requests. Its sender gets the answer after the last one. If one of them fails, the
//! rows of those before it stay, as when a sender sends the parts one by one.
//!
//! The order is what makes an answer true: first the records are durable, then the rows are visible, then the sender
//! gets its 200. A crash between the steps leaves records without rows, which nobody was promised, and never rows
//! without records.

mod queue;
#[cfg(test)]
mod tests;

use self::queue::{CloseAtEnd, Queue};
use super::catalog::{Catalog, Commit, CommitBlock, Committed, check_owners};
use super::ingest::Reservation;
use super::metrics::Metrics;
use super::objects::{Objects, WrittenGroup};
use super::record::{Entry, append};
use super::unannounced::{SinceLastLook, UnannouncedBlocks};
use super::{Cause, LakeError};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A group is closed when it has as many bytes as are best written at once, or this many requests.
const GROUP_REQUESTS: usize = 512;
/// … or this many processes, streams and blocks. A request of more is large, and is made visible so many at a time.
const GROUP_ENTRIES: usize = 512;
/// Commits note how far an object is in the catalog when it has grown by so much: recovery reads no more than that and a
/// group. To note it each time would make each commit dearer.
const NOTED_EVERY: u64 = 1 << 20;
/// Requests in the queue. Further senders wait for a free slot.
const QUEUE_SLOTS: usize = 1024;

#[derive(Debug)]
struct Request {
    /// What becomes durable and visible together.
    entries: Vec<Entry>,
    /// For each entry, where in the group's records its payload starts; 0 if it has none.
    payloads: Vec<usize>,
    /// The records of a large request: it brings them along, since encoding them takes a while.
    records: Vec<u8>,
    answer: oneshot::Sender<Result<(), LakeError>>,
    /// Memory that is reserved as long as the request lives, even if its sender is gone.
    _reserved: Option<Reservation>,
}

/// Queue and thread of the commits. [`Committer::close`] finishes the groups under way.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Arc<Queue<Request>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread. Must be called on the runtime that the database's connections were opened on.
    pub(super) fn start(
        catalog: Arc<Catalog>,
        objects: Arc<Objects>,
        metrics: Arc<Metrics>,
        unannounced: UnannouncedBlocks,
    ) -> Result<Self, LakeError> {
        let queue = Arc::new(Queue::new(QUEUE_SLOTS));
        let requests = Arc::clone(&queue);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("lake-commit".to_owned())
            .spawn(move || {
                let _close = CloseAtEnd(&requests);
                let thread = CommitThread::new(catalog, objects, metrics, unannounced, runtime);
                thread.run(&requests)
            })
            .map_err(|e| {
                LakeError::Objects(Cause::new(format!("the commit thread can't be started: {e}"), e))
            })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Adds entries to the lake. When this returns `Ok`, they are durable and visible; when it fails, sending them again adds
    /// what is missing. If the caller is cancelled meanwhile, they are added all the same, and `reserved` is held until they
    /// are; those of a large request only if it was encoded by then.
    pub(super) async fn submit(
        &self,
        entries: Vec<Entry>,
        reserved: Option<Reservation>,
    ) -> Result<(), LakeError> {
        let (answer, answered) = oneshot::channel();
        let mut request =
            Request { entries, payloads: Vec::new(), records: Vec::new(), answer, _reserved: reserved };
        if request.is_large() {
            let encoding = tokio::task::spawn_blocking(move || {
                let mut records = Vec::new();
                request.append_to(&mut records)?;
                Ok::<_, LakeError>(Request { records, ..request })
            });
            request = encoding.await.map_err(|e| {
                LakeError::Objects(Cause::new(format!("the request could not be encoded: {e}"), e))
            })??;
        }
        let (sender, bytes) = (request.sender(), request.bytes());
        self.queue.push(sender, bytes, request).await.map_err(|_| LakeError::Closed)?;
        answered.await.map_err(|_| LakeError::Closed)?
    }

    /// Accepts no more requests and waits for those that were accepted.
    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // joining here would block the runtime that the thread needs to finish: another thread joins it
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// State of the commit thread.
struct CommitThread {
    catalog: Arc<Catalog>,
    objects: Arc<Objects>,
    metrics: Arc<Metrics>,
    runtime: Handle,
    /// Key of the object that the last commit went to: the catalog has it already.
    known_object: String,
    /// Up to where the catalog notes that it has all records of that object.
    noted: u64,
    /// Up to there is a block in that object that was sent before: to be noted as soon as all records up to it are in the
    /// catalog.
    repeated: u64,
    /// Large requests under way. Each gets one transaction in turn.
    large: VecDeque<LargeRequest>,
    /// Complete objects, to be marked when no large request needs them any more.
    completed: Vec<String>,
    unannounced: UnannouncedBlocks,
    since_last_look: SinceLastLook,
}

/// A request that is made visible in several transactions.
struct LargeRequest {
    request: Request,
    /// Where its records are, once they are written.
    written: Option<WrittenGroup>,
    /// Bytes of its records.
    length: u64,
    /// Entries that are visible.
    done: usize,
    /// Blocks among them, and those of them that were new.
    blocks: u64,
    added: u64,
}

impl CommitThread {
    fn new(
        catalog: Arc<Catalog>,
        objects: Arc<Objects>,
        metrics: Arc<Metrics>,
        unannounced: UnannouncedBlocks,
        runtime: Handle,
    ) -> Self {
        Self {
            catalog,
            objects,
            metrics,
            runtime,
            known_object: String::new(),
            noted: 0,
            repeated: 0,
            large: VecDeque::new(),
            completed: Vec::new(),
            unannounced,
            since_last_look: SinceLastLook::default(),
        }
    }

    /// Works until nobody can send requests any more and all that were sent are answered.
    fn run(mut self, requests: &Queue<Request>) {
        loop {
            let next = match self.large.is_empty() {
                true => match requests.pop() {
                    Some(next) => Some(next),
                    None => return,
                },
                false => requests.try_pop(),
            };
            if let Some(first) = next {
                self.commit_group(first, requests);
            }
            if let Some(large) = self.large.pop_front() {
                self.commit_part(large);
            }
            self.seal_completed();
        }
    }

    /// Gathers the requests that wait, writes them, makes them visible, and answers. Large ones are put aside.
    fn commit_group(&mut self, first: Request, waiting: &Queue<Request>) {
        let began = Instant::now();
        let mut group = Vec::with_capacity(8);
        let mut records = Vec::new();
        let mut entries = 0;
        let mut next = Some(first);
        while let Some(mut request) = next.take() {
            if request.is_large() {
                let mut alone = vec![request];
                self.refuse_foreign(&mut alone);
                let Some(request) = alone.pop() else {
                    next = waiting.try_pop();
                    continue;
                };
                let length = request.records.len() as u64;
                self.large.push_back(LargeRequest {
                    request,
                    written: None,
                    length,
                    done: 0,
                    blocks: 0,
                    added: 0,
                });
            } else {
                match request.append_to(&mut records) {
                    Ok(()) => {
                        entries += request.entries.len();
                        group.push(request);
                    }
                    // only this request fails
                    Err(e) => drop(request.answer.send(Err(e))),
                }
            }
            if records.len() < self.objects.group_bytes()
                && group.len() < GROUP_REQUESTS
                && entries < GROUP_ENTRIES
            {
                next = waiting.try_pop();
            }
        }
        if let Some(refused) = self.refuse_foreign(&mut group) {
            // the rest is written without them
            records.clear();
            for request in &mut group {
                if let Err(e) = request.append_to(&mut records) {
                    tracing::error!("a request could not be encoded: {e}");
                }
            }
            tracing::debug!("refused {refused} requests that name ids of others");
        }
        if group.is_empty() {
            return;
        }
        let length = records.len() as u64;
        match self.write(records) {
            Ok(mut written) => {
                self.completed.extend(written.completed.take());
                let runtime = self.runtime.clone();
                runtime.block_on(self.make_visible(group, &written, length));
            }
            Err(e) => {
                tracing::error!("{} requests could not be stored: {e}", group.len());
                answer_all(group, &Err(e));
            }
        }
        self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
    }

    /// Answers the requests whose ids belong to others, and takes them out of the group. Returns how many, if there were any.
    fn refuse_foreign(&self, group: &mut Vec<Request>) -> Option<usize> {
        let entries = group.iter().flat_map(|request| request.entries.iter());
        let mut known = self.runtime.block_on(self.catalog.streams_named(entries));
        let before = group.len();
        let checked = std::mem::take(group).into_iter().filter_map(|request| {
            let outcome = match &mut known {
                Ok(known) => check_owners(&request.entries, known),
                Err(e) => Err(e.clone()),
            };
            match outcome {
                Ok(()) => Some(request),
                Err(e) => {
                    let _ = request.answer.send(Err(e));
                    None
                }
            }
        });
        group.extend(checked);
        (group.len() < before).then(|| before - group.len())
    }

    /// Writes records, unless the catalog that they would be committed to was taken away: nobody would find them.
    fn write(&self, records: Vec<u8>) -> Result<WrittenGroup, LakeError> {
        self.catalog.check_in_place()?;
        self.objects.write(records, &self.runtime)
    }

    fn new_commit(&self, written: &WrittenGroup) -> Commit {
        Commit {
            object_key: written.key.clone(),
            is_new_object: self.known_object != written.key,
            seals: written.is_complete,
            ..Commit::default()
        }
    }

    /// Up to where the records of an object are in the catalog, if those up to `end` are that don't belong to large requests.
    fn position_in_catalog(&self, written: &WrittenGroup, end: u64) -> Option<u64> {
        let unfinished = self.large.iter().filter_map(|large| large.written.as_ref());
        let position = unfinished.filter(|w| w.key == written.key).map(|w| w.offset).fold(end, u64::min);
        self.objects.are_read_back().then_some(position)
    }

    /// Notes in a commit up to where the records of the object are in the catalog with it: when it is time to, or when a
    /// block was sent before.
    fn note_position(&self, commit: &mut Commit, written: &WrittenGroup, end: u64) {
        let Some(position) = self.position_in_catalog(written, end) else { return };
        let (noted, repeated) = match self.known_object == written.key {
            true => (self.noted, self.repeated),
            false => (0, 0),
        };
        let is_time = position >= noted.saturating_add(NOTED_EVERY);
        if is_time || (noted < repeated && repeated <= position) {
            commit.recovered = Some(position);
        } else {
            commit.recovered_if_repeated = Some(position);
        }
    }

    /// The catalog has the object now, and has noted a position if there was one in the commit.
    fn committed(&mut self, commit: &Commit) {
        if commit.blocks.is_empty() && commit.recovered.is_none() {
            return;
        }
        if self.known_object != commit.object_key {
            self.known_object.clone_from(&commit.object_key);
            (self.noted, self.repeated) = (0, 0);
        }
        self.noted = commit.recovered.unwrap_or(self.noted);
    }

    async fn make_visible(&mut self, group: Vec<Request>, written: &WrittenGroup, length: u64) {
        let mut commit = self.new_commit(written);
        let end = written.offset + length;
        self.note_position(&mut commit, written, end);
        for request in &group {
            add(&mut commit, request, 0..request.entries.len(), written.offset);
        }
        let blocks = commit.blocks.len() as u64;
        match self.catalog.commit(&commit).await {
            Ok(Committed { added, unannounced }) => {
                self.committed(&commit);
                if added < blocks {
                    self.repeated = self.repeated.max(end);
                }
                self.metrics.blocks_added.inc_by(added);
                self.metrics.blocks_repeated.inc_by(blocks - added.min(blocks));
                answer_all(group, &Ok(()));
                self.unannounced.added(unannounced, &mut self.since_last_look).await;
            }
            // the values of one request are refused, but the error does not say of which: each request gets a transaction
            // of its own, and only the refused one fails
            Err(e @ LakeError::Refused(_)) => {
                tracing::warn!("committing a group of {} requests one by one: {e}", group.len());
                for request in group {
                    let mut commit = self.new_commit(written);
                    add(&mut commit, &request, 0..request.entries.len(), written.offset);
                    let committed = self.catalog.commit(&commit).await;
                    if let Err(e) = &committed {
                        tracing::error!("a request could not be committed: {e}");
                    }
                    let _ = request.answer.send(committed.map(drop));
                }
            }
            Err(e) => {
                tracing::error!("{} requests could not be committed: {e}", group.len());
                answer_all(group, &Err(e));
            }
        }
    }

    /// Makes a part of a large request visible, and answers it after the last one.
    fn commit_part(&mut self, mut large: LargeRequest) {
        let began = Instant::now();
        match self.try_commit_part(&mut large) {
            Ok(()) if large.done < large.request.entries.len() => self.large.push_back(large),
            Ok(()) => {
                self.metrics.blocks_added.inc_by(large.added);
                self.metrics.blocks_repeated.inc_by(large.blocks - large.added.min(large.blocks));
                let _ = large.request.answer.send(Ok(()));
            }
            Err(e) => {
                tracing::error!("a large request could not be stored: {e}");
                let _ = large.request.answer.send(Err(e));
            }
        }
        self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
    }

    fn try_commit_part(&mut self, large: &mut LargeRequest) -> Result<(), LakeError> {
        let written = match large.written.take() {
            Some(written) => written,
            None => {
                let records = std::mem::take(&mut large.request.records);
                let mut written = self.write(records)?;
                self.completed.extend(written.completed.take());
                // others get their turn before the first part: the write took long enough
                large.written = Some(written);
                return Ok(());
            }
        };
        let end = (large.done + GROUP_ENTRIES).min(large.request.entries.len());
        let mut commit = self.new_commit(&written);
        add(&mut commit, &large.request, large.done..end, written.offset);
        let last = written.offset + large.length;
        if end == large.request.entries.len() {
            let repeated = if self.known_object == written.key { self.repeated } else { 0 };
            self.note_position(&mut commit, &written, last.max(repeated));
        }
        let Committed { added, unannounced } = self.runtime.block_on(self.catalog.commit(&commit))?;
        self.committed(&commit);
        large.added += added;
        large.blocks += commit.blocks.len() as u64;
        if large.added < large.blocks && self.known_object == written.key {
            self.repeated = self.repeated.max(last);
        }
        self.runtime.clone().block_on(self.unannounced.added(unannounced, &mut self.since_last_look));
        large.done = end;
        large.written = Some(written);
        Ok(())
    }

    /// Marks complete objects, apart from those that a large request is still being read from.
    fn seal_completed(&mut self) {
        let needed = |key: &String| {
            self.large.iter().filter_map(|large| large.written.as_ref()).any(|written| written.key == *key)
        };
        let (waiting, keys): (Vec<_>, Vec<_>) = self.completed.iter().cloned().partition(needed);
        self.completed = waiting;
        if !keys.is_empty()
            && let Err(e) = self.runtime.block_on(self.catalog.seal(&keys))
        {
            // harmless: the next start reads them once more than needed
            tracing::warn!(objects = ?keys, "could not be marked as complete: {e}");
        }
    }
}

impl Request {
    /// Whose turn it takes: the process that it is about. Connections are no measure, a process may have many; addresses
    /// are none either, they may be a load balancer's.
    fn sender(&self) -> Uuid {
        match self.entries.first() {
            Some(Entry::Process(process)) => process.process_id,
            Some(Entry::Stream(stream)) => stream.process_id,
            Some(Entry::Block(block)) => block.info.process_id,
            None => Uuid::nil(),
        }
    }

    /// About how many bytes it has to be written.
    fn bytes(&self) -> usize {
        let bodies = self.entries.iter().map(|entry| match entry {
            Entry::Block(block) => block.body().len(),
            Entry::Process(_) | Entry::Stream(_) => 512,
        });
        bodies.sum()
    }

    fn is_large(&self) -> bool {
        self.entries.len() > GROUP_ENTRIES
    }

    /// Appends its records, and notes where the payloads are. Nothing is appended if it fails.
    fn append_to(&mut self, records: &mut Vec<u8>) -> Result<(), LakeError> {
        let now = belvedere_model::time::now();
        let entries = std::mem::take(&mut self.entries);
        self.entries = entries.into_iter().map(|e| e.received_at(now)).collect();
        let before = records.len();
        let appended: Result<Vec<usize>, LakeError> =
            self.entries.iter().map(|e| Ok(append(records, e)?.unwrap_or(0))).collect();
        self.payloads = appended.inspect_err(|_| records.truncate(before))?;
        Ok(())
    }
}

fn answer_all(group: Vec<Request>, outcome: &Result<(), LakeError>) {
    for request in group {
        // the sender may be gone
        let _ = request.answer.send(outcome.clone());
    }
}

fn add(commit: &mut Commit, request: &Request, entries: Range<usize>, offset: u64) {
    let entries = request.entries.iter().zip(&request.payloads).take(entries.end).skip(entries.start);
    for (entry, payload) in entries {
        match entry {
            Entry::Process(p) => commit.processes.push(p.clone()),
            Entry::Stream(s) => commit.streams.push(s.clone()),
            Entry::Block(b) => {
                commit.blocks.push(CommitBlock { info: b.info.clone(), offset: offset + *payload as u64 });
            }
        }
    }
}
