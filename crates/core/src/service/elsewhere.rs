//! Queries that another process answers.

use super::queue::Slot;
use super::record::End;
use super::{Work, task_lost};
use crate::error::Error;
use crate::isolation::{Job, Kind, LOST_BY_MEMORY, Lease, Told, Workers};
use crate::metrics::metrics;
use crate::query::{Description, QueryError};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{StreamDecoder, StreamReader};
use belvedere_model::SeqRange;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

impl Work {
    async fn begin(&self, workers: &Arc<Workers>, kind: Kind, is_again: bool) -> Result<Lease, QueryError> {
        let job = Job::new(kind, self.query.id, &self.request, workers.options().memory_bytes)?;
        let job = if is_again { job.carefully() } else { job };
        let lease = workers.begin(&job).await?;
        self.progress().stages.waited = self.query.arrived.elapsed();
        Ok(lease)
    }

    /// Takes over what a process says of its work. An error if it says that the query failed.
    fn hear(&self, told: Told) -> Result<Option<Bytes>, QueryError> {
        let metrics = metrics(self.lake.connection());
        match told {
            Told::Rows(bytes) => return Ok(Some(bytes)),
            Told::Progress(progress) => {
                self.query.memory.adopt(progress.memory_bytes, progress.peak_memory_bytes);
                self.query.report.adopt_progress(progress.blocks, progress.payload_bytes);
            }
            Told::Lost(reason, error) => {
                metrics.worker_lost(reason);
                return Err(error);
            }
            Told::Ended(ended) => {
                self.query.memory.adopt(0, ended.progress.peak_memory_bytes);
                self.query.report.adopt(ended.report);
                metrics.adopt(ended.counted);
                for (view_set, instance, first, last) in ended.wishes {
                    self.lake.wish(&view_set, &instance, SeqRange::new(first, last));
                }
                let mut progress = self.progress();
                progress.work = Some(ended.work);
                progress.stages.planned = ended.planned;
                if let Some(error) = ended.error {
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    pub(super) async fn describe_elsewhere(&self, workers: &Arc<Workers>) -> Result<Description, QueryError> {
        let mut lease = self.begin(workers, Kind::Describe, false).await?;
        let mut schemas = VecDeque::new();
        loop {
            let told = lease.next().await;
            let is_end = matches!(told, Told::Ended(_));
            if let Some(bytes) = self.hear(told)? {
                schemas.push_back(schema_of(&bytes)?);
            }
            if is_end {
                break;
            }
        }
        match (schemas.pop_front(), schemas.pop_front()) {
            (Some(schema), Some(parameters)) => Ok(Description { schema, parameters }),
            _ => Err(task_lost(self.query.id)),
        }
    }

    /// Hands on the rows of a process. The process and the turn are free when the last row has been made, whether the
    /// client has taken it or not.
    pub(super) async fn answer_elsewhere(
        &self,
        workers: &Arc<Workers>,
        turn: Slot,
        begin: oneshot::Sender<SchemaRef>,
        rows: mpsc::Sender<RecordBatch>,
    ) -> Result<End, QueryError> {
        let options = workers.options();
        // its file is written in place: this runtime is for work that takes threads
        let mut spool = workers.spool();
        let mut lease = Some((self.begin(workers, Kind::Answer, false).await?, turn));
        let mut is_again = false;
        let mut begin = Some(begin);
        let mut decoder = Decoder::new();
        let mut ready = VecDeque::new();
        loop {
            while ready.is_empty()
                && let Some(piece) = spool.pop().map_err(spool_failed)?
            {
                // the first piece is the schema alone
                if let Some(begin) = begin.take()
                    && begin.send(schema_of(&piece)?).is_err()
                {
                    return Ok(End::Left);
                }
                ready.extend(decoder.decode(piece)?);
            }
            let told = match (&mut lease, ready.front()) {
                (None, None) => return Ok(End::Done),
                (Some((lease, _)), None) => lease.next().await,
                (Some((lease, _)), Some(_)) => tokio::select! {
                    biased;
                    room = rows.reserve() => match room {
                        Ok(room) => {
                            self.send(room, &mut ready);
                            continue;
                        }
                        Err(_) => return Ok(End::Left),
                    },
                    told = lease.next() => told,
                },
                (None, Some(_)) => match self.room(&rows, &mut None).await? {
                    Some(room) => {
                        self.send(room, &mut ready);
                        continue;
                    }
                    None => return Ok(End::Left),
                },
            };
            if may_fit(&told)
                && !is_again
                && self.may_try_again()
                && let Some((lost, turn)) = lease.take()
            {
                // rows may be large: a batch of them is what was too much
                if let Told::Lost(reason, _) = told {
                    metrics(self.lake.connection()).worker_lost(reason);
                }
                drop(lost);
                is_again = true;
                spool = workers.spool();
                (decoder, ready) = (Decoder::new(), VecDeque::new());
                lease = Some((self.begin(workers, Kind::Answer, true).await?, turn));
                continue;
            }
            let is_end = matches!(told, Told::Ended(_));
            if let Some(piece) = self.hear(told)?
                && !spool.push(piece).map_err(spool_failed)?
            {
                return Err(QueryError::Resources(format!(
                    "rows that wait for clients have reached the limit of {} MiB of disk space: read faster, or raise the \
                     limit (--spill)",
                    options.spill_bytes >> 20
                )));
            }
            if is_end {
                lease = None;
            }
        }
    }

    /// Whether there is time to try once more, and nothing of the first answer has been sent.
    fn may_try_again(&self) -> bool {
        self.query.rows.load(Ordering::Relaxed) == 0 && self.query.arrived.elapsed() < self.time() / 3
    }

    fn send(&self, room: mpsc::Permit<'_, RecordBatch>, ready: &mut VecDeque<RecordBatch>) {
        if let Some(batch) = ready.pop_front() {
            self.query.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            room.send(batch);
        }
    }
}

/// Whether a query may come to its end with fewer rows at a time.
fn may_fit(told: &Told) -> bool {
    match told {
        Told::Lost(reason, _) => *reason == LOST_BY_MEMORY,
        Told::Ended(ended) => ended.error.as_ref().is_some_and(QueryError::is_of_a_batch),
        _ => false,
    }
}

fn spool_failed(error: std::io::Error) -> QueryError {
    tracing::error!("rows that wait for a client could not be kept on disk: {error}");
    QueryError::Internal("rows that wait for the client could not be kept on disk".to_owned())
}

/// The schema at the beginning of an Arrow IPC stream. A [`StreamDecoder`] may keep it to itself until the first rows come.
fn schema_of(piece: &[u8]) -> Result<SchemaRef, QueryError> {
    Ok(StreamReader::try_new(piece, None).map_err(Error::from)?.schema())
}

/// An Arrow IPC stream that comes in pieces.
struct Decoder(StreamDecoder);

impl Decoder {
    fn new() -> Self {
        Self(StreamDecoder::new())
    }

    fn decode(&mut self, piece: Bytes) -> Result<Vec<RecordBatch>, QueryError> {
        let mut piece = Buffer::from(piece);
        let mut batches = Vec::new();
        while !piece.is_empty() {
            batches.extend(self.0.decode(&mut piece).map_err(Error::from)?);
        }
        Ok(batches)
    }
}
