//! The ingestion service: every protocol passes its processes, streams and blocks to it.

use super::memory::{BodyMemory, Reservation};
use crate::record::Entry;
use crate::{Cause, LakeConnection, LakeError};
use belvedere_model::transit::{DecodeError, TransitBlock};
use belvedere_model::wire::{BlockRequest, PayloadParts, WireError};
use belvedere_model::{ProcessInfo, StreamInfo};
use bytes::Bytes;
use lru::LruCache;
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Limits on requests.
#[derive(Debug, Clone)]
pub struct IngestLimits {
    /// Size of one body.
    pub body_bytes: usize,
    /// Size of the announcement of a process or a stream. The caches hold thousands of them.
    pub announcement_bytes: usize,
    /// Size of each decompressed buffer of a block.
    pub block_bytes: usize,
    /// Size of all bodies that are in memory at once, as far as they have arrived; a quarter of it is for bodies of up to
    /// 256 KiB. A request that does not fit waits.
    pub pending_bytes: usize,
    /// How long a body may take to arrive, waiting for memory included.
    pub timeout: Duration,
    /// Bytes that must arrive of a body each second, on average over `rate_span`; 0 for no minimum.
    pub min_rate: usize,
    /// A body that brings less than `min_rate` for this long is cut.
    pub rate_span: Duration,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            body_bytes: 100 << 20,
            announcement_bytes: 256 << 10,
            block_bytes: 256 << 20,
            pending_bytes: 512 << 20,
            timeout: Duration::from_secs(60),
            min_rate: 1024,
            rate_span: Duration::from_secs(10),
        }
    }
}

/// Why a request was not accepted, by what its sender should do.
#[derive(Debug)]
pub enum IngestError {
    /// The request is wrong and will be wrong again: don't retry.
    BadRequest(Cause),
    /// The request is larger than is allowed: don't retry.
    TooLarge(Cause),
    /// The server can't accept it now: retry later.
    Unavailable(Cause),
}

impl IngestError {
    /// Writes it to the log, and returns what its sender is told. What a backend says may name paths, buckets and
    /// addresses of the host: the sender gets an id, by which the log has it.
    pub fn report(&self, route: &str) -> String {
        match self {
            Self::Unavailable(cause) if cause.source().is_some() => {
                let id = Uuid::new_v4();
                tracing::warn!(route, error_id = %id, "temporarily refused: {self}");
                format!(
                    "the server can't store this at the moment, try again: its log has the reason as error {id}"
                )
            }
            Self::Unavailable(_) => {
                tracing::warn!(route, "temporarily refused: {self}");
                self.to_string()
            }
            Self::BadRequest(_) | Self::TooLarge(_) => {
                tracing::warn!(route, "refused: {self}");
                self.to_string()
            }
        }
    }

    fn cause(&self) -> &Cause {
        match self {
            Self::BadRequest(cause) | Self::TooLarge(cause) | Self::Unavailable(cause) => cause,
        }
    }
}

impl std::fmt::Display for IngestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.cause().as_str())
    }
}

impl std::error::Error for IngestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().source()
    }
}

impl From<WireError> for IngestError {
    fn from(e: WireError) -> Self {
        Self::BadRequest(Cause::new(e.to_string(), e))
    }
}

impl From<LakeError> for IngestError {
    fn from(e: LakeError) -> Self {
        let is_about_data = matches!(e, LakeError::Refused(_) | LakeError::Conflict(_));
        let cause = Cause::new(e.to_string(), e);
        if is_about_data { Self::BadRequest(cause) } else { Self::Unavailable(cause) }
    }
}

/// The body of a request, with the memory that is reserved for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Body {
    /// The bytes.
    pub bytes: Bytes,
    /// Released when the body is no longer in memory, even if its sender is gone.
    pub reserved: Option<Reservation>,
}

/// A block with its process and its stream, for protocols that don't announce them separately.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AnnouncedBlock {
    /// The process. If it is in the lake already, the lake's one stays.
    pub process: Arc<ProcessInfo>,
    /// The stream. If it is in the lake already, the lake's one stays. Unless it has the format of native clients, the
    /// block's begin and end times must be the bounds of its events' times.
    pub stream: Arc<StreamInfo>,
    /// The block.
    pub block: BlockRequest,
}

impl Body {
    /// A body, with the memory that [`IngestionService::reserve`] gave for it.
    pub fn new(bytes: Bytes, reserved: Option<Reservation>) -> Self {
        Self { bytes, reserved }
    }
}

impl AnnouncedBlock {
    /// A block, with its process and its stream.
    pub fn new(process: Arc<ProcessInfo>, stream: Arc<StreamInfo>, block: BlockRequest) -> Self {
        Self { process, stream, block }
    }
}

/// Adds what producers send to the lake. A server has one for all protocols.
#[derive(Debug)]
pub struct IngestionService {
    lake: Arc<LakeConnection>,
    limits: IngestLimits,
    memory: BodyMemory,
    /// Streams that are known to be in the lake, with their processes.
    announced: Mutex<LruCache<Uuid, ()>>,
}

/// Streams that are known not to need another insert.
const KNOWN_STREAMS: NonZeroUsize = NonZeroUsize::new(16 << 10).unwrap();

impl IngestionService {
    /// The service of that lake.
    pub fn new(lake: Arc<LakeConnection>, limits: IngestLimits) -> Self {
        let memory = BodyMemory::new(limits.pending_bytes, limits.body_bytes);
        Self { lake, limits, memory, announced: Mutex::new(LruCache::new(KNOWN_STREAMS)) }
    }

    /// The lake.
    pub fn lake(&self) -> &Arc<LakeConnection> {
        &self.lake
    }

    /// The limits.
    pub fn limits(&self) -> &IngestLimits {
        &self.limits
    }

    /// Counts a request that was answered, with the status of its protocol.
    pub fn count_request(&self, route: &str, status: &str) {
        let labels = [("route", route.to_owned()), ("status", status.to_owned())];
        self.lake.metrics().requests.get_or_create(&labels).inc();
    }

    /// Counts received bytes.
    pub fn count_bytes(&self, bytes: usize) {
        self.lake.metrics().request_bytes.inc_by(bytes as u64);
    }

    pub(super) fn memory(&self) -> &BodyMemory {
        &self.memory
    }

    fn check_announcement(&self, body: &[u8]) -> Result<(), IngestError> {
        let (size, limit) = (body.len(), self.limits.announcement_bytes);
        if size > limit {
            let message = format!("the request has {size} bytes, at most {limit} are allowed");
            return Err(IngestError::TooLarge(message.into()));
        }
        Ok(())
    }

    /// Adds a process in the encoding of the native clients.
    pub async fn insert_process(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let process = ProcessInfo::decode(&body.bytes)?;
        self.lake.catalog().check_native(process.process_id).await?;
        Ok(self.lake.insert(vec![Entry::Process(Arc::new(process))], body.reserved).await?)
    }

    /// Adds a stream in the encoding of the native clients.
    pub async fn insert_stream(&self, body: Body) -> Result<(), IngestError> {
        self.check_announcement(&body.bytes)?;
        let stream = StreamInfo::decode(&body.bytes)?;
        self.lake.catalog().check_native(stream.process_id).await?;
        Ok(self.lake.insert(vec![Entry::Stream(Arc::new(stream))], body.reserved).await?)
    }

    /// Adds a block in the encoding of the native clients. A payload that can be told to be unreadable without
    /// decompressing it is refused: it would never give a row, and its sender should know.
    pub async fn insert_block(&self, body: Body) -> Result<(), IngestError> {
        let block = BlockRequest::decode(body.bytes)?;
        let payload = block.payload();
        let payload = PayloadParts::split(&payload)?;
        TransitBlock::check(&payload, self.limits.block_bytes).map_err(|e| {
            let is_too_large = matches!(e, DecodeError::TooLarge { .. });
            let cause = Cause::new(format!("block {}: {e}", block.info.block_id), e);
            if is_too_large { IngestError::TooLarge(cause) } else { IngestError::BadRequest(cause) }
        })?;
        Ok(self.lake.insert(vec![Entry::Block(block)], body.reserved).await?)
    }

    /// Adds the blocks of one request with their streams and processes. If it fails, some of a large request may have become
    /// visible; sending it again adds the rest.
    pub async fn insert_blocks(
        &self,
        blocks: Vec<AnnouncedBlock>,
        reserved: Option<Reservation>,
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

    /// Whether somebody else has announced the process or the stream of a block under their ids. Protocols that work ids out
    /// of what a sender says of itself ask it, and choose others then: who knows the same may be first with any id.
    pub async fn is_taken(&self, block: &AnnouncedBlock) -> Result<bool, IngestError> {
        if self.announced().get(&block.stream.stream_id).is_some() {
            return Ok(false);
        }
        Ok(self.lake.catalog().is_taken(&block.process, &block.stream).await?)
    }

    fn announced(&self) -> MutexGuard<'_, LruCache<Uuid, ()>> {
        // consistent after every single operation, so one that panicked did no harm
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Something that only the host's administrators may know.
    fn secret() -> impl Strategy<Value = String> {
        prop_oneof![
            "/[a-z]{3,9}(/[a-z0-9._-]{3,9}){1,4}",
            "(s3|gs|az)://[a-z]{3,9}/[a-z0-9/]{3,20}",
            "https?://[a-z]{3,9}\\.internal:[0-9]{4}/[a-z]{3,9}",
            "postgres://[a-z]{3,9}:[a-zA-Z0-9]{5,9}@[a-z]{3,9}/[a-z]{3,9}",
        ]
    }

    /// Each kind of error that a backend can have, with it.
    fn errors(secret: &str) -> Vec<LakeError> {
        let io = || std::io::Error::other(format!("{secret}: no space left on device"));
        let store =
            |source: &str| object_store::Error::Generic { store: "S3", source: source.to_owned().into() };
        vec![
            LakeError::Address(Cause::from(secret)),
            LakeError::Corrupt(Cause::from(format!("object {secret} is missing"))),
            LakeError::Objects(Cause::new(format!("{secret}: {}", io()), io())),
            LakeError::from(store(secret)),
            LakeError::from(object_store::Error::NotFound { path: secret.to_owned(), source: secret.into() }),
            LakeError::from(object_store::Error::PermissionDenied {
                path: secret.to_owned(),
                source: secret.into(),
            }),
            LakeError::from(sqlx::Error::Io(io())),
            LakeError::from(sqlx::Error::Configuration(secret.into())),
            LakeError::from(sqlx::Error::Protocol(secret.to_owned())),
            LakeError::Closed,
        ]
    }

    proptest! {
        #[test]
        fn a_sender_is_told_nothing_of_the_host_by_any_error_of_a_backend(secret in secret()) {
            for error in errors(&secret) {
                let error = IngestError::from(error);
                prop_assert!(matches!(error, IngestError::Unavailable(_)));
                let told = error.report("insert_block");
                prop_assert!(!told.contains(&secret), "{}", told);
                let id = told.rsplit(' ').next().and_then(|id| id.parse::<Uuid>().ok());
                prop_assert!(id.is_some(), "{}", told);
            }
        }
    }

    #[test]
    fn what_a_sender_can_do_something_about_is_told() {
        let busy = IngestError::Unavailable("the server is busy with other requests".into());
        assert_eq!(busy.report("insert_block"), "the server is busy with other requests");
        let wrong = IngestError::BadRequest("the body is empty".into());
        assert_eq!(wrong.report("insert_block"), "the body is empty");
    }
}
