//! The service behind every protocol that queries come by: who may ask, whose turn it is, what a query may use, and
//! what is written down of it.
//!
//! A query runs as a task of a runtime of its own, and its rows go through a channel of a few batches: a client that
//! does not read stops the work, and one that goes away ends it. Its limits are kept by another task, in the runtime of
//! whoever asked, so that they hold whatever the client does and however long the query does not look up from its work.
//!
//! Invariant: an answer that ends without an error is whole.

mod elsewhere;
mod queue;
mod record;
#[cfg(test)]
mod tests;

use crate::Lake;
use crate::isolation::Workers;
use crate::metrics::metrics;
use crate::query::{
    ClientInfo, Description, Place, QueryContext, QueryError, QueryMemory, QueryRequest, QueryResult,
    RunningQuery, ScanPlan, Statement, WorkDone, check_length, panic_error, streams,
};
use crate::scan::QueryReport;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_lake::access::{Caller, Right};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use queue::{Queue, Slot};
use record::{End, Stages};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Registers [`Routes`](belvedere_lake::Routes) around the query service, and keeps them as the static `REGISTRATION` of
/// the module.
#[macro_export]
macro_rules! register_query_routes {
    ($routes:expr) => {
        $crate::__view::register_extension!(
            REGISTRATION,
            $crate::__lake::Routes<$crate::service::QueryService>,
            $routes
        );
    };
}

/// Batches that wait for a client to take them.
const BATCHES_AHEAD: usize = 4;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// Bytes of memory for one query; what can spill to disk does so beyond, the rest fails.
    pub memory_bytes: usize,
    /// From a query's arrival until its last row is taken.
    pub time: Duration,
    /// The same for clients in front of which somebody waits.
    pub interactive_time: Duration,
    /// Queries that run at once; others wait, and callers take turns.
    pub concurrent: usize,
    /// Queries that wait; more are refused.
    pub waiting: usize,
    /// How long a client may take no row that is there.
    pub stalled: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 512 << 20,
            time: Duration::from_secs(600),
            interactive_time: Duration::from_secs(60),
            concurrent: cores.saturating_mul(4).max(8),
            waiting: 1000,
            stalled: Duration::from_secs(60),
        }
    }
}

/// An answer on its way.
pub struct Answer {
    /// The name of the query, as `list_queries()` has it.
    pub query_id: Uuid,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub rows: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// What the query did; complete when the last row has been taken.
    pub report: Arc<QueryReport>,
}

/// Answers queries of callers, within limits.
#[derive(Debug)]
pub struct QueryService {
    lake: Lake,
    limits: QueryLimits,
    queue: Arc<Queue>,
    elsewhere: Option<Elsewhere>,
    runtime: Handle,
}

/// The processes that queries run in, and the turns of those.
#[derive(Debug, Clone)]
struct Elsewhere {
    workers: Arc<Workers>,
    queue: Arc<Queue>,
}

impl QueryService {
    /// Asks this lake, within these limits; queries run in `runtime`.
    pub fn new(lake: Lake, limits: QueryLimits, runtime: Handle) -> Self {
        let queue = Queue::new(limits.concurrent, limits.waiting);
        Self { lake, limits, queue, elsewhere: None, runtime }
    }

    /// The same with processes for what may take more than it reads. Without them everything runs in this one.
    #[must_use]
    pub fn with_workers(mut self, workers: Arc<Workers>) -> Self {
        let queue = Queue::new(workers.options().count, self.limits.waiting);
        self.elsewhere = Some(Elsewhere { workers, queue });
        self
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The runtime that queries run in. Work for a query that costs, encoding its rows say, belongs there too: threads
    /// that serve the network have others to serve.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Begins to answer: waits for its turn, plans, and comes back when rows may come. Dropping what it returned, or
    /// not waiting for it, ends the query.
    pub fn run(&self, request: QueryRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(async move {
            let listed = self.admit(&request)?;
            let is_strict = request.is_strict;
            let (query_id, report) = (listed.query.id, listed.query.report.clone());
            let work = Arc::new(self.work(&listed, request));
            let (begin, begun) = oneshot::channel();
            let (sender, rows) = mpsc::channel(BATCHES_AHEAD);
            let (ended, mut end) = watch::channel(None);
            let mut task = JoinSet::new();
            task.spawn_on(work.clone().answer(begin, sender.clone()), &self.runtime);
            tokio::spawn(supervise(work, listed, task, sender, ended));
            tokio::select! {
                biased;
                Ok(schema) = begun => {
                    let wanted_whole = is_strict.then(|| report.clone());
                    Ok(Answer { query_id, schema, rows: row_stream(rows, end, query_id, wanted_whole), report })
                }
                error = failure(&mut end, query_id) => Err(error),
            }
        })
    }

    /// Plans a statement without running it, within the same limits. Not waiting for it ends it.
    pub fn describe<'a>(
        &'a self,
        request: &'a QueryRequest,
    ) -> BoxFuture<'a, Result<Description, QueryError>> {
        Box::pin(async move {
            let listed = self.admit(request)?;
            let work = Arc::new(self.work(&listed, request.clone()));
            let mut task = JoinSet::new();
            task.spawn_on(work.clone().describe(), &self.runtime);
            let described = work.within_limits(task).await;
            // one that goes on to run is written down then
            if let Err(error) = &described {
                work.note(&End::Failed(error.clone()));
            }
            described
        })
    }

    fn work(&self, listed: &Listed, request: QueryRequest) -> Work {
        Work {
            lake: self.lake.clone(),
            limits: self.limits.clone(),
            queue: self.queue.clone(),
            elsewhere: self.elsewhere.clone(),
            place: OnceLock::new(),
            query: listed.query.clone(),
            request,
            progress: Mutex::default(),
        }
    }

    /// Ends a query: one of the caller's own, or anybody's for administrators. False if there is none that the caller
    /// may know of.
    pub fn cancel(&self, query_id: Uuid, caller: &Caller) -> bool {
        self.lake.running().cancel(query_id, caller)
    }

    fn admit(&self, request: &QueryRequest) -> Result<Listed, QueryError> {
        request.caller.check(Right::Read)?;
        check_length(&request.sql)?;
        let client = attributed(&request.caller, &request.client)?;
        let query = self.lake.running().add(request.query_id, |id| {
            RunningQuery::new(
                id,
                request.sql.clone(),
                (request.range, request.limit),
                (request.caller.clone(), client),
                Arc::new(QueryMemory::new(self.lake.memory().clone(), self.limits.memory_bytes)),
            )
        });
        Ok(Listed { lake: self.lake.clone(), query })
    }
}

/// What a client says of its user, as far as the caller may say so.
fn attributed(caller: &Caller, client: &ClientInfo) -> Result<ClientInfo, QueryError> {
    if caller.may_speak_for_others {
        return Ok(client.clone());
    }
    let is_theirs =
        |claim: &String| *claim == caller.name || caller.email.as_ref().is_some_and(|email| claim == email);
    match [&client.user_id, &client.user_email].into_iter().flatten().find(|claim| !is_theirs(claim)) {
        Some(claim) => Err(QueryError::Rights(format!(
            "'{}' can't query on behalf of '{claim}': only a key can act for other users",
            caller.name
        ))),
        None => Ok(ClientInfo { user_id: None, user_email: None, ..client.clone() }),
    }
}

fn task_lost(query_id: Uuid) -> QueryError {
    QueryError::Internal(format!("query {query_id} failed inside the server: its log has details"))
}

/// How a query came to its end, once it has.
type Ended = Option<Result<(), QueryError>>;

/// The rows as they come. The channel's end is only the answer's end if the query says so.
fn row_stream(
    rows: mpsc::Receiver<RecordBatch>,
    end: watch::Receiver<Ended>,
    query_id: Uuid,
    wanted_whole: Option<Arc<QueryReport>>,
) -> BoxStream<'static, Result<RecordBatch, QueryError>> {
    let missing = move || wanted_whole.as_ref().map_or(0, |report| report.fault_count());
    futures::stream::unfold(Some((rows, end, missing)), move |state| async move {
        let (mut rows, mut end, missing) = state?;
        let next = tokio::select! {
            biased;
            batch = rows.recv() => batch,
            // one that does not look up from its work holds the channel open
            error = failure(&mut end, query_id) => return Some((Err(error), None)),
        };
        match next {
            Some(_) if missing() > 0 => Some((Err(QueryError::incomplete(missing())), None)),
            Some(batch) => Some((Ok(batch), Some((rows, end, missing)))),
            None => match end.wait_for(Option::is_some).await.map(|end| end.clone()) {
                Ok(Some(Ok(()))) if missing() > 0 => Some((Err(QueryError::incomplete(missing())), None)),
                Ok(Some(Ok(()))) => None,
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) | Err(_) => Some((Err(task_lost(query_id)), None)),
            },
        }
    })
    .fuse()
    .boxed()
}

/// Waits for an end that is a failure, for ever if it is none.
async fn failure(end: &mut watch::Receiver<Ended>, query_id: Uuid) -> QueryError {
    let ended = end.wait_for(Option::is_some).await.map(|end| end.clone());
    match ended {
        Ok(Some(Err(error))) => error,
        Ok(_) => std::future::pending().await,
        Err(_) => task_lost(query_id),
    }
}

/// Is in the list of queries as long as it lives.
struct Listed {
    lake: Lake,
    query: Arc<RunningQuery>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.lake.running().remove(self.query.id);
    }
}

/// Clients in front of which somebody waits.
const INTERACTIVE: [&str; 2] = ["grafana", "web"];

/// How long a query may take, and why.
struct LimitOfTime {
    most: Duration,
    of: String,
    flag: &'static str,
}

/// One query at work.
struct Work {
    lake: Lake,
    limits: QueryLimits,
    queue: Arc<Queue>,
    elsewhere: Option<Elsewhere>,
    place: OnceLock<Place>,
    request: QueryRequest,
    query: Arc<RunningQuery>,
    progress: Mutex<Progress>,
}

/// How far it came.
#[derive(Default)]
struct Progress {
    stages: Stages,
    plan: Option<Arc<dyn ExecutionPlan>>,
    /// What a plan of another process did.
    work: Option<WorkDone>,
}

/// Sees that a query comes to its end, whatever its task is busy with, and writes down how.
async fn supervise(
    work: Arc<Work>,
    listed: Listed,
    task: JoinSet<Result<End, QueryError>>,
    rows: mpsc::Sender<RecordBatch>,
    ended: watch::Sender<Ended>,
) {
    let end = tokio::select! {
        biased;
        () = rows.closed() => End::Left,
        end = work.within_limits(task) => end.unwrap_or_else(End::Failed),
    };
    work.query.over.store(true, Ordering::Relaxed);
    work.note(&end);
    drop((listed, rows));
    ended.send_replace(Some(match end {
        End::Failed(error) => Err(error),
        End::Done | End::Left => Ok(()),
    }));
}

impl Work {
    /// Lets a task go on until it is done, somebody ends it, or its time is over. It does not go on without this.
    async fn within_limits<T: Send + 'static>(
        &self,
        mut task: JoinSet<Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let time = self.time();
        let over = tokio::time::sleep(time.saturating_sub(self.query.arrived.elapsed()));
        let ended = tokio::select! {
            biased;
            by = self.query.cancelled() => {
                Err(QueryError::Cancelled(format!("the query was cancelled by '{by}'")))
            }
            () = over => Err(self.too_long()),
            done = task.join_next() => match done {
                Some(Ok(done)) => done,
                Some(Err(lost)) if lost.is_panic() => Err(panic_error(lost.into_panic().as_ref())),
                Some(Err(_)) | None => Err(task_lost(self.query.id)),
            },
        };
        if ended.is_err() {
            self.query.over.store(true, Ordering::Relaxed);
        }
        ended
    }

    /// What it may take, from its arrival.
    fn time(&self) -> Duration {
        let LimitOfTime { most, .. } = self.limit_of_time();
        most
    }

    fn limit_of_time(&self) -> LimitOfTime {
        let Some(client) = self.query.client.client.as_deref().filter(|client| INTERACTIVE.contains(client))
        else {
            return LimitOfTime { most: self.limits.time, of: "queries".to_owned(), flag: "--query-time" };
        };
        let of = format!("queries of interactive clients such as '{client}'");
        LimitOfTime {
            most: self.limits.interactive_time.min(self.limits.time),
            of,
            flag: "--interactive-query-time",
        }
    }

    fn too_long(&self) -> QueryError {
        let LimitOfTime { most, of, flag } = self.limit_of_time();
        QueryError::TooLong(format!(
            "the query took longer than {most:?}, the limit for {of}: narrow it, preferably its time range, or raise the \
             limit ({flag})"
        ))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // nothing in here panics between two changes that belong together
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, end: &End) {
        let (stages, plan, work) = {
            let progress = self.progress();
            (progress.stages, progress.plan.clone(), progress.work)
        };
        let work = work.or_else(|| plan.as_deref().map(WorkDone::measure)).unwrap_or_default();
        record::write(&self.query, end, stages, work);
        let metrics = metrics(self.lake.connection());
        metrics.query_ended(record::status(end), self.query.arrived.elapsed());
        if let End::Failed(error) = end {
            metrics.query_failed(error.kind());
        }
    }

    /// Waits until it may be planned. Whoever holds the turn is at work on the query.
    async fn turn(&self, queue: &Arc<Queue>) -> Result<Slot, QueryError> {
        let turn = match self.query.is_urgent() {
            true => Ok(Slot::extra()),
            // names are not told apart from those that others chose
            false => queue.turn(&format!("{:?}", self.query.caller.identity), self.query.user()).await,
        };
        let turn = turn.map_err(|full| {
            QueryError::Resources(format!("{} queries are already waiting: try again later", full.waiting))
        })?;
        self.progress().stages.waited = self.query.arrived.elapsed();
        self.query.is_running.store(true, Ordering::Relaxed);
        Ok(turn)
    }

    /// Whether it may be asked, and the processes that answer it, if the server does not.
    async fn elsewhere(&self) -> Result<Option<Elsewhere>, QueryError> {
        self.lake.deny_rules().check(self.lake.connection(), &self.query).await?;
        let Some(elsewhere) = &self.elsewhere else { return Ok(None) };
        match self.place() {
            Place::Here | Place::HereOnly => Ok(None),
            Place::Elsewhere => Ok(Some(elsewhere.clone())),
            Place::Nowhere => Err(QueryError::Unsupported(
                "list_queries(), cancel_query() and the functions of deny rules can only be used in a SELECT of one table \
                 with columns, comparisons, WHERE, ORDER BY and LIMIT: take their rows, and compute elsewhere"
                    .to_owned(),
            )),
        }
    }

    /// What the query works with, as the lake is now.
    async fn prepared(&self) -> Result<(QueryContext, Statement), QueryError> {
        self.lake.refresh().await;
        let context = self.lake.context(self.request.range).for_query(&self.query)?;
        Ok((context, Statement::new(&self.request, self.lake.first_problem())))
    }

    async fn describe(self: Arc<Self>) -> Result<Description, QueryError> {
        if let Some(Elsewhere { workers, queue }) = self.elsewhere().await? {
            let _turn = self.turn(&queue).await?;
            return self.describe_elsewhere(&workers).await;
        }
        let turn = self.turn(&self.queue).await?;
        let (context, statement) = self.prepared().await?;
        context.describe(statement, turn).await
    }

    async fn answer(
        self: Arc<Self>,
        begin: oneshot::Sender<SchemaRef>,
        rows: mpsc::Sender<RecordBatch>,
    ) -> Result<End, QueryError> {
        let elsewhere = match self.elsewhere().await? {
            Some(elsewhere) => elsewhere,
            None => {
                let turn = self.turn(&self.queue).await?;
                let (context, statement) = self.prepared().await?;
                let (result, turn) = context.answer(statement, turn).await?;
                let is_stream = || {
                    let has_large_rows = result.report.scans().iter().any(ScanPlan::has_large_rows);
                    result.plan.as_deref().is_none_or(streams) && !has_large_rows
                };
                match &self.elsewhere {
                    // a table that is SQL over others
                    Some(elsewhere) if self.place() != Place::HereOnly && !is_stream() => elsewhere.clone(),
                    _ => return self.stream(result, turn, begin, rows).await,
                }
            }
        };
        let turn = self.turn(&elsewhere.queue).await?;
        self.answer_elsewhere(&elsewhere.workers, turn, begin, rows).await
    }

    fn place(&self) -> Place {
        *self.place.get_or_init(|| Place::of(&self.request.sql, self.request.parameters.as_ref()))
    }

    /// Hands on the rows of a plan of this process.
    async fn stream(
        &self,
        mut result: QueryResult,
        turn: Slot,
        begin: oneshot::Sender<SchemaRef>,
        rows: mpsc::Sender<RecordBatch>,
    ) -> Result<End, QueryError> {
        {
            let mut progress = self.progress();
            progress.plan = result.plan.take();
            progress.stages.planned = self.query.arrived.elapsed().saturating_sub(progress.stages.waited);
        }
        if begin.send(result.schema.clone()).is_err() {
            return Ok(End::Left);
        }
        let mut turn = Some(turn);
        while let Some(batch) = result.rows.next().await {
            let batch = batch?;
            let count = batch.num_rows() as u64;
            let Some(room) = self.room(&rows, &mut turn).await? else { return Ok(End::Left) };
            room.send(batch);
            self.query.rows.fetch_add(count, Ordering::Relaxed);
        }
        Ok(End::Done)
    }
}

/// How long a client may keep a turn by taking no rows.
const PATIENCE: Duration = Duration::from_secs(1);

impl Work {
    /// Waits until the client takes rows; `None` if it is gone. A client that takes none does not keep others from their
    /// turns: what waits for it are a few batches.
    async fn room<'a>(
        &self,
        rows: &'a mpsc::Sender<RecordBatch>,
        turn: &mut Option<Slot>,
    ) -> Result<Option<mpsc::Permit<'a, RecordBatch>>, QueryError> {
        if let Ok(room) = rows.try_reserve() {
            return Ok(Some(room));
        }
        // without workers, operators that keep much may be behind the batch
        if self.elsewhere.is_some() && turn.is_some() {
            match tokio::time::timeout(PATIENCE, rows.reserve()).await {
                Ok(room) => return Ok(room.ok()),
                Err(_) => drop(turn.take()),
            }
        }
        match tokio::time::timeout(self.limits.stalled, rows.reserve()).await {
            Ok(room) => Ok(room.ok()),
            Err(_) => Err(QueryError::TooLong(format!(
                "the client took no rows for {:?}: read faster, or raise the limit (--reader-time)",
                self.limits.stalled
            ))),
        }
    }
}
