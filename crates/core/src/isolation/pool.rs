//! The query processes of a server: who is free, who must go.

use super::OUT_OF_MEMORY;
use super::frame::{Frame, Tag};
use super::job::{Ended, Job, Progress};
use super::scratch::{Scratch, delete};
use super::spool::{Spool, SpoolDisk};
use crate::error::QueryError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// How long a process may take to start.
const START: Duration = Duration::from_secs(30);
/// How long a process whose answer nobody wants may go on before it is killed.
const CANCEL: Duration = Duration::from_millis(500);
/// How long to wait for processes at work when a server stops.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How long more than one process may be idle.
const IDLE: Duration = Duration::from_secs(10);
/// Why a process ended that reached its limit.
pub(crate) const LOST_BY_MEMORY: &str = "memory";
/// Messages of a process that wait to be looked at.
const AHEAD: usize = 2;

/// Makes the command of a query process that puts temporary files into a directory.
type MakeCommand = Box<dyn Fn(&Path) -> Command + Send + Sync>;

/// What the query processes of a server are.
pub struct WorkerOptions {
    /// Starts one, which calls [`work`](super::work()). Standard input and output are for the server.
    pub command: MakeCommand,
    /// Processes that run queries at once.
    pub count: usize,
    /// Bytes for the operators of one query, which spill to disk beyond.
    pub memory_bytes: usize,
    /// Bytes that a process ends at, for messages.
    pub limit_bytes: usize,
    /// Bytes of disk for all of them together.
    pub spill_bytes: u64,
    /// Where temporary files go.
    pub scratch: Arc<Scratch>,
}

impl std::fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerOptions").field("count", &self.count).finish_non_exhaustive()
    }
}

/// The query processes of a server.
#[derive(Debug)]
pub struct Workers {
    options: WorkerOptions,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Process>>,
    /// Bytes that queries have on disk, by lease.
    spilled: Mutex<BTreeMap<u64, u64>>,
    /// And rows that wait for clients.
    spools: Arc<SpoolDisk>,
    leases: AtomicU64,
}

/// What a process says.
#[derive(Debug)]
pub(crate) enum Told {
    Rows(Bytes),
    Progress(Progress),
    Ended(Box<Ended>),
    /// It is gone: the reason for `/metrics`, and the failure of its query.
    Lost(&'static str, QueryError),
}

impl Workers {
    /// Processes are started as they are needed.
    pub fn new(options: WorkerOptions) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(options.count.max(1))),
            spools: SpoolDisk::new(options.spill_bytes),
            options,
            idle: Mutex::default(),
            spilled: Mutex::default(),
            leases: AtomicU64::new(0),
        })
    }

    pub(crate) fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// Room for rows that wait for a client.
    pub(crate) fn spool(&self) -> Spool {
        Spool::new(&self.options.scratch.file("rows"), self.spools.clone())
    }

    /// Starts a process before somebody waits for it.
    pub async fn warm_up(self: &Arc<Self>) -> Result<(), crate::Error> {
        let Ok(_free) = self.free.clone().acquire_owned().await else { return Ok(()) };
        let mut process = Process::start(&self.options)?;
        if !process.ready().await {
            return Err(crate::Error::other("a query process could not be started: see the log"));
        }
        self.idle().push(process);
        Ok(())
    }

    /// Ends all processes, and waits until they are gone: a lake that is closed has no other users then.
    pub async fn close(&self) {
        let all = u32::try_from(self.options.count.max(1)).unwrap_or(u32::MAX);
        // those at work give up soon: nobody waits for them any more
        let free = timeout(GIVE_UP, self.free.clone().acquire_many_owned(all)).await;
        self.free.close();
        drop(free);
        let idle = std::mem::take(&mut *self.idle());
        for mut process in idle {
            process.kill_and_wait().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        // every change is a single operation
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job to a process, when one is free.
    pub(crate) async fn begin(self: &Arc<Self>, job: &Job) -> Result<Lease, QueryError> {
        let lost = |what: &str| QueryError::Internal(format!("{what}: the log of the server has details"));
        let free = self.free.clone().acquire_owned().await.map_err(|_| lost("the server is stopping"))?;
        let job =
            Bytes::from(serde_json::to_vec(job).map_err(|e| lost(&format!("the query can't be sent: {e}")))?);
        // one that was idle may have been killed by somebody else meanwhile
        for _ in 0..2 {
            let idle = self.idle().pop();
            let mut process = match idle {
                Some(process) => process,
                None => {
                    let mut process = Process::start(&self.options)
                        .map_err(|e| lost(&format!("a query process could not be started: {e}")))?;
                    if !process.ready().await {
                        continue;
                    }
                    process
                }
            };
            if process.send(Frame::new(Tag::Job, job.clone())).await && process.ready().await {
                let number = self.leases.fetch_add(1, Ordering::Relaxed);
                return Ok(Lease { workers: self.clone(), process: Some(process), number, free: Some(free) });
            }
        }
        Err(lost("query processes end before they begin"))
    }

    /// Takes a process back that has done its job.
    fn take_back(self: &Arc<Self>, process: Process) {
        self.idle().push(process);
        if let Ok(runtime) = Handle::try_current() {
            let workers = Arc::downgrade(self);
            runtime.spawn(async move {
                tokio::time::sleep(IDLE).await;
                let unused = workers.upgrade().and_then(|workers| {
                    let mut idle = workers.idle();
                    // the one that was used last has warm caches
                    (idle.len() > 1).then(|| idle.remove(0))
                });
                drop(unused);
            });
        }
    }

    /// Notes what a query has on disk. False if all together have more than they may.
    fn note_spilled(&self, lease: u64, bytes: u64) -> bool {
        let mut spilled = self.spilled.lock().unwrap_or_else(PoisonError::into_inner);
        match bytes {
            0 => spilled.remove(&lease),
            bytes => spilled.insert(lease, bytes),
        };
        bytes == 0 || spilled.values().sum::<u64>() + self.spools.used() <= self.options.spill_bytes
    }
}

/// A process that works for one query. Dropping it before the end ends the query: kindly at first.
#[derive(Debug)]
pub(crate) struct Lease {
    workers: Arc<Workers>,
    process: Option<Process>,
    number: u64,
    free: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// What the process says next. After the end, or a loss, nothing more comes.
    pub(crate) async fn next(&mut self) -> Told {
        let lost = || QueryError::Internal("the query process is gone".to_owned());
        let Some(process) = &mut self.process else { return Told::Lost("crash", lost()) };
        let told = process.next(self.workers.options.limit_bytes).await;
        match &told {
            Told::Progress(progress) if !self.workers.note_spilled(self.number, progress.spilled_bytes) => {
                return Told::Lost(
                    "disk",
                    QueryError::Resources(format!(
                        "all queries together have reached the limit of {} MiB of disk for spilling: narrow the query, \
                         try again when fewer queries are running, or raise the limits on disk space or memory",
                        self.workers.options.spill_bytes >> 20
                    )),
                );
            }
            Told::Ended(ended) => {
                let process = self.process.take().filter(|_| !ended.is_worn);
                if let Some(process) = process {
                    self.workers.take_back(process);
                }
                self.free = None;
            }
            Told::Lost(..) => self.process = None,
            _ => {}
        }
        told
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.workers.note_spilled(self.number, 0);
        let Some(mut process) = self.process.take() else { return };
        // its memory is not free before it has given it back, or is gone
        let (workers, free) = (self.workers.clone(), self.free.take());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if process.send(Frame::new(Tag::Cancel, Bytes::new())).await
                    && let Ok(Some(false)) = timeout(CANCEL, process.end()).await
                {
                    workers.take_back(process);
                } else {
                    process.kill_and_wait().await;
                }
                drop(free);
            });
        }
    }
}

/// What the thread hears that listens to a process.
#[derive(Debug)]
enum Heard {
    Frame(Frame),
    Gone(Option<ExitStatus>),
}

/// A query process. Dropping it kills it.
#[derive(Debug)]
struct Process {
    child: Arc<Mutex<Child>>,
    input: Option<ChildStdin>,
    heard: mpsc::Receiver<Heard>,
}

impl Process {
    fn start(options: &WorkerOptions) -> Result<Self, crate::Error> {
        let scratch = options.scratch.part()?;
        let mut child = (options.command)(&scratch).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let child = Arc::new(Mutex::new(child));
        let (sender, heard) = mpsc::channel(AHEAD);
        let process = Self { child: child.clone(), input, heard };
        std::thread::Builder::new().name("query-process".to_owned()).spawn(move || {
            let mut output = output.map(|output| BufReader::with_capacity(256 << 10, output));
            while let Some(Ok(Some(frame))) = output.as_mut().map(Frame::read) {
                if sender.blocking_send(Heard::Frame(frame)).is_err() {
                    break;
                }
            }
            let status = {
                let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
                // it said nothing that makes sense, or is gone already; its exit code stays what it is then
                let _ = child.kill();
                child.wait()
            };
            // nobody may be left who wants to know
            let _ = sender.blocking_send(Heard::Gone(status.ok()));
            drop(sender);
            remove(scratch);
        })?;
        Ok(process)
    }

    async fn send(&mut self, frame: Frame) -> bool {
        let Some(mut input) = self.input.take() else { return false };
        // a process reads at once whatever it is busy with; a long statement is larger than the pipe all the same
        let sent = tokio::task::spawn_blocking(move || frame.write(&mut input).map(|()| input));
        self.input = sent.await.ok().and_then(Result::ok);
        self.input.is_some()
    }

    /// Waits until it has said that it is ready.
    async fn ready(&mut self) -> bool {
        matches!(
            timeout(START, self.heard.recv()).await,
            Ok(Some(Heard::Frame(Frame { tag: Tag::Ready, .. })))
        )
    }

    /// Waits for the end of its job: whether it is worn; `None` if it is gone.
    async fn end(&mut self) -> Option<bool> {
        loop {
            match self.heard.recv().await? {
                Heard::Frame(Frame { tag: Tag::End, bytes }) => {
                    return serde_json::from_slice::<Ended>(&bytes).ok().map(|ended| ended.is_worn);
                }
                Heard::Frame(_) => {}
                Heard::Gone(_) => return None,
            }
        }
    }

    async fn next(&mut self, limit: usize) -> Told {
        let nonsense = || QueryError::Internal("a query process said what makes no sense".to_owned());
        match self.heard.recv().await {
            Some(Heard::Frame(Frame { tag: Tag::Rows, bytes })) => Told::Rows(bytes),
            Some(Heard::Frame(Frame { tag: Tag::Progress, bytes })) => serde_json::from_slice(&bytes)
                .map_or_else(|_| Told::Lost("crash", nonsense()), Told::Progress),
            Some(Heard::Frame(Frame { tag: Tag::End, bytes })) => {
                serde_json::from_slice(&bytes).map_or_else(|_| Told::Lost("crash", nonsense()), Told::Ended)
            }
            Some(Heard::Frame(_)) => Told::Lost("crash", nonsense()),
            Some(Heard::Gone(status)) => lost(status, limit),
            None => lost(None, limit),
        }
    }

    fn kill(&self) {
        // one that is gone already can't be killed, and need not be
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    async fn kill_and_wait(&mut self) {
        self.kill();
        while let Some(Heard::Frame(_)) = self.heard.recv().await {}
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn remove(scratch: PathBuf) {
    delete(&scratch);
}

/// Why a process ended before its query: the reason for `/metrics`, and what its asker is told.
fn lost(status: Option<ExitStatus>, limit: usize) -> Told {
    let memory = status.is_some_and(|status| status.code() == Some(OUT_OF_MEMORY));
    if memory {
        let text = format!(
            "the query needed more than {} MiB of memory, the most that one query may have (--query-memory): narrow it, \
             ask for shorter texts or lists, or raise the limit",
            limit >> 20
        );
        return Told::Lost(LOST_BY_MEMORY, QueryError::Resources(text));
    }
    let how = status.map_or_else(|| "for an unknown reason".to_owned(), |status| status.to_string());
    tracing::error!("a query process ended before its query: {how}");
    let text = "the query ended the process that answered it, by an expression that is too deep or too large, or because \
                the machine had no memory left: simplify or narrow it";
    Told::Lost("crash", QueryError::Resources(text.to_owned()))
}
