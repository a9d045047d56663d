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
//! The order is what makes an answer true: first the records are durable, then the rows are visible, then the sender
//! gets its 200. A crash between the steps leaves records without rows, which nobody was promised, and never rows
//! without records.

use super::catalog::{Catalog, Commit, CommitBlock};
use super::ingest::Reservation;
use super::metrics::Metrics;
use super::objects::{Objects, WrittenGroup};
use super::record::{Entry, append};
use super::{Cause, LakeError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// A group is closed when it has this many bytes: enough to amortize a sync, little enough to hold in memory …
const GROUP_BYTES: usize = 8 << 20;
/// … or this many requests.
const GROUP_REQUESTS: usize = 512;
/// Requests in the queue. Further senders wait for a free slot.
const QUEUE_SLOTS: usize = 1024;

struct Request {
    /// What becomes durable and visible together.
    entries: Vec<Entry>,
    /// For each entry, where in the group's records its payload starts; 0 if it has none.
    payloads: Vec<usize>,
    answer: oneshot::Sender<Result<(), LakeError>>,
    /// Memory that is reserved as long as the request lives, even if its sender is gone.
    _reserved: Option<Reservation>,
}

/// Queue and thread of the commits. [`Committer::close`] finishes the groups under way.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread. Must be called on the runtime that the database's connections were opened on.
    pub(super) fn start(
        catalog: Arc<Catalog>,
        objects: Arc<Objects>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LakeError> {
        let (queue, mut requests) = mpsc::channel(QUEUE_SLOTS);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("lake-commit".to_owned())
            .spawn(move || {
                let mut thread =
                    CommitThread { catalog, objects, metrics, runtime, known_object: String::new() };
                while let Some(first) = requests.blocking_recv() {
                    thread.commit_group(first, &mut requests);
                }
            })
            .map_err(|e| {
                LakeError::Objects(Cause::new(format!("the commit thread can't be started: {e}"), e))
            })?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Adds entries to the lake, all or none. When this returns `Ok`, they are durable and visible. If the caller is
    /// cancelled meanwhile, they are added all the same, and `reserved` is held until they are.
    pub(super) async fn submit(
        &self,
        entries: Vec<Entry>,
        reserved: Option<Reservation>,
    ) -> Result<(), LakeError> {
        let queue = {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.clone().ok_or(LakeError::Closed)?
        };
        let (answer, answered) = oneshot::channel();
        let request = Request { entries, payloads: Vec::new(), answer, _reserved: reserved };
        queue.send(request).await.map_err(|_| LakeError::Closed)?;
        drop(queue);
        answered.await.map_err(|_| LakeError::Closed)?
    }

    /// Accepts no more requests and waits for those that were accepted.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
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
}

impl CommitThread {
    /// Gathers the requests that wait, writes them, makes them visible, and answers.
    fn commit_group(&mut self, first: Request, waiting: &mut mpsc::Receiver<Request>) {
        let began = Instant::now();
        let mut group = Vec::with_capacity(8);
        let mut records = Vec::new();
        let mut next = Some(first);
        while let Some(mut request) = next.take() {
            let now = belvedere_model::time::now();
            request.entries = request.entries.into_iter().map(|e| e.received_at(now)).collect();
            let before = records.len();
            let appended: Result<Vec<usize>, LakeError> =
                request.entries.iter().map(|e| Ok(append(&mut records, e)?.unwrap_or(0))).collect();
            match appended {
                Ok(payloads) => {
                    request.payloads = payloads;
                    group.push(request);
                }
                // only this request fails: what it appended is removed
                Err(e) => {
                    records.truncate(before);
                    let _ = request.answer.send(Err(e));
                }
            }
            if records.len() < GROUP_BYTES && group.len() < GROUP_REQUESTS {
                next = waiting.try_recv().ok();
            }
        }
        if group.is_empty() {
            return;
        }
        match self.objects.write(records, &self.runtime) {
            Ok(written) => {
                let runtime = self.runtime.clone();
                runtime.block_on(self.make_visible(group, &written));
            }
            Err(e) => {
                tracing::error!("{} requests could not be stored: {e}", group.len());
                answer_all(group, &Err(e));
            }
        }
        self.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
    }

    async fn make_visible(&mut self, group: Vec<Request>, written: &WrittenGroup) {
        let is_new_object = self.known_object != written.key;
        let (catalog, metrics) = (&self.catalog, &self.metrics);
        let new_commit = || Commit {
            object_key: written.key.clone(),
            is_new_object,
            seals: written.is_complete,
            ..Commit::default()
        };
        let mut commit = new_commit();
        for request in &group {
            add(&mut commit, request, written.offset);
        }
        let blocks = commit.blocks.len() as u64;
        match catalog.commit(&commit).await {
            Ok(added) => {
                if blocks > 0 && is_new_object {
                    self.known_object.clone_from(&written.key);
                }
                metrics.blocks_added.inc_by(added);
                metrics.blocks_repeated.inc_by(blocks - added.min(blocks));
                answer_all(group, &Ok(()));
            }
            // the values of one request are refused, but the error does not say of which: each request gets a transaction
            // of its own, and only the refused one fails
            Err(e @ LakeError::Refused(_)) => {
                tracing::warn!("committing a group of {} requests one by one: {e}", group.len());
                for request in group {
                    let mut commit = new_commit();
                    add(&mut commit, &request, written.offset);
                    let committed = catalog.commit(&commit).await;
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
        if let Some(key) = &written.completed
            && let Err(e) = catalog.seal(key).await
        {
            // harmless: the next start reads it once more than needed
            tracing::warn!(object = key, "could not be marked as complete: {e}");
        }
    }
}

fn answer_all(group: Vec<Request>, outcome: &Result<(), LakeError>) {
    for request in group {
        // the sender may be gone
        let _ = request.answer.send(outcome.clone());
    }
}

fn add(commit: &mut Commit, request: &Request, offset: u64) {
    for (entry, payload) in request.entries.iter().zip(&request.payloads) {
        match entry {
            Entry::Process(p) => commit.processes.push(p.clone()),
            Entry::Stream(s) => commit.streams.push(s.clone()),
            Entry::Block(b) => {
                commit.blocks.push(CommitBlock { info: b.info.clone(), offset: offset + *payload as u64 });
            }
        }
    }
}
