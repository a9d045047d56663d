//! From a request to blocks in the lake, and which request is only another one sent again.
//!
//! A sender that got no answer sends the same bytes again. So two requests whose (decompressed) bodies are equal,
//! byte for byte, are one request, however far apart they come and whichever way they were sent: their blocks have
//! the same ids, and the lake counts the second ones as repeated. Nothing smaller is ever compared: equal records in
//! one request, equal resources in one request, and the same record in two requests that differ in anything are all
//! kept.
//!
//! A request of log records none of which has a time is never taken for another one: nothing in it tells an event that
//! happened again from one that was sent again, and a row too many is better than one too few.
//!
//! One more case looks like a redelivery and is none: a client with a coarse clock that sends each record by itself can
//! send the same bytes twice within a moment. But nobody sends again while still waiting for the answer. So of equal
//! requests that are in hand at the same time, each counts by itself. That sees no overlap on the way here, and none
//! with another server: it saves what it can.

use crate::dropped::Dropped;
use crate::identity::{Resource, stream, stream_id};
use crate::proto::{Fields, ProtoError, Value};
use crate::request::{Form, Part, Parts, RequestError, parts};
use crate::signal::Signal;
use belvedere_lake::Cause;
use belvedere_lake::ingest::{AnnouncedBlock, Body, IngestError, IngestLimits, IngestionService};
use belvedere_model::BlockInfo;
use belvedere_model::time::now;
use belvedere_model::transit::compress;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::{Uuid, uuid};

const REQUESTS: Uuid = uuid!("7086b95f-e7a6-4cad-94c8-819490531dd8");
const BLOCKS: Uuid = uuid!("3cf05d84-0d9e-46b4-8e15-7eb68a07b012");

/// Larger bodies are not taken apart on a thread that others wait for.
const LARGE: usize = 64 << 10;

/// Takes requests, whichever way they come.
#[derive(Debug)]
pub(crate) struct Receiver {
    service: Arc<IngestionService>,
    in_flight: Arc<InFlight>,
}

/// What became of a request that was taken.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// What is stored with the rest and will not be in a row.
    pub(crate) dropped: Dropped,
}

impl Receiver {
    pub(crate) fn new(service: Arc<IngestionService>) -> Self {
        Self { service, in_flight: Arc::default() }
    }

    pub(crate) fn service(&self) -> &IngestionService {
        &self.service
    }

    /// Stores a request. When this returns `Ok`, it is durable and visible.
    pub(crate) async fn accept(
        &self,
        signal: Signal,
        form: Form,
        body: Body,
    ) -> Result<Accepted, IngestError> {
        let limits = self.service.limits().clone();
        let Body { bytes, reserved, .. } = body;
        let is_large = bytes.len() > LARGE;
        let (request_id, bytes, reserved) =
            on_a_thread(is_large, move || Ok((request_id(signal, &bytes), bytes, reserved))).await?;
        // as long as the sender waits, and no longer
        let turn = InFlight::enter(&self.in_flight, request_id);
        let ids = turn.ids;
        let mut taken = HashSet::new();
        let (mut reserved, mut blocks, mut dropped) = (reserved, Vec::new(), Dropped::default());
        for _ in 0..TAKEN {
            let (bytes, limits, ids_taken) = (bytes.clone(), limits.clone(), taken.clone());
            (blocks, dropped, reserved) = on_a_thread(is_large, move || {
                let Parts { parts, dropped } = parts(signal, form, &bytes)?;
                let ids = match is_timeless(signal, &parts) {
                    true => BlockIds { request_id: Uuid::new_v4(), turn: 0 },
                    false => ids,
                };
                let blocks: Vec<AnnouncedBlock> = parts
                    .iter()
                    .enumerate()
                    .map(|(i, part)| block(signal, part, i, ids, &ids_taken, &limits))
                    .collect::<Result<_, _>>()?;
                Ok((blocks, dropped, reserved))
            })
            .await?;
            let before = taken.len();
            for block in &blocks {
                if self.service.is_taken(block).await? {
                    taken.insert(block.process.process_id);
                }
            }
            if taken.len() == before {
                break;
            }
        }
        drop(bytes);
        if !blocks.is_empty() {
            self.service.insert_blocks(blocks, reserved).await?;
        }
        Ok(Accepted { dropped })
    }
}

/// So many ids of one resource may be other processes'. With more, its blocks are refused.
const TAKEN: usize = 8;

/// Does work here, or, if it is large, on a thread that may be busy. What it holds is held until it is done, whether
/// anybody waits or not.
async fn on_a_thread<T: Send + 'static>(
    is_large: bool,
    work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
) -> Result<T, IngestError> {
    match is_large {
        true => tokio::task::spawn_blocking(work).await.map_err(|e| {
            IngestError::Unavailable(Cause::new(format!("the request could not be handled: {e}"), e))
        })?,
        false => work(),
    }
}

impl From<RequestError> for IngestError {
    fn from(e: RequestError) -> Self {
        match e {
            RequestError::TooMany { .. } => Self::TooLarge(e.to_string().into()),
            e => Self::BadRequest(e.to_string().into()),
        }
    }
}

/// The block that a part of a request becomes.
fn block(
    signal: Signal,
    part: &Part,
    index: usize,
    ids: BlockIds,
    taken: &HashSet<Uuid>,
    limits: &IngestLimits,
) -> Result<AnnouncedBlock, IngestError> {
    let wrong = |error| RequestError::Protobuf { signal: signal.name(), error };
    let message = resource_message(&part.message).map_err(wrong)?;
    let stored = part.as_sent.as_ref().unwrap_or(&part.message);
    for (what, bytes, limit) in [
        ("of attributes", message.len(), limits.announcement_bytes),
        ("with its records", stored.len(), limits.block_bytes),
    ] {
        if bytes > limit {
            let message = format!("a resource has {bytes} bytes {what}, at most {limit} are allowed");
            return Err(IngestError::TooLarge(message.into()));
        }
    }
    let resource = Resource::read(&message).map_err(wrong)?;
    let mut process_id = resource.process_id();
    while taken.contains(&process_id) {
        process_id = Uuid::new_v5(&process_id, b"the id is another process's");
    }
    let stream_id = stream_id(process_id, signal);
    let (begin_time, end_time) = part.summary.times.unwrap_or_else(|| (now(), now()));
    let info = BlockInfo {
        block_id: ids.block_id(stream_id, index),
        stream_id,
        process_id,
        begin_time,
        // clients of this protocol count in nanoseconds since the epoch
        begin_ticks: begin_time,
        end_time,
        end_ticks: end_time,
        nb_objects: i32::try_from(part.summary.records).unwrap_or(i32::MAX),
        object_offset: 0,
        payload_size: 0,
        insert_time: 0,
    };
    let objects = compress(stored);
    let payload = PayloadParts { dependencies: Cow::Borrowed(&[]), objects: objects.into() };
    Ok(AnnouncedBlock::new(
        Arc::new(resource.process(process_id, begin_time)),
        Arc::new(stream(process_id, signal)),
        BlockRequest::encode(info, &payload),
    ))
}

/// The `Resource` of a part; of several the fields of all, as protobuf has it.
pub(crate) fn resource_message(part: &[u8]) -> Result<Cow<'_, [u8]>, ProtoError> {
    let mut found: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    for field in Fields::new(part) {
        if let (1, Value::Bytes(message)) = field? {
            match found.is_empty() {
                true => found = Cow::Borrowed(message),
                false => found.to_mut().extend_from_slice(message),
            }
        }
    }
    Ok(found)
}

/// Whether equal requests may be about different events: nothing in them says when anything happened. Spans and data
/// points without times give no rows.
fn is_timeless(signal: Signal, parts: &[Part]) -> bool {
    signal == Signal::Logs && parts.iter().all(|part| part.summary.times.is_none())
}

/// What equal requests have in common.
fn request_id(signal: Signal, body: &[u8]) -> Uuid {
    // a resource of spans could be one of logs: the signal is part of the request
    let namespace = Uuid::new_v5(&REQUESTS, signal.name().as_bytes());
    Uuid::new_v5(&namespace, body)
}

/// How long after the first of equal requests another one is taken for one of its own: a sender that has given up on
/// the first waits longer before it sends again.
const MOMENT: Duration = Duration::from_secs(1);

/// Requests that are being handled: for each id when the first one came, and the turns that are taken.
#[derive(Debug, Default)]
struct InFlight {
    turns: Mutex<HashMap<Uuid, (Instant, Vec<u32>)>>,
}

/// One request that is being handled, told apart from equal ones that are at the same time.
#[derive(Debug)]
struct Turn {
    in_flight: Arc<InFlight>,
    ids: BlockIds,
}

/// The ids of a request's blocks.
#[derive(Debug, Clone, Copy)]
struct BlockIds {
    request_id: Uuid,
    turn: u32,
}

impl InFlight {
    fn enter(this: &Arc<Self>, request_id: Uuid) -> Turn {
        let mut turns = this.locked();
        let (first, taken) = turns.entry(request_id).or_insert_with(|| (Instant::now(), Vec::new()));
        let turn = match first.elapsed() < MOMENT {
            true => (0..).find(|turn| !taken.contains(turn)).unwrap_or_default(),
            false => 0,
        };
        taken.push(turn);
        Turn { in_flight: this.clone(), ids: BlockIds { request_id, turn } }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, Vec<u32>)>> {
        // whole after every single operation on it
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockIds {
    fn block_id(self, stream_id: Uuid, index: usize) -> Uuid {
        let mut name = Vec::with_capacity(44);
        name.extend_from_slice(stream_id.as_bytes());
        name.extend_from_slice(self.request_id.as_bytes());
        name.extend_from_slice(&(index as u64).to_be_bytes());
        name.extend_from_slice(&self.turn.to_be_bytes());
        Uuid::new_v5(&BLOCKS, &name)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.in_flight.locked();
        if let Some((_, taken)) = turns.get_mut(&self.ids.request_id) {
            if let Some(own) = taken.iter().position(|turn| *turn == self.ids.turn) {
                taken.swap_remove(own);
            }
            if taken.is_empty() {
                turns.remove(&self.ids.request_id);
            }
        }
    }
}

/// The block of a part by itself.
#[cfg(test)]
pub(crate) fn block_of(signal: Signal, part: &Part) -> AnnouncedBlock {
    let ids = BlockIds { request_id: request_id(signal, &part.message), turn: 0 };
    block(signal, part, 0, ids, &HashSet::new(), &IngestLimits::default()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_log_records_none_of_which_has_a_time_are_never_taken_for_others() {
        let is_timeless = |signal: Signal, records: &str| {
            let (scopes, names) = match signal {
                Signal::Traces => ("scopeSpans", "spans"),
                Signal::Logs => ("scopeLogs", "logRecords"),
                Signal::Metrics => ("scopeMetrics", "metrics"),
            };
            let request = signal.request().fields[0].name;
            let body = format!(r#"{{"{request}":[{{"{scopes}":[{{"{names}":[{records}]}}]}}]}}"#);
            is_timeless(signal, &parts(signal, Form::Json, &body.into()).unwrap().parts)
        };
        assert!(is_timeless(Signal::Logs, r#"{"body":{"stringValue":"x"}},{"severityNumber":9}"#));
        assert!(!is_timeless(Signal::Logs, r#"{"body":{"stringValue":"x"}},{"timeUnixNano":"5"}"#));
        assert!(!is_timeless(Signal::Logs, r#"{"observedTimeUnixNano":"5"}"#));
        assert!(!is_timeless(Signal::Traces, r#"{"name":"x"}"#));
        assert!(!is_timeless(Signal::Metrics, r#"{"name":"x","gauge":{"dataPoints":[{"asInt":1}]}}"#));
    }

    #[test]
    fn equal_requests_are_one_unless_they_are_under_way_together() {
        let in_flight = Arc::new(InFlight::default());
        let id = |turn: &Turn| turn.ids.block_id(Uuid::nil(), 0);
        let enter = |signal| InFlight::enter(&in_flight, request_id(signal, b"x"));
        let first = enter(Signal::Logs);
        let (first_id, beside) = (id(&first), enter(Signal::Logs));
        assert_ne!(id(&beside), first_id);
        drop(first);
        // the first one again, while the second is still under way
        assert_eq!(id(&enter(Signal::Logs)), first_id);
        drop(beside);
        assert_eq!(id(&enter(Signal::Logs)), first_id);
        assert_ne!(id(&enter(Signal::Traces)), first_id);
        assert_ne!(enter(Signal::Logs).ids.block_id(Uuid::nil(), 1), first_id);
        assert!(in_flight.locked().is_empty());
    }
}
