//! The service that every protocol hands its processes, streams and blocks to.

use crate::lake::{Entry, LakeConnection, LakeError};
use crate::transit::{DecodeError, TransitBlock};
use crate::wire::{self, WireError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// Takes what producers announce into the lake. One for all protocols of a server.
#[derive(Debug)]
pub struct IngestionService {
    lake: Arc<LakeConnection>,
    limits: IngestLimits,
    pending: Arc<Semaphore>,
}

/// Pending bytes are counted in units of this many, so that they fit a semaphore.
const UNIT: usize = 1024;

impl IngestionService {
    /// A service for that lake.
    pub fn new(lake: Arc<LakeConnection>, limits: IngestLimits) -> Self {
        let units = (limits.pending_bytes.max(limits.body_bytes) / UNIT + 1).min(Semaphore::MAX_PERMITS);
        Self { lake, limits, pending: Arc::new(Semaphore::new(units)) }
    }

    /// The lake.
    pub fn lake(&self) -> &Arc<LakeConnection> {
        &self.lake
    }

    /// What is allowed.
    pub fn limits(&self) -> &IngestLimits {
        &self.limits
    }

    /// Reserves memory for a body of so many bytes, waiting until there is some. To be held as long as the
    /// body is.
    pub async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, IngestError> {
        let limit = self.limits.body_bytes;
        if bytes > limit {
            return Err(IngestError::TooLarge(format!(
                "the body has {bytes} bytes, at most {limit} are allowed"
            )));
        }
        let units = (bytes / UNIT + 1) as u32;
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

    fn check_announcement(&self, body: &[u8]) -> Result<(), IngestError> {
        let (size, limit) = (body.len(), self.limits.announcement_bytes);
        if size > limit {
            return Err(IngestError::TooLarge(format!(
                "the announcement has {size} bytes, at most {limit} are allowed"
            )));
        }
        Ok(())
    }

    /// Takes a process in the native clients' encoding.
    pub async fn insert_process(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let process = wire::decode_process(&body.bytes)?;
        Ok(self.lake.insert(Entry::Process(Arc::new(process)), body.reserved).await?)
    }

    /// Takes a stream in the native clients' encoding.
    pub async fn insert_stream(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let stream = wire::decode_stream(&body.bytes)?;
        Ok(self.lake.insert(Entry::Stream(Arc::new(stream)), body.reserved).await?)
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
        Ok(self.lake.insert(Entry::Block(block), body.reserved).await?)
    }
}
