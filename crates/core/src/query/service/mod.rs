//! The service behind every protocol that queries come by: who may ask, whose turn it is, what a query may use, and
//! what is written down of it.
//!
//! A query runs as a task of a runtime of its own, and its rows go through a channel of a few batches: a client that
//! does not read stops the work, and one that goes away ends it. So the limit of time holds whatever the client does.
//!
//! Invariant: an answer that ends without an error is whole.

mod queue;
mod record;
mod request;
#[cfg(test)]
mod tests;

pub(super) use record::sql_hash;
pub use request::{Answer, AnswerTypes, ClientInfo, Description, QueryRequest};

use super::lake::Statement;
use super::memory::QueryMemory;
use super::running::RunningQuery;
use super::{Lake, QueryError};
use crate::access::{Caller, Right};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use queue::Queue;
use record::{End, PlanWork, Stages};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Batches that wait for a client to take them.
const BATCHES_AHEAD: usize = 4;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// Bytes of memory for one query; what can spill to disk does so beyond, the rest fails.
    pub memory_bytes: usize,
    /// From a query's arrival until its last row is taken.
    pub time: Duration,
    /// Queries that run at once; others wait, and callers take turns.
    pub concurrent: usize,
    /// Queries that wait; more are refused.
    pub waiting: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 512 << 20,
            time: Duration::from_secs(600),
            concurrent: cores.saturating_mul(4).max(8),
            waiting: 1000,
        }
    }
}

/// Answers queries of callers, within limits.
#[derive(Debug)]
pub struct QueryService {
    lake: Lake,
    limits: QueryLimits,
    queue: Arc<Queue>,
    runtime: Handle,
}

impl QueryService {
    /// Asks this lake, within these limits; queries run in `runtime`.
    pub fn new(lake: Lake, limits: QueryLimits, runtime: Handle) -> Self {
        let queue = Queue::new(limits.concurrent, limits.waiting);
        Self { lake, limits, queue, runtime }
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
    pub async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        let query = self.admit(&request)?;
        let (begin, begun) = oneshot::channel();
        let (sender, rows) = mpsc::channel(BATCHES_AHEAD);
        let end = Arc::new(OnceLock::new());
        let (query_id, report) = (query.id, query.report.clone());
        let work = Work {
            lake: self.lake.clone(),
            limits: self.limits.clone(),
            queue: self.queue.clone(),
            request,
            _listed: Listed::new(&self.lake, query.clone()),
            query,
            outlet: Outlet { begin: Some(begin), rows: sender, end: end.clone() },
        };
        self.runtime.spawn(work.run());
        let schema = begun.await.unwrap_or_else(|_| Err(vanished(query_id)))?;
        Ok(Answer { query_id, schema, rows: handed_over(rows, end, query_id), report })
    }

    /// Plans a statement without running it.
    pub async fn describe(&self, request: &QueryRequest) -> Result<Description, QueryError> {
        request.caller.check(Right::Read)?;
        let (lake, request) = (self.lake.clone(), request.clone());
        let planned = self.runtime.spawn(async move {
            let context = lake.context(request.range).asked_by(request.caller.clone());
            lake.describe(&context, &Statement::of(&request)).await
        });
        planned.await.unwrap_or_else(|_| Err(vanished(Uuid::nil())))
    }

    /// Ends a query: one of the caller's own, or anybody's for administrators. False if there is none that the caller
    /// may know of.
    pub fn cancel(&self, query_id: Uuid, caller: &Caller) -> bool {
        self.lake.running().cancel(query_id, caller)
    }

    fn admit(&self, request: &QueryRequest) -> Result<Arc<RunningQuery>, QueryError> {
        request.caller.check(Right::Read)?;
        let told = request.query_id.filter(|id| !self.lake.running().has(*id));
        Ok(Arc::new(RunningQuery::new(
            told.unwrap_or_else(Uuid::new_v4),
            request.sql.clone(),
            (request.range, request.limit),
            (request.caller.clone(), attributed(&request.caller, &request.client)?),
            Arc::new(QueryMemory::new(self.lake.memory().clone(), self.limits.memory_bytes)),
        )))
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
            "'{}' can't ask for '{claim}': only a key can speak for other users",
            caller.name
        ))),
        None => Ok(ClientInfo { user_id: None, user_email: None, ..client.clone() }),
    }
}

fn vanished(query_id: Uuid) -> QueryError {
    QueryError::Internal(format!(
        "query {query_id} broke off, which is a fault of the server: its log says more"
    ))
}

/// The rows as they come. The channel's end is only the answer's end if the query says so.
fn handed_over(
    rows: mpsc::Receiver<RecordBatch>,
    end: Arc<OnceLock<Option<QueryError>>>,
    query_id: Uuid,
) -> BoxStream<'static, Result<RecordBatch, QueryError>> {
    futures::stream::unfold(Some(rows), move |rows| {
        let end = end.clone();
        async move {
            let mut rows = rows?;
            match rows.recv().await {
                Some(batch) => Some((Ok(batch), Some(rows))),
                None => match end.get() {
                    Some(None) => None,
                    Some(Some(error)) => Some((Err(error.clone()), None)),
                    None => Some((Err(vanished(query_id)), None)),
                },
            }
        }
    })
    .fuse()
    .boxed()
}

/// Is in the list of queries as long as it lives.
struct Listed {
    lake: Lake,
    query: Arc<RunningQuery>,
}

impl Listed {
    fn new(lake: &Lake, query: Arc<RunningQuery>) -> Self {
        lake.running().add(query.clone());
        Self { lake: lake.clone(), query }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.lake.running().remove(self.query.id);
    }
}

/// Where an answer goes.
struct Outlet {
    begin: Option<oneshot::Sender<Result<SchemaRef, QueryError>>>,
    rows: mpsc::Sender<RecordBatch>,
    end: Arc<OnceLock<Option<QueryError>>>,
}

/// One query at work.
struct Work {
    lake: Lake,
    limits: QueryLimits,
    queue: Arc<Queue>,
    request: QueryRequest,
    query: Arc<RunningQuery>,
    outlet: Outlet,
    _listed: Listed,
}

/// How far it came.
#[derive(Default)]
struct Progress {
    stages: Stages,
    plan: Option<Arc<dyn ExecutionPlan>>,
}

impl Work {
    async fn run(mut self) {
        let mut progress = Progress::default();
        let (query, rows, time) = (self.query.clone(), self.outlet.rows.clone(), self.limits.time);
        let end = tokio::select! {
            biased;
            by = query.cancelled() => {
                End::Failed(QueryError::Cancelled(format!("the query was ended by '{by}'")))
            }
            () = tokio::time::sleep(time) => End::Failed(QueryError::TooLong(format!(
                "the query took longer than {time:?}: narrow it, its range of time say, or allow queries more time"
            ))),
            () = rows.closed() => End::Left,
            end = AssertUnwindSafe(self.answer(&mut progress)).catch_unwind() => match end {
                Ok(Ok(end)) => end,
                Ok(Err(error)) => End::Failed(error),
                Err(_) => End::Failed(vanished(query.id)),
            },
        };
        let work = progress.plan.as_deref().map(PlanWork::of).unwrap_or_default();
        record::write(&query, &end, progress.stages, work);
        self.lake.connection().metrics().note_query(record::status(&end), query.arrived.elapsed());
        let error = match end {
            End::Failed(error) => Some(error),
            End::Done | End::Left => None,
        };
        if let (Some(begin), Some(error)) = (self.outlet.begin.take(), &error) {
            // who asked may be gone
            let _ = begin.send(Err(error.clone()));
        }
        // before the channel closes: its end means nothing by itself
        let _ = self.outlet.end.set(error);
    }

    async fn answer(&mut self, progress: &mut Progress) -> Result<End, QueryError> {
        self.lake.context(self.request.range).denials().check(self.lake.connection(), &self.query).await?;
        let _turn = self.queue.turn(self.query.user()).await.map_err(|full| {
            QueryError::Resources(format!("{} queries are waiting already: try again later", full.waiting))
        })?;
        progress.stages.waited = self.query.arrived.elapsed();
        self.query.is_running.store(true, Ordering::Relaxed);
        let context = self.lake.context(self.request.range).of_query(&self.query)?;
        let mut result = self.lake.answer(&context, &Statement::of(&self.request)).await?;
        progress.plan = result.plan.take();
        progress.stages.planned = self.query.arrived.elapsed().saturating_sub(progress.stages.waited);
        if let Some(begin) = self.outlet.begin.take()
            && begin.send(Ok(result.schema.clone())).is_err()
        {
            return Ok(End::Left);
        }
        while let Some(batch) = result.rows.next().await {
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            if self.outlet.rows.send(batch).await.is_err() {
                return Ok(End::Left);
            }
            self.query.rows.fetch_add(rows, Ordering::Relaxed);
        }
        Ok(End::Done)
    }
}
