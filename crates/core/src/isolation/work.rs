//! What a query process does: it takes jobs from standard input, and answers them on standard output.

use super::frame::{Frame, Tag};
use super::job::{Ended, Job, Kind, Progress};
use crate::Lake;
use crate::error::{Context, Error, Result};
use crate::metrics::metrics;
use crate::query::{
    ClientInfo, QueryError, QueryMemory, ReportState, RunningQuery, ScanPlan, Statement, WorkDone,
    panic_error,
};
use crate::scan::row_bytes;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use datafusion::physical_plan::ExecutionPlan;
use futures::{FutureExt, StreamExt};
use std::io::{BufReader, BufWriter};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Bytes of rows that leave in one message, if a row is not larger.
const PIECE: usize = 4 << 20;
/// Messages that wait to be written.
const PIECES_AHEAD: usize = 2;
/// How often is told how far a query has come.
const PROGRESS: Duration = Duration::from_millis(200);

/// Answers jobs of a server, one after the other, until the server closes standard input: then `orphaned` is called, from a
/// thread of its own, and ends the process, whatever it is busy with. `memory` says how many bytes the process has
/// allocated.
pub async fn work(
    lake: Lake,
    memory: fn() -> usize,
    orphaned: impl FnOnce() + Send + 'static,
) -> Result<(), crate::Error> {
    let (jobs_sender, mut jobs) = mpsc::channel(1);
    let (cancel, cancelled) = watch::channel(0_u64);
    spawn("jobs", move || {
        read(&jobs_sender, &cancel);
        orphaned();
    })?;
    let (messages, written) = mpsc::channel(PIECES_AHEAD);
    spawn("rows", move || write(written))?;
    metrics(lake.connection()).take_journal();
    let at_first = memory();
    let server = Server { messages, cancelled };
    server.tell(Tag::Ready, Vec::new()).await?;
    let mut number = 0;
    while let Some(job) = jobs.recv().await {
        number += 1;
        server.tell(Tag::Ready, Vec::new()).await?;
        let mut ended = server.answer(&lake, job, number).await?;
        // caches may grow, up to their limits
        ended.is_worn = memory() > at_first.saturating_add(WORN);
        server.tell(Tag::End, serde_json::to_vec(&ended).map_err(Error::other)?).await?;
    }
    Ok(())
}

/// Bytes that a process may have more than at first without being replaced.
const WORN: usize = 64 << 20;

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

/// Reads what the server says until it says no more.
fn read(jobs: &mpsc::Sender<Job>, cancel: &watch::Sender<u64>) {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut number = 0;
    loop {
        match Frame::read(&mut input) {
            Ok(Some(Frame { tag: Tag::Job, bytes })) => {
                number += 1;
                let Ok(job) = serde_json::from_slice(&bytes) else { return };
                if jobs.blocking_send(job).is_err() {
                    return;
                }
            }
            Ok(Some(Frame { tag: Tag::Cancel, .. })) => drop(cancel.send_replace(number)),
            _ => return,
        }
    }
}

fn write(mut messages: mpsc::Receiver<Frame>) {
    let mut output = BufWriter::new(std::io::stdout().lock());
    while let Some(frame) = messages.blocking_recv() {
        if frame.write(&mut output).is_err() {
            return;
        }
    }
}

/// The server at the other end.
struct Server {
    messages: mpsc::Sender<Frame>,
    /// The last job that nobody waits for.
    cancelled: watch::Receiver<u64>,
}

impl Server {
    async fn tell(&self, tag: Tag, bytes: Vec<u8>) -> Result<()> {
        self.messages.send(Frame::new(tag, bytes)).await.map_err(|_| Error::other("the server is gone"))
    }

    async fn answer(&self, lake: &Lake, job: Job, number: u64) -> Result<Ended> {
        let mut cancelled = self.cancelled.clone();
        let memory = Arc::new(QueryMemory::new(lake.memory().clone(), job.memory_bytes));
        let caller = Arc::new(job.caller.clone());
        let bounds = (job.range(), job.limit);
        let query =
            RunningQuery::new(job.query_id, job.sql.clone(), bounds, (caller, ClientInfo::default()), memory);
        let mut answer = Answer { lake, query, planned: Duration::ZERO, plan: None, began: Instant::now() };
        let work = AssertUnwindSafe(answer.work(&job, self)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled >= number) => {
                Err(QueryError::Cancelled("nobody waits for the answer".to_owned()))
            }
            outcome = work => outcome.unwrap_or_else(|panic| Err(panic_error(panic.as_ref()))),
        };
        answer.query.over.store(true, Ordering::Relaxed);
        Ok(answer.ended(outcome.err()))
    }
}

/// One query at work.
struct Answer<'a> {
    lake: &'a Lake,
    query: RunningQuery,
    planned: Duration,
    plan: Option<Arc<dyn ExecutionPlan>>,
    began: Instant,
}

impl Answer<'_> {
    async fn work(&mut self, job: &Job, server: &Server) -> Result<(), QueryError> {
        let request = job.request()?;
        self.lake.refresh().await;
        let context = self.lake.context(request.range).for_query(&self.query)?;
        let context = if job.is_careful { context.carefully() } else { context };
        let statement = Statement::new(&request, self.lake.first_problem());
        if job.kind == Kind::Describe {
            let description = context.describe(statement, ()).await?;
            for schema in [description.schema, description.parameters] {
                let mut stream = Encoder::new(&schema)?;
                server.tell(Tag::Rows, stream.take()).await?;
            }
            return Ok(());
        }
        let (mut result, ()) = context.answer(statement.clone(), ()).await?;
        if !job.is_careful && result.report.scans().iter().any(ScanPlan::has_large_rows) {
            // the plan was for batches of many rows
            drop(result);
            self.query.report.adopt(ReportState::default());
            (result, ()) = context.carefully().answer(statement, ()).await?;
        }
        self.planned = self.began.elapsed();
        self.plan = result.plan.take();
        let mut stream = Encoder::new(&result.schema)?;
        server.tell(Tag::Rows, stream.take()).await?;
        let mut tick = tokio::time::interval(PROGRESS);
        loop {
            let batch = tokio::select! {
                biased;
                _ = tick.tick() => {
                    let told = serde_json::to_vec(&self.progress()).map_err(Error::other)?;
                    server.tell(Tag::Progress, told).await?;
                    continue;
                }
                batch = result.rows.next() => batch,
            };
            let Some(batch) = batch else { break };
            for piece in pieces(batch?) {
                stream.add(&piece)?;
                server.tell(Tag::Rows, stream.take()).await?;
            }
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress {
            memory_bytes: self.query.memory.used(),
            peak_memory_bytes: self.query.memory.peak(),
            blocks: self.query.report.blocks(),
            payload_bytes: self.query.report.payload_bytes(),
            spilled_bytes: self.lake.spilled_bytes(),
        }
    }

    fn ended(&self, error: Option<QueryError>) -> Ended {
        let mut wishes = Vec::new();
        while let Some((instance, range)) = self.lake.jit_requests().take() {
            wishes.push((instance.view_set.name.to_owned(), instance.id.clone(), range.begin, range.end));
        }
        Ended {
            error,
            planned: self.planned,
            progress: self.progress(),
            report: self.query.report.state(),
            work: self.plan.as_deref().map(WorkDone::measure).unwrap_or_default(),
            wishes,
            counted: metrics(self.lake.connection()).take_journal(),
            is_worn: false,
        }
    }
}

/// Batches as an Arrow IPC stream, piece by piece.
struct Encoder(StreamWriter<Vec<u8>>);

impl Encoder {
    fn new(schema: &SchemaRef) -> Result<Self> {
        Ok(Self(StreamWriter::try_new(Vec::new(), schema).context("rows could not be encoded")?))
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.write(batch).context("rows could not be encoded")
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}

/// A batch in pieces that are small, if its rows are.
fn pieces(batch: RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows <= 1 || row_bytes(&batch) <= PIECE {
        return vec![batch];
    }
    let mut first = pieces(batch.slice(0, rows / 2));
    first.extend(pieces(batch.slice(rows / 2, rows - rows / 2)));
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn pieces_are_small_unless_a_row_is_large_and_nothing_is_lost(
            sizes in prop::collection::vec(prop_oneof![0_usize..100, 1_000_000_usize..6_000_000], 0..30),
        ) {
            let texts: StringArray = sizes.iter().map(|size| Some("x".repeat(*size))).collect();
            let numbers = Int64Array::from_iter_values(0..sizes.len() as i64);
            let schema = Schema::new(vec![
                Field::new("t", DataType::Utf8, true),
                Field::new("n", DataType::Int64, false),
            ]);
            let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts), Arc::new(numbers)]).unwrap();
            let mut rows = 0;
            for piece in pieces(batch.clone()) {
                prop_assert_eq!(&piece, &batch.slice(rows, piece.num_rows()));
                rows += piece.num_rows();
                prop_assert!(piece.num_rows() == 1 || row_bytes(&piece) <= PIECE);
            }
            prop_assert_eq!(rows, batch.num_rows());
        }
    }
}
