//! One block in a decoder's hands.

use super::{DecodeError, DecodeOptions, Events};
use belvedere_model::BlockRecord;
use belvedere_model::time::Clock;
use belvedere_model::transit::{TransitBlock, decompress};
use belvedere_model::wire::PayloadParts;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo};
use bytes::Bytes;
use std::cell::OnceCell;

/// A block, its stream and its process, and the payload in the form that the decoder asks for.
#[derive(Debug)]
pub struct BlockReader<'a> {
    record: &'a BlockRecord,
    payload: Bytes,
    options: &'a DecodeOptions,
    transit: OnceCell<TransitBlock>,
}

impl<'a> BlockReader<'a> {
    /// A block as it is stored.
    #[doc(hidden)]
    pub fn new(record: &'a BlockRecord, payload: Bytes, options: &'a DecodeOptions) -> Self {
        Self { record, payload, options, transit: OnceCell::new() }
    }

    /// Process that the block comes from.
    pub fn process(&self) -> &'a ProcessInfo {
        &self.record.process
    }

    /// Stream that the block comes from.
    pub fn stream(&self) -> &'a StreamInfo {
        &self.record.stream
    }

    /// What the block says of itself.
    pub fn info(&self) -> &'a BlockInfo {
        &self.record.info
    }

    /// Bytes that each decompressed buffer of the block may have.
    pub fn buffer_limit(&self) -> usize {
        self.options.block_bytes
    }

    /// Turns the ticks of the block's events into times. All of them lie within the bounds by which queries find the block:
    /// events that lie far outside of what the block announces are moved there.
    pub fn clock(&self) -> Result<Clock, DecodeError> {
        Ok(Clock::for_block(self.process(), self.info()))
    }

    /// The clock for a decoder that reads the blocks of a stream one after the other, joined to the clock of the block before
    /// it: `before` is what [`BlockReader::end`] said of that. It has no bounds: rows of such a decoder are found by their
    /// stream.
    pub fn clock_behind(&self, before: Option<(i64, i64)>) -> Result<Clock, DecodeError> {
        let clock = Clock::for_block(self.process(), self.info()).unbounded();
        Ok(match before {
            Some((ticks, time)) => clock.continuing(ticks, time, self.info()),
            None => clock,
        })
    }

    /// The absolute tick count at the block's end, and what that clock of the block says then.
    pub fn end(&self, clock: &Clock) -> (i64, i64) {
        let ticks = self.info().end_ticks;
        (clock.absolute(ticks), clock.time_of_relative(ticks))
    }

    /// The two buffers of the payload as they were sent.
    pub fn payload(&self) -> Result<PayloadParts<'_>, DecodeError> {
        PayloadParts::split(&self.payload).map_err(DecodeError::corrupt)
    }

    /// The payload's second buffer, decompressed: what protocols store that are not the native one.
    pub fn objects(&self) -> Result<Vec<u8>, DecodeError> {
        decompress(&self.payload()?.objects, self.options.block_bytes, "objects")
    }

    /// The events of one type in the payload of a native client, to be read column by column. There are none if the
    /// stream did not announce the type.
    pub fn events(&self, type_name: &str) -> Result<Events<'_>, DecodeError> {
        Events::new(self, type_name)
    }

    /// The payload of a native client, decompressed and indexed.
    pub fn transit(&self) -> Result<&TransitBlock, DecodeError> {
        if let Some(block) = self.transit.get() {
            return Ok(block);
        }
        let layout = self.stream().layout(&self.options.layouts)?.clone();
        let block = TransitBlock::new(layout, &self.payload()?, self.options.block_bytes)?;
        Ok(self.transit.get_or_init(|| block))
    }
}
