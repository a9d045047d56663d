//! From a request to blocks in the lake, and which request is only another one sent again.
//!
//! A sender that got no answer sends the same bytes again. So two requests whose (decompressed) bodies are equal,
//! byte for byte, are one request, however far apart they come and whichever way they were sent: their blocks have
//! the same ids, and the lake counts the second ones as repeated. Nothing smaller is ever compared: equal records in
//! one request, equal resources in one request, and the same record in two requests that differ in anything are all
//! kept.
//!
//! One case looks like a redelivery and is none: a client with a coarse clock that sends each record by itself can
//! send the same bytes twice within a moment. But nobody sends again while still waiting for the answer. So of equal
//! requests that are in hand at the same time, each counts by itself. That sees no overlap on the way here, and none
//! with another server: it saves what it can.

use crate::identity::{Resource, stream, stream_id};
use crate::proto::{Fields, ProtoError, Value};
use crate::request::{Form, Part, RequestError, parts};
use crate::signal::Signal;
use belvedere_core::ingest::{AnnouncedBlock, Body, IngestError, IngestionService};
use belvedere_core::model::BlockInfo;
use belvedere_core::time::now;
use belvedere_core::transit::compress;
use belvedere_core::wire::{PayloadParts, encode_block};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::{Uuid, uuid};

const REQUESTS: Uuid = uuid!("7086b95f-e7a6-4cad-94c8-819490531dd8");
const BLOCKS: Uuid = uuid!("3cf05d84-0d9e-46b4-8e15-7eb68a07b012");

/// Larger bodies are not taken apart on a thread that others wait for.
const LARGE: usize = 64 << 10;

/// Takes requests, whichever way they come.
#[derive(Debug)]
pub(crate) struct Receiver {
    service: Arc<IngestionService>,
    under_way: Arc<UnderWay>,
}

/// What became of a request that was taken.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// Records that are stored with the others and will not give a row.
    pub(crate) rejected: u64,
}

impl Receiver {
    pub(crate) fn new(service: Arc<IngestionService>) -> Self {
        Self { service, under_way: Arc::default() }
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
        let resource_bytes = self.service.limits().announcement_bytes;
        let (bytes, under_way) = (body.bytes, self.under_way.clone());
        let is_large = bytes.len() > LARGE;
        let work = move || -> Result<_, IngestError> {
            let turn = UnderWay::enter(&under_way, signal, &bytes);
            let parts = parts(signal, form, &bytes)?;
            let rejected = parts.iter().map(|part| part.summary.rejected).sum();
            let blocks: Vec<AnnouncedBlock> = parts
                .iter()
                .enumerate()
                .map(|(i, part)| block(signal, part, i, &turn, resource_bytes))
                .collect::<Result<_, _>>()?;
            Ok((turn, blocks, rejected))
        };
        let (turn, blocks, rejected) = if is_large {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|e| IngestError::Unavailable(format!("the request could not be handled: {e}")))??
        } else {
            work()?
        };
        if !blocks.is_empty() {
            self.service.insert_blocks(blocks, body.reserved).await?;
        }
        drop(turn);
        Ok(Accepted { rejected })
    }
}

impl From<RequestError> for IngestError {
    fn from(e: RequestError) -> Self {
        Self::BadRequest(e.to_string())
    }
}

/// The block that a part of a request becomes.
fn block(
    signal: Signal,
    part: &Part,
    index: usize,
    turn: &Turn,
    resource_bytes: usize,
) -> Result<AnnouncedBlock, IngestError> {
    let wrong = |error| RequestError::Protobuf { signal: signal.name(), error };
    let message = resource_message(&part.message).map_err(wrong)?;
    if message.len() > resource_bytes {
        return Err(IngestError::TooLarge(format!(
            "a resource has {} bytes of attributes, at most {resource_bytes} are allowed",
            message.len()
        )));
    }
    let resource = Resource::read(&message).map_err(wrong)?;
    let process_id = resource.process_id();
    let stream_id = stream_id(process_id, signal);
    let (begin_time, end_time) = part.summary.times.unwrap_or_else(|| (now(), now()));
    let info = BlockInfo {
        block_id: turn.block_id(stream_id, index),
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
    let objects = compress(part.as_sent.as_ref().unwrap_or(&part.message));
    let payload = PayloadParts { dependencies: Cow::Borrowed(&[]), objects: objects.into() };
    Ok(AnnouncedBlock {
        process: Arc::new(resource.process(process_id, begin_time)),
        stream: Arc::new(stream(process_id, signal)),
        block: encode_block(info, &payload),
    })
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

/// Requests that are being handled: for each id the turns that are taken.
#[derive(Debug, Default)]
struct UnderWay {
    turns: Mutex<HashMap<Uuid, Vec<u32>>>,
}

/// One request that is being handled, told apart from equal ones that are at the same time.
#[derive(Debug)]
struct Turn {
    under_way: Arc<UnderWay>,
    request_id: Uuid,
    turn: u32,
}

impl UnderWay {
    fn enter(this: &Arc<Self>, signal: Signal, body: &Bytes) -> Turn {
        // a resource of spans could be one of logs: the signal is part of the request
        let namespace = Uuid::new_v5(&REQUESTS, signal.name().as_bytes());
        let request_id = Uuid::new_v5(&namespace, body);
        let mut turns = this.locked();
        let taken = turns.entry(request_id).or_default();
        let turn = (0..).find(|turn| !taken.contains(turn)).unwrap_or_default();
        taken.push(turn);
        Turn { under_way: this.clone(), request_id, turn }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<u32>>> {
        // whole after every single operation on it
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn block_id(&self, stream_id: Uuid, index: usize) -> Uuid {
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
        let mut turns = self.under_way.locked();
        if let Some(taken) = turns.get_mut(&self.request_id) {
            taken.retain(|turn| *turn != self.turn);
            if taken.is_empty() {
                turns.remove(&self.request_id);
            }
        }
    }
}

/// The block of a part by itself.
#[cfg(test)]
pub(crate) fn block_of(signal: Signal, part: &Part) -> AnnouncedBlock {
    let turn = UnderWay::enter(&Arc::default(), signal, &part.message);
    block(signal, part, 0, &turn, usize::MAX).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_are_one_unless_they_are_under_way_together() {
        let (under_way, body) = (Arc::new(UnderWay::default()), Bytes::from_static(b"x"));
        let id = |turn: &Turn| turn.block_id(Uuid::nil(), 0);
        let enter = |signal| UnderWay::enter(&under_way, signal, &body);
        let first = enter(Signal::Logs);
        let (first_id, beside) = (id(&first), enter(Signal::Logs));
        assert_ne!(id(&beside), first_id);
        drop(first);
        // the first one again, while the second is still under way
        assert_eq!(id(&enter(Signal::Logs)), first_id);
        drop(beside);
        assert_eq!(id(&enter(Signal::Logs)), first_id);
        assert_ne!(id(&enter(Signal::Traces)), first_id);
        assert_ne!(enter(Signal::Logs).block_id(Uuid::nil(), 1), first_id);
        assert!(under_way.locked().is_empty());
    }
}
