//! The events of one type, column by column: the short way to write a decoder.

use super::{BlockReader, DecodeError};
use crate::text::{PropertyDictionary, TextColumn, TextDictionary};
use arrow_array::ArrayRef;
use arrow_array::builder::BinaryBuilder;
use belvedere_model::time::Clock;
use belvedere_model::transit::{Event, EventType, TransitBlock};
use std::sync::Arc;

/// The events of one type in a block of a native client: [`BlockReader::events`] gives them.
///
/// Each method reads one member of all events, in their order, and gives what [`Rows::put`](super::Rows::put) takes. An
/// event that can't be read is an error: it costs the block's rows. A decoder of several types of events, or one that
/// must be as fast as can be, walks over [`TransitBlock::events`] itself, once for all columns.
///
/// ```
/// use belvedere_view::prelude::*;
///
/// const TIME: Column = Column::time("time", "when it ticked").event_time();
/// const NUMBER: Column = Column::int64("number", "how many ticks came before");
/// const MOOD: Column = Column::label("mood", "how the clock feels");
///
/// #[derive(Debug)]
/// struct TickDecoder;
///
/// impl BlockDecoder for TickDecoder {
///     fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
///         let ticks = block.events("Tick")?;
///         rows.put(&TIME, ticks.times("time")?)?;
///         rows.put(&NUMBER, ticks.i64("number")?)?;
///         rows.put(&MOOD, ticks.labels("mood")?)?;
///         Ok(ticks.len())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Events<'a> {
    transit: &'a TransitBlock,
    /// `None` if the stream did not announce the type.
    event_type: Option<&'a EventType>,
    clock: Clock,
    text_limit: usize,
    count: usize,
}

impl<'a> Events<'a> {
    pub(super) fn new(block: &'a BlockReader<'_>, type_name: &str) -> Result<Self, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        let event_type = transit.event(type_name);
        let text_limit = block.buffer_limit();
        let mut events = Self { transit, event_type, clock, text_limit, count: 0 };
        if let Some(event_type) = event_type {
            events.count = events.each(event_type, |_| Ok(()))?.len();
        }
        Ok(events)
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A value of each event.
    fn each<T>(
        &self,
        event_type: &EventType,
        mut value: impl FnMut(&Event<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let mut values = Vec::with_capacity(self.count);
        for event in self.transit.events() {
            let event = event?;
            if event.type_index == event_type.index() {
                values.push(value(&event)?);
            }
        }
        Ok(values)
    }

    /// What `value` makes of each event. `field` finds the member once, [`EventType::i64`] say; `value` reads it.
    pub fn map<F, T>(
        &self,
        field: impl FnOnce(&EventType) -> Result<F, DecodeError>,
        mut value: impl FnMut(&F, &Event<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let Some(event_type) = self.event_type else { return Ok(Vec::new()) };
        let field = field(event_type)?;
        self.each(event_type, |event| value(&field, event))
    }

    /// Times, from a member with ticks of the process's clock.
    pub fn times(&self, member: &'static str) -> Result<Vec<i64>, DecodeError> {
        self.map(|t| t.i64(member), |field, event| Ok(self.clock.time_of(field.get(event)?)))
    }

    /// Integers of 64 bits; unsigned ones are reinterpreted.
    pub fn i64(&self, member: &'static str) -> Result<Vec<i64>, DecodeError> {
        self.map(|t| t.i64(member), |field, event| field.get(event))
    }

    /// Unsigned integers of at most 32 bits.
    pub fn u32(&self, member: &'static str) -> Result<Vec<u32>, DecodeError> {
        self.map(|t| t.u32(member), |field, event| field.get(event))
    }

    /// Doubles.
    pub fn f64(&self, member: &'static str) -> Result<Vec<f64>, DecodeError> {
        self.map(|t| t.f64(member), |field, event| field.get(event))
    }

    /// The texts that the events refer to, for a [label](crate::Column::label).
    pub fn labels(&self, member: &'static str) -> Result<ArrayRef, DecodeError> {
        let dependencies = self.transit.dependencies();
        let mut texts = TextDictionary::new(dependencies);
        let keys = self
            .map(|t| t.reference(member), |field, event| texts.key(dependencies.find(field.get(event)?)?))?;
        texts.finish(keys)
    }

    /// The texts that stand in the events, for a [text](crate::Column::utf8).
    pub fn texts(&self, member: &'static str) -> Result<ArrayRef, DecodeError> {
        let mut texts = TextColumn::new(self.transit, self.text_limit);
        self.map(|t| t.text(member), |field, event| texts.push_text(field.get(event)?))?;
        texts.finish()
    }

    /// The property sets that the events refer to, for a [JSONB column](crate::Column::jsonb).
    pub fn properties(&self, member: &'static str) -> Result<ArrayRef, DecodeError> {
        let dependencies = self.transit.dependencies();
        let mut sets = PropertyDictionary::new(dependencies, self.text_limit);
        let keys = self
            .map(|t| t.reference(member), |field, event| sets.key(dependencies.find(field.get(event)?)?))?;
        sets.finish(keys)
    }

    /// The blobs that stand in the events, for [bytes](crate::Column::binary).
    pub fn blobs(&self, member: &'static str) -> Result<ArrayRef, DecodeError> {
        let mut blobs = BinaryBuilder::new();
        self.map(
            |t| t.bytes(member),
            |field, event| {
                blobs.append_value(field.get(event)?);
                Ok(())
            },
        )?;
        Ok(Arc::new(blobs.finish()))
    }
}
