//! Which blocks feed a view set, and what decodes them.

use crate::column::Column;
use crate::decoder::{AnyStatefulDecoder, BlockDecoder};
use belvedere_model::{BlockRecord, StreamInfo, TRANSIT_FORMAT};

/// Blocks of one kind, and the decoder that turns them into rows.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BlockSource {
    /// Tag that the blocks' streams have.
    pub tag: &'static str,
    /// Format that the blocks' streams have.
    pub format: &'static str,
    /// What makes rows of them.
    #[doc(hidden)]
    pub decoder: Decoder,
}

/// What makes rows of blocks.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    /// Each block by itself.
    Block(&'static dyn BlockDecoder),
    /// The blocks of a stream one after the other. All sources of a view set are of one kind.
    Stateful(&'static dyn AnyStatefulDecoder),
}

impl BlockSource {
    /// Blocks of that format and tag, each decoded by itself.
    pub const fn new(format: &'static str, tag: &'static str, decoder: &'static dyn BlockDecoder) -> Self {
        Self { tag, format, decoder: Decoder::Block(decoder) }
    }

    /// Blocks of that format and tag, decoded along their streams by a
    /// [`StatefulDecoder`](crate::decoder::StatefulDecoder).
    pub const fn stateful(
        format: &'static str,
        tag: &'static str,
        decoder: &'static dyn AnyStatefulDecoder,
    ) -> Self {
        Self { tag, format, decoder: Decoder::Stateful(decoder) }
    }

    /// Blocks of native clients with that tag, each decoded by itself.
    pub const fn transit(tag: &'static str, decoder: &'static dyn BlockDecoder) -> Self {
        Self::new(TRANSIT_FORMAT, tag, decoder)
    }

    /// Blocks of native clients with that tag, decoded along their streams by a
    /// [`StatefulDecoder`](crate::decoder::StatefulDecoder).
    pub const fn transit_stateful(tag: &'static str, decoder: &'static dyn AnyStatefulDecoder) -> Self {
        Self::stateful(TRANSIT_FORMAT, tag, decoder)
    }

    /// The first of some sources that understands the blocks of a stream.
    #[doc(hidden)]
    pub fn for_stream<'a>(sources: &'a [Self], stream: &StreamInfo) -> Option<&'a Self> {
        sources
            .iter()
            .find(|source| source.format == stream.format && stream.tags.iter().any(|t| t == source.tag))
    }

    /// The first of some sources that understands a block by itself, its decoder.
    #[doc(hidden)]
    pub fn for_block(sources: &[Self], block: &BlockRecord) -> Option<&'static dyn BlockDecoder> {
        match Self::for_stream(sources, &block.stream)?.decoder {
            Decoder::Block(decoder) => Some(decoder),
            Decoder::Stateful(_) => None,
        }
    }
}

/// One more block source for a view set, which may be another crate's.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BlockSourceRegistration {
    /// View set that gets the rows.
    pub view_set: &'static str,
    /// Columns of that view set that the decoder fills.
    pub columns: &'static [Column],
    /// The blocks and their decoder.
    pub source: BlockSource,
    /// Whether a program may be without that view set: the source is left out then.
    pub is_optional: bool,
}

impl BlockSourceRegistration {
    /// A source for the view set of that name. `columns` are those that its decoder fills: all that the view set has
    /// and core does not fill, but for those that may be NULL.
    pub const fn new(view_set: &'static str, columns: &'static [Column], source: BlockSource) -> Self {
        Self { view_set, columns, source, is_optional: false }
    }

    /// The same, left out of programs that are without the view set.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }
}
