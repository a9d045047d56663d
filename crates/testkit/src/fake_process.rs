//! Programs that never ran: what one would have sent, made by hand to feed a lake in a test or an example.

use belvedere_lake::{LakeConnection, LakeError};
use belvedere_model::time::SECOND;
use belvedere_model::transit::{BlockWriter, compress};
use belvedere_model::wire::{BlockRequest, PayloadParts, TypeRecord};
use belvedere_model::{BlockInfo, ProcessInfo, StreamParts, TRANSIT_FORMAT};
use std::borrow::Cow;
use uuid::Uuid;

/// When every [`FakeProcess`] started: 2026-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
pub const START: i64 = 1_767_225_600 * SECOND;

/// What a program sent: its process, its streams, their blocks. Ids follow from its name, so the same program sends
/// the same twice. Its clock ticks once a nanosecond, from 0 at its [`START`].
#[derive(Debug, Clone)]
pub struct FakeProcess {
    /// Its process; to be changed before it is fed.
    pub process: ProcessInfo,
    streams: Vec<StreamParts>,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) info: BlockInfo,
    pub(crate) payload: PayloadParts<'static>,
}

/// One block of a stream that is not of a native client.
#[derive(Debug, Clone)]
pub struct FakePayload {
    /// Nanoseconds since the program's start of its first event.
    pub begin: i64,
    /// Nanoseconds since the program's start of its last event.
    pub end: i64,
    /// Number of its events.
    pub events: i32,
    /// What it holds, in the stream's format, not compressed.
    pub objects: Vec<u8>,
}

impl FakeProcess {
    /// A program without streams. Its name is also its executable's.
    pub fn new(name: &str) -> Self {
        let process = ProcessInfo {
            process_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()),
            exe: name.to_owned(),
            tsc_frequency: 1_000_000_000,
            start_time: START,
            ..ProcessInfo::default()
        };
        Self { process, streams: Vec::new(), blocks: Vec::new() }
    }

    /// Adds a native stream with these blocks, and returns its id: for each block the nanoseconds since the program's
    /// start of its first and its last event, and its events. All blocks have the types that the first announced.
    pub fn stream<W: AsRef<BlockWriter>>(
        &mut self,
        tag: &str,
        blocks: impl IntoIterator<Item = (i64, i64, W)>,
    ) -> Uuid {
        let mut parts = self.next_stream(tag, TRANSIT_FORMAT);
        let mut offset = 0;
        for (begin, end, writer) in blocks {
            let writer = writer.as_ref();
            if offset == 0 {
                (parts.dependencies_metadata, parts.objects_metadata) = writer.metadata();
            }
            self.push(&parts, (begin, end), writer.count(), &mut offset, writer.payload());
        }
        let id = parts.stream_id;
        self.streams.push(parts);
        id
    }

    /// Adds a stream of another format with these blocks, and returns its id.
    pub fn stream_of(
        &mut self,
        tag: &str,
        format: &str,
        blocks: impl IntoIterator<Item = FakePayload>,
    ) -> Uuid {
        let parts = self.next_stream(tag, format);
        let mut offset = 0;
        for FakePayload { begin, end, events, objects } in blocks {
            let payload = PayloadParts {
                dependencies: Cow::Owned(Vec::new()),
                objects: Cow::Owned(compress(&objects)),
            };
            self.push(&parts, (begin, end), events, &mut offset, payload);
        }
        let id = parts.stream_id;
        self.streams.push(parts);
        id
    }

    fn next_stream(&self, tag: &str, format: &str) -> StreamParts {
        let process_id = self.process.process_id;
        StreamParts {
            stream_id: Uuid::new_v5(&process_id, format!("{tag} {}", self.streams.len()).as_bytes()),
            process_id,
            dependencies_metadata: TypeRecord::encode_all(&[]).into(),
            objects_metadata: TypeRecord::encode_all(&[]).into(),
            tags: vec![tag.to_owned()],
            format: format.to_owned(),
            ..StreamParts::default()
        }
    }

    fn push(
        &mut self,
        stream: &StreamParts,
        (begin, end): (i64, i64),
        events: i32,
        offset: &mut i64,
        payload: PayloadParts<'static>,
    ) {
        let info = BlockInfo {
            block_id: Uuid::new_v5(&stream.stream_id, format!("block {}", self.blocks.len()).as_bytes()),
            stream_id: stream.stream_id,
            process_id: stream.process_id,
            begin_time: START + begin,
            begin_ticks: begin,
            end_time: START + end,
            end_ticks: end,
            nb_objects: events,
            object_offset: *offset,
            ..BlockInfo::default()
        };
        *offset += i64::from(events);
        self.blocks.push(Block { info, payload });
    }

    /// The program's streams, in the order in which they were added.
    pub fn streams(&self) -> &[StreamParts] {
        &self.streams
    }

    /// The program's streams, to be changed before it is fed: to add tags and properties.
    pub fn streams_mut(&mut self) -> &mut [StreamParts] {
        &mut self.streams
    }

    /// The requests with its blocks, stream by stream.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = BlockRequest> + '_ {
        self.blocks.iter().map(|b| BlockRequest::encode(b.info.clone(), &b.payload))
    }

    /// The same as if another program had sent it, with ids of its own.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        let mut other = self.clone();
        let id = |id: Uuid| Uuid::new_v5(&id, name.as_bytes());
        other.process.process_id = id(other.process.process_id);
        for stream in &mut other.streams {
            (stream.stream_id, stream.process_id) = (id(stream.stream_id), other.process.process_id);
        }
        for Block { info, .. } in &mut other.blocks {
            info.process_id = other.process.process_id;
            (info.block_id, info.stream_id) = (id(info.block_id), id(info.stream_id));
        }
        other
    }

    pub(crate) fn raw_blocks(&mut self) -> &mut Vec<Block> {
        &mut self.blocks
    }

    /// Sends all of it to a lake, as if it had been received in this order.
    pub async fn send_to(&self, lake: &LakeConnection) -> Result<(), LakeError> {
        lake.insert_process(self.process.clone()).await?;
        for stream in self.streams() {
            lake.insert_stream(stream.clone().into()).await?;
        }
        for block in self.blocks() {
            lake.insert_block(block).await?;
        }
        Ok(())
    }
}
