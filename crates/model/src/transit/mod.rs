//! The transit format: how native clients lay out events in memory and put them on the wire.
//!
//! A payload consists of two LZ4 frames. The *dependencies* buffer holds what events refer to by id: texts, property sets,
//! call sites. The *objects* buffer holds the events. Both are concatenations of records with a type byte in front of
//! each. The stream's announcement describes the types.
//!
//! Reading has three steps:
//! 1. per stream, [`StreamLayout`] resolves the announced types into fields at fixed offsets;
//! 2. per block, [`Dependencies`] indexes what events refer to, so that an event costs one integer look-up;
//! 3. per event, a decoder loads the fields that it asked the layout for.
//!
//! Invariant: all bytes give events or a [`DecodeError`]. Nothing panics, nothing is allocated by a length that the data
//! claims, and there is no `unsafe`.
//! Invariant: this module knows bytes; it knows no view set and no column.

mod block;
mod cause;
mod dependencies;
mod event_jsonb;
mod event_layout;
mod event_writer;
mod fields;
mod frame;
mod layout;
mod record;
mod text;
mod writer;

pub use block::{Event, TransitBlock};
pub use cause::Cause;
pub use dependencies::{Dependencies, Dependency, DependencyRecord};
pub use event_layout::{EventField, EventLayout, EventLayouts};
pub use event_writer::{EventKind, EventValue, EventValues, EventWriter, RecordKind, Reference};
pub use fields::{BytesField, F64Field, I64Field, ReferenceField, TextField, U32Field};
// for benchmarks: `decompress` checks too
#[doc(hidden)]
pub use frame::check_frame;
pub use frame::{compress, decompress};
pub use layout::{EventType, StreamLayout};
pub use text::Text;
pub use writer::BlockWriter;

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use thiserror::Error;

/// Why a block can't be read. It costs the block's rows and nothing else.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload or the stream's description of its types is malformed.
    #[error(transparent)]
    Corrupt(Cause),
    /// The payload is not where it should be, or not all of it. That may pass: a volume is not mounted, say.
    #[error(transparent)]
    Missing(Cause),
    /// The payload was read, and its checksum proves that it is not what was stored.
    #[error(transparent)]
    Damaged(Cause),
    /// A record goes on behind the end of its buffer.
    #[error("a record at byte {offset} of the {buffer} is cut off")]
    Truncated {
        /// Which buffer.
        buffer: &'static str,
        /// Where in the decompressed buffer the record starts.
        offset: usize,
    },
    /// A type byte that the stream did not announce.
    #[error("byte {offset} of the {buffer} refers to type {index}, but the stream has only {known} types")]
    UnknownType {
        /// Which buffer.
        buffer: &'static str,
        /// Where in the decompressed buffer the record starts.
        offset: usize,
        /// The type byte.
        index: u8,
        /// How many types the stream announced.
        known: usize,
    },
    /// An event refers to something that is not in the dependencies.
    #[error("no dependency has the id {id:#x}")]
    Dangling {
        /// The id.
        id: u64,
    },
    /// A type lacks a member that its reader needs.
    #[error("type {type_name} has no {kind} member '{member}'")]
    Member {
        /// Type in question.
        type_name: String,
        /// Member in question.
        member: &'static str,
        /// What was expected of it.
        kind: &'static str,
    },
    /// The block needs more memory than is allowed.
    #[error("the block decodes to more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The decoder and the schema of its view set disagree: a bug in a view crate.
    #[error("bug in the decoder: {0}")]
    Decoder(Cause),
}

impl DecodeError {
    /// [`DecodeError::Corrupt`], with a text or an error that says what is wrong.
    pub fn corrupt(what: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt(Cause::new(what))
    }

    /// Whether the block may be readable later: nothing proves that its rows are lost.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Missing(_))
    }

    /// [`DecodeError::Decoder`], with a text or an error that says what is wrong.
    pub fn mistake(what: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Decoder(Cause::new(what))
    }
}
