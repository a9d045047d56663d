//! Process, stream and block: what producers announce and the lake stores.

use crate::transit::{DecodeError, EventLayouts, StreamLayout};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// The `format` of streams sent by the native client libraries.
pub const TRANSIT_FORMAT: &str = "micromegas-transit";

/// One run of an instrumented program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessInfo {
    /// Random id chosen by the producer.
    pub process_id: Uuid,
    /// Executable, with its path where the producer knows it.
    pub exe: String,
    /// Login name.
    pub username: String,
    /// Full name of the user.
    pub realname: String,
    /// Machine name.
    pub computer: String,
    /// Description of the operating system.
    pub distro: String,
    /// Brand of the CPU.
    pub cpu_brand: String,
    /// Ticks per second; 0 when unknown, see [`crate::time::Clock`].
    pub tsc_frequency: i64,
    /// Start of the process, nanoseconds since the Unix epoch.
    pub start_time: i64,
    /// Tick count at the start of the process.
    pub start_ticks: i64,
    /// Instrumented process that started this one.
    pub parent_process_id: Option<Uuid>,
    /// Properties that the producer chose, in the order in which they were sent, each key once.
    pub properties: Vec<(String, String)>,
    /// Server clock at reception, nanoseconds since the Unix epoch.
    pub insert_time: i64,
}

/// One ordered flow of events out of a process.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Random id chosen by the producer.
    pub stream_id: Uuid,
    /// Process that the stream comes from.
    pub process_id: Uuid,
    /// CBOR array of the type records of the dependencies buffer.
    pub dependencies_metadata: Bytes,
    /// CBOR array of the type records of the objects buffer.
    pub objects_metadata: Bytes,
    /// What the stream is about: `log`, `metrics`, `cpu`, `net`, `image`, `trace`.
    pub tags: Vec<String>,
    /// Properties that the producer chose, in the order in which they were sent, each key once.
    pub properties: Vec<(String, String)>,
    /// How payloads are encoded; [`TRANSIT_FORMAT`] for native clients.
    pub format: String,
    /// Server clock at reception, nanoseconds since the Unix epoch.
    pub insert_time: i64,
    layout: OnceLock<Result<Arc<StreamLayout>, DecodeError>>,
}

/// The parts of a stream's announcement, from which a [`StreamInfo`] is made.
#[derive(Debug, Clone, Default)]
pub struct StreamParts {
    /// See [`StreamInfo::stream_id`].
    pub stream_id: Uuid,
    /// See [`StreamInfo::process_id`].
    pub process_id: Uuid,
    /// See [`StreamInfo::dependencies_metadata`].
    pub dependencies_metadata: Bytes,
    /// See [`StreamInfo::objects_metadata`].
    pub objects_metadata: Bytes,
    /// See [`StreamInfo::tags`].
    pub tags: Vec<String>,
    /// See [`StreamInfo::properties`].
    pub properties: Vec<(String, String)>,
    /// See [`StreamInfo::format`].
    pub format: String,
    /// See [`StreamInfo::insert_time`].
    pub insert_time: i64,
}

impl From<StreamParts> for StreamInfo {
    fn from(parts: StreamParts) -> Self {
        Self {
            stream_id: parts.stream_id,
            process_id: parts.process_id,
            dependencies_metadata: parts.dependencies_metadata,
            objects_metadata: parts.objects_metadata,
            tags: parts.tags,
            properties: parts.properties,
            format: parts.format,
            insert_time: parts.insert_time,
            layout: OnceLock::new(),
        }
    }
}

impl StreamInfo {
    /// The memory layout of the stream's events, resolved on first use and kept. All calls in one lake pass the same
    /// `layouts`.
    pub fn layout(&self, layouts: &EventLayouts) -> Result<&Arc<StreamLayout>, DecodeError> {
        self.layout
            .get_or_init(|| {
                StreamLayout::parse(&self.dependencies_metadata, &self.objects_metadata, layouts)
                    .map(Arc::new)
            })
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// A batch of consecutive events of one stream, without its payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockInfo {
    /// Random id chosen by the producer; what makes a redelivery recognizable.
    pub block_id: Uuid,
    /// Stream that the block belongs to.
    pub stream_id: Uuid,
    /// Process that the block comes from.
    pub process_id: Uuid,
    /// Producer's wall clock at the beginning, nanoseconds since the Unix epoch.
    pub begin_time: i64,
    /// Ticks since the start of the process at the beginning.
    pub begin_ticks: i64,
    /// Producer's wall clock at the end, nanoseconds since the Unix epoch.
    pub end_time: i64,
    /// Ticks since the start of the process at the end.
    pub end_ticks: i64,
    /// Number of events, as announced by the producer: may be wrong.
    pub nb_objects: i32,
    /// Number of events of this stream before this block, as announced.
    pub object_offset: i64,
    /// Bytes of the encoded payload.
    pub payload_size: i64,
    /// Server clock at reception, nanoseconds since the Unix epoch.
    pub insert_time: i64,
}

/// A block with all that is needed to read it.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// Grows in the order in which blocks became visible.
    pub seq: i64,
    /// The block.
    pub info: BlockInfo,
    /// Its stream.
    pub stream: Arc<StreamInfo>,
    /// Its process.
    pub process: Arc<ProcessInfo>,
    /// Key of the object with the payload.
    pub object_key: String,
    /// Where in the object the payload starts; it is `info.payload_size` bytes long.
    pub payload_offset: u64,
}

impl BlockRecord {
    /// Its sort key within its stream: the number of its first event, its first tick, its id. The number alone is ambiguous
    /// only for blocks without events, or if a client counts wrongly.
    pub fn chain_key(&self) -> (i64, i64, Uuid) {
        (self.info.object_offset, self.info.begin_ticks, self.info.block_id)
    }
}
