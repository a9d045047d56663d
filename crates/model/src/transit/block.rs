//! One block, decompressed and indexed, and the walk over its events.

use super::record::next_record;
use super::{DecodeError, Dependencies, EventType, StreamLayout, check_frame, decompress};
use crate::wire::PayloadParts;
use bytes::Bytes;
use std::sync::Arc;

/// The events of one block, ready to be read.
#[derive(Debug)]
pub struct TransitBlock {
    layout: Arc<StreamLayout>,
    dependencies: Dependencies,
    objects: Bytes,
}

impl TransitBlock {
    /// Decompresses both buffers, each to at most `limit` bytes, and indexes the dependencies.
    pub fn new(
        layout: Arc<StreamLayout>,
        payload: &PayloadParts<'_>,
        limit: usize,
    ) -> Result<Self, DecodeError> {
        // positions in buffers have 32 bits
        let limit = limit.min(i32::MAX as usize);
        let objects = decompress(&payload.objects, limit, "objects")?;
        let dependencies = decompress(&payload.dependencies, limit, "dependencies")?;
        Self::from_buffers(layout, dependencies, objects)
    }

    /// A block from buffers that are not compressed.
    pub fn from_buffers(
        layout: Arc<StreamLayout>,
        dependencies: Vec<u8>,
        objects: Vec<u8>,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            dependencies: Dependencies::parse(Bytes::from(dependencies), layout.clone())?,
            layout,
            objects: Bytes::from(objects),
        })
    }

    /// A block without events, of a stream without types.
    pub fn empty() -> Self {
        let layout = Arc::new(StreamLayout { dependencies: Vec::new(), objects: Vec::new() });
        let dependencies = Dependencies::empty(layout.clone());
        Self { layout, dependencies, objects: Bytes::new() }
    }

    /// Checks by the frame headers alone whether a payload can be a transit payload with buffers of at most `limit` bytes.
    pub fn check(payload: &PayloadParts<'_>, limit: usize) -> Result<(), DecodeError> {
        check_frame(&payload.dependencies, limit, "dependencies")?;
        check_frame(&payload.objects, limit, "objects")?;
        Ok(())
    }

    /// The types of the block's stream.
    pub fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    /// What events refer to.
    pub fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// The decompressed events.
    pub fn objects(&self) -> &Bytes {
        &self.objects
    }

    /// The event type of that name, if the stream announced it.
    pub fn event(&self, name: &str) -> Option<&EventType> {
        self.layout.event(name)
    }

    /// Iterates over the events. The first error is the last item.
    pub fn events(&self) -> impl Iterator<Item = Result<Event<'_>, DecodeError>> {
        EventCursor { objects: &self.objects, types: &self.layout.objects, position: 0 }
    }
}

/// One event in its block.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Index of its type, see [`EventType::index`].
    pub type_index: u8,
    pub(super) bytes: &'a [u8],
}

struct EventCursor<'a> {
    objects: &'a [u8],
    types: &'a [EventType],
    position: usize,
}

impl<'a> Iterator for EventCursor<'a> {
    type Item = Result<Event<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.objects.len() {
            return None;
        }
        match next_record(self.objects, &mut self.position, self.types, "objects") {
            Ok((type_, bytes)) => Some(Ok(Event { type_index: type_.index, bytes })),
            Err(e) => {
                self.position = self.objects.len();
                Some(Err(e))
            }
        }
    }
}
