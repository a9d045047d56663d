//! Group commit: requests that wait together share one object write and one transaction.
//!
//! Nobody waits for a timer. While one group is being written, the next requests gather, and they become
//! the next group: a lone sender gets the disk's own latency, a crowd shares it.
//!
//! ```text
//! requests ─▶ gather ─▶ write records, make them durable ─▶ transaction ─▶ answers
//! ```

use super::LakeError;
use super::catalog::{Catalog, Commit, CommitBlock};
use super::metrics::Metrics;
use super::objects::{Objects, Written};
use super::record::{Entry, append};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A group is closed when it has this many bytes …
const GROUP_BYTES: usize = 8 << 20;
/// … or this many requests.
const GROUP_REQUESTS: usize = 512;
/// Requests that may wait for their turn; more wait for a place in the queue.
const QUEUE: usize = 1024;

type Answer = oneshot::Sender<Result<(), LakeError>>;

struct Request {
    entry: Entry,
    answer: Answer,
}

/// A group whose records are being written.
struct Group {
    requests: Vec<Request>,
    /// Where in the group's records the payload of each request starts; 0 if it has none.
    payloads: Vec<usize>,
    written: JoinHandle<Result<Written, LakeError>>,
    began: Instant,
}

/// The way into the lake. Closing it lets the groups under way come to their end.
#[derive(Debug)]
pub(super) struct Committer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Request>>>,
    done: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn start(catalog: Arc<Catalog>, objects: Arc<Objects>, metrics: Arc<Metrics>) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let (groups, to_commit) = mpsc::channel(objects.concurrency());
        tokio::spawn(gather(requests, objects, groups));
        let done = tokio::spawn(commit_groups(to_commit, catalog, metrics));
        Self { queue: std::sync::Mutex::new(Some(queue)), done: tokio::sync::Mutex::new(Some(done)) }
    }

    /// Adds an entry to the lake. When this returns `Ok`, the entry is durable and visible. If the caller
    /// goes away meanwhile, the entry is added all the same.
    pub(super) async fn submit(&self, entry: Entry) -> Result<(), LakeError> {
        let queue = {
            let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            queue.clone().ok_or(LakeError::Closed)?
        };
        let (answer, answered) = oneshot::channel();
        queue.send(Request { entry, answer }).await.map_err(|_| LakeError::Closed)?;
        answered.await.map_err(|_| LakeError::Closed)?
    }

    /// Takes no more requests and waits for those that were taken.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(done) = self.done.lock().await.take() {
            let _ = done.await;
        }
    }
}

/// First half: takes what waits, and writes it.
async fn gather(mut requests: mpsc::Receiver<Request>, objects: Arc<Objects>, groups: mpsc::Sender<Group>) {
    let slots = Arc::new(Semaphore::new(objects.concurrency()));
    loop {
        // the slot comes first, so that requests gather while the disk is busy
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let Some(first) = requests.recv().await else { return };
        let began = Instant::now();
        let mut group = Vec::with_capacity(8);
        let mut payloads = Vec::with_capacity(8);
        let mut records = Vec::new();
        let mut next = Some(first);
        while let Some(Request { entry, answer }) = next.take() {
            let entry = entry.received_at(crate::time::now());
            let before = records.len();
            match append(&mut records, &entry) {
                Ok(payload) => {
                    payloads.push(payload.unwrap_or(0));
                    group.push(Request { entry, answer });
                }
                Err(e) => {
                    records.truncate(before);
                    let _ = answer.send(Err(e));
                }
            }
            if records.len() < GROUP_BYTES && group.len() < GROUP_REQUESTS {
                next = requests.try_recv().ok();
            }
        }
        if group.is_empty() {
            continue;
        }
        let objects = objects.clone();
        let written = tokio::spawn(async move {
            let written = objects.write(records).await;
            drop(slot);
            written
        });
        if groups.send(Group { requests: group, payloads, written, began }).await.is_err() {
            return;
        }
    }
}

/// Second half: makes written groups visible, one after the other, and answers.
async fn commit_groups(mut groups: mpsc::Receiver<Group>, catalog: Arc<Catalog>, metrics: Arc<Metrics>) {
    while let Some(group) = groups.recv().await {
        let written = match group.written.await {
            Ok(written) => written,
            Err(e) => Err(LakeError::Objects(format!("writing ended early: {e}"))),
        };
        match written {
            Ok(written) => commit_group(&catalog, &metrics, group.requests, &group.payloads, &written).await,
            Err(e) => {
                tracing::error!("{} requests could not be stored: {e}", group.requests.len());
                for request in group.requests {
                    let _ = request.answer.send(Err(e.clone()));
                }
            }
        }
        metrics.commit_seconds.observe(group.began.elapsed().as_secs_f64());
    }
}

async fn commit_group(
    catalog: &Catalog,
    metrics: &Metrics,
    requests: Vec<Request>,
    payloads: &[usize],
    written: &Written,
) {
    let new_commit =
        || Commit { object_key: written.key.clone(), seals: written.is_complete, ..Commit::default() };
    let mut commit = new_commit();
    for (request, payload) in requests.iter().zip(payloads) {
        add(&mut commit, &request.entry, written.offset + *payload as u64);
    }
    let blocks = commit.blocks.len() as u64;
    match catalog.commit(&commit).await {
        Ok(added) => {
            metrics.blocks_added.inc_by(added);
            metrics.blocks_repeated.inc_by(blocks - added.min(blocks));
            for request in requests {
                let _ = request.answer.send(Ok(()));
            }
        }
        // one request that the database can't take must not cost the others theirs
        Err(e @ LakeError::Refused(_)) => {
            tracing::warn!("a group of {} requests is committed one by one: {e}", requests.len());
            for (request, payload) in requests.into_iter().zip(payloads) {
                let mut commit = new_commit();
                add(&mut commit, &request.entry, written.offset + *payload as u64);
                let committed = catalog.commit(&commit).await;
                if let Err(e) = &committed {
                    tracing::error!("a request could not be committed: {e}");
                }
                let _ = request.answer.send(committed.map(drop));
            }
        }
        Err(e) => {
            tracing::error!("{} requests could not be committed: {e}", requests.len());
            for request in requests {
                let _ = request.answer.send(Err(e.clone()));
            }
        }
    }
    if let Some(key) = &written.completed
        && let Err(e) = catalog.seal(key).await
    {
        // it will be read back once more than needed, at the next start
        tracing::warn!(object = key, "could not be marked as complete: {e}");
    }
}

fn add(commit: &mut Commit, entry: &Entry, offset: u64) {
    match entry {
        Entry::Process(p) => commit.processes.push(p.clone()),
        Entry::Stream(s) => commit.streams.push(s.clone()),
        Entry::Block(b) => commit.blocks.push(CommitBlock { info: b.info.clone(), offset }),
    }
}
