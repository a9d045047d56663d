//! The service that every protocol hands its processes, streams and blocks to.

use crate::record::Entry;
use crate::{LakeConnection, LakeError};
use belvedere_model::transit::{DecodeError, TransitBlock};
use belvedere_model::wire::{self, BlockRequest, WireError};
use belvedere_model::{ProcessInfo, StreamInfo};
use bytes::Bytes;
use lru::LruCache;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How much a request may bring.
#[derive(Debug, Clone)]
pub struct IngestLimits {
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Bytes of the announcement of a process or a stream; many of them are in memory at once.
    pub announcement_bytes: usize,
    /// Bytes of each decompressed buffer of a block.
    pub block_bytes: usize,
    /// Bytes of all bodies that are being handled at once. A body that does not fit waits for its turn.
    pub pending_bytes: usize,
    /// How long a sender may take for its body, and how long it waits for its turn.
    pub patience: Duration,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            body_bytes: 100 << 20,
            announcement_bytes: 256 << 10,
            block_bytes: 256 << 20,
            pending_bytes: 512 << 20,
            patience: Duration::from_secs(60),
        }
    }
}

/// Why a request was not taken, by what its sender should do.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The request is wrong and will be wrong again: don't retry.
    #[error("{0}")]
    BadRequest(String),
    /// The request is larger than is allowed: don't retry.
    #[error("{0}")]
    TooLarge(String),
    /// The server can't take it now: retry later.
    #[error("{0}")]
    Unavailable(String),
}

impl From<WireError> for IngestError {
    fn from(e: WireError) -> Self {
        Self::BadRequest(e.to_string())
    }
}

impl From<LakeError> for IngestError {
    fn from(e: LakeError) -> Self {
        match e {
            LakeError::Refused(_) => Self::BadRequest(e.to_string()),
            e => Self::Unavailable(e.to_string()),
        }
    }
}

/// The body of a request, and the memory that is reserved for it.
#[derive(Debug)]
pub struct Body {
    /// What was sent.
    pub bytes: Bytes,
    /// From [`IngestionService::reserve`]; released when the body is no longer in memory, even if its sender
    /// has long gone away.
    pub reserved: Option<OwnedSemaphorePermit>,
}

/// A block of a protocol that announces nothing: what it comes from is told with it.
#[derive(Debug, Clone)]
pub struct AnnouncedBlock {
    /// The process. If it was announced before, as it was then counts.
    pub process: Arc<ProcessInfo>,
    /// The stream. If it was announced before, as it was then counts. Unless its format is that of native clients,
    /// the block's begin and end times must be the bounds of its events' times.
    pub stream: Arc<StreamInfo>,
    /// The block.
    pub block: BlockRequest,
}

/// Takes what producers announce into the lake. One for all protocols of a server.
#[derive(Debug)]
pub struct IngestionService {
    lake: Arc<LakeConnection>,
    limits: IngestLimits,
    pending: Arc<Semaphore>,
    /// What `pending` has when nothing is reserved.
    units: usize,
    /// Streams that are in the lake, with their processes: announced once, never forgotten.
    announced: Mutex<LruCache<Uuid, ()>>,
}

/// Streams that need not be announced again.
const ANNOUNCED: NonZeroUsize = NonZeroUsize::new(16 << 10).unwrap();

/// Pending bytes are counted in units of this many, so that they fit a semaphore.
const UNIT: usize = 1024;

impl IngestionService {
    /// A service for that lake.
    pub fn new(lake: Arc<LakeConnection>, limits: IngestLimits) -> Self {
        let units = (limits.pending_bytes.max(limits.body_bytes) / UNIT + 1).min(u32::MAX as usize >> 4);
        Self {
            lake,
            limits,
            pending: Arc::new(Semaphore::new(units)),
            units,
            announced: Mutex::new(LruCache::new(ANNOUNCED)),
        }
    }

    /// The lake.
    pub fn lake(&self) -> &Arc<LakeConnection> {
        &self.lake
    }

    /// What is allowed.
    pub fn limits(&self) -> &IngestLimits {
        &self.limits
    }

    /// Counts a request that was answered; `status` in the words of its protocol.
    pub fn note_request(&self, route: &str, status: &str) {
        let labels = [("route", route.to_owned()), ("status", status.to_owned())];
        self.lake.metrics().requests.get_or_create(&labels).inc();
    }

    /// Counts bytes that came in.
    pub fn note_bytes(&self, bytes: usize) {
        self.lake.metrics().request_bytes.inc_by(bytes as u64);
    }

    /// Reserves memory for handling a body of so many bytes, which takes `times` as much while it is expanded, waiting
    /// until there is some. To be held as long as the body is. More than there can ever be is not waited for: see
    /// [`IngestionService::reserved_bytes`].
    pub async fn reserve(&self, bytes: usize, times: usize) -> Result<OwnedSemaphorePermit, IngestError> {
        let limit = self.limits.body_bytes;
        if bytes > limit {
            return Err(IngestError::TooLarge(format!(
                "the body has {bytes} bytes, at most {limit} are allowed"
            )));
        }
        let units = (bytes.saturating_mul(times) / UNIT + 1).min(self.units) as u32;
        // a timer wakes a thread: only who has to wait gets one
        if let Ok(reserved) = self.pending.clone().try_acquire_many_owned(units) {
            return Ok(reserved);
        }
        let busy = || IngestError::Unavailable("the server is busy with other requests".to_owned());
        tokio::time::timeout(self.limits.patience, self.pending.clone().acquire_many_owned(units))
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())
    }

    /// How many bytes a reservation is for.
    pub fn reserved_bytes(reserved: &OwnedSemaphorePermit) -> usize {
        reserved.num_permits().saturating_mul(UNIT)
    }

    /// Gives back what is not needed of a reservation.
    pub fn keep(reserved: &mut OwnedSemaphorePermit, bytes: usize) {
        let needed = bytes / UNIT + 1;
        if let Some(rest) = reserved.num_permits().checked_sub(needed) {
            drop(reserved.split(rest));
        }
    }

    fn check_announcement(&self, body: &[u8]) -> Result<(), IngestError> {
        let (size, limit) = (body.len(), self.limits.announcement_bytes);
        if size > limit {
            return Err(IngestError::TooLarge(format!(
                "the request has {size} bytes, at most {limit} are allowed"
            )));
        }
        Ok(())
    }

    /// Takes a process in the native clients' encoding.
    pub async fn insert_process(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let process = wire::decode_process(&body.bytes)?;
        Ok(self.lake.insert(vec![Entry::Process(Arc::new(process))], body.reserved).await?)
    }

    /// Takes a stream in the native clients' encoding.
    pub async fn insert_stream(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let stream = wire::decode_stream(&body.bytes)?;
        Ok(self.lake.insert(vec![Entry::Stream(Arc::new(stream))], body.reserved).await?)
    }

    /// Takes a block in the native clients' encoding. What can be told to be unreadable without
    /// decompressing it is refused: nobody would ever see a row of it.
    pub async fn insert_block(&self, body: Body) -> Result<(), IngestError> {
        let block = wire::decode_block(body.bytes)?;
        let payload = wire::split_payload(&block.body[block.payload.clone()])?;
        TransitBlock::check(&payload, self.limits.block_bytes).map_err(|e| {
            let text = format!("block {}: {e}", block.info.block_id);
            match e {
                DecodeError::TooLarge { .. } => IngestError::TooLarge(text),
                _ => IngestError::BadRequest(text),
            }
        })?;
        Ok(self.lake.insert(vec![Entry::Block(block)], body.reserved).await?)
    }

    /// Takes the blocks of one request with what they come from: all or none become durable and visible.
    pub async fn insert_blocks(
        &self,
        blocks: Vec<AnnouncedBlock>,
        reserved: Option<OwnedSemaphorePermit>,
    ) -> Result<(), IngestError> {
        let mut entries = Vec::with_capacity(blocks.len());
        let mut new = HashSet::new();
        for block in blocks {
            let id = block.stream.stream_id;
            if !new.contains(&id) && self.announced().get(&id).is_none() {
                new.insert(id);
                entries.push(Entry::Process(block.process));
                entries.push(Entry::Stream(block.stream));
            }
            entries.push(Entry::Block(block.block));
        }
        self.lake.insert(entries, reserved).await?;
        for id in new {
            self.announced().put(id, ());
        }
        Ok(())
    }

    fn announced(&self) -> MutexGuard<'_, LruCache<Uuid, ()>> {
        // whole after every single operation on it
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
