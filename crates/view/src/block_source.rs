//! Which blocks feed a view set, and what decodes them.

use crate::decoder::{AnyChainDecoder, BlockDecoder};
use belvedere_model::{BlockRecord, StreamInfo, TRANSIT_FORMAT};

/// Blocks of one kind, and the decoder that turns them into rows.
#[derive(Debug, Clone, Copy)]
pub struct BlockSource {
    /// Tag that the blocks' streams have.
    pub tag: &'static str,
    /// Format that the blocks' streams have.
    pub format: &'static str,
    /// What makes rows of them.
    pub decoder: Decoder,
}

/// What makes rows of blocks.
#[derive(Debug, Clone, Copy)]
pub enum Decoder {
    /// Each block by itself.
    Block(&'static dyn BlockDecoder),
    /// The blocks of a stream one after the other. All sources of a view set are of one kind.
    Chain(&'static dyn AnyChainDecoder),
}

impl Decoder {
    /// Names of the columns that it fills.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Block(decoder) => decoder.columns(),
            Self::Chain(decoder) => decoder.columns(),
        }
    }
}

impl BlockSource {
    /// Blocks of native clients with that tag, each decoded by itself.
    pub const fn transit(tag: &'static str, decoder: &'static dyn BlockDecoder) -> Self {
        Self { tag, format: TRANSIT_FORMAT, decoder: Decoder::Block(decoder) }
    }

    /// Blocks of native clients with that tag, decoded along their streams.
    pub const fn transit_chain(tag: &'static str, decoder: &'static dyn AnyChainDecoder) -> Self {
        Self { tag, format: TRANSIT_FORMAT, decoder: Decoder::Chain(decoder) }
    }

    /// The first of some sources that understands the blocks of a stream.
    pub fn for_stream<'a>(sources: &'a [Self], stream: &StreamInfo) -> Option<&'a Self> {
        sources
            .iter()
            .find(|source| source.format == stream.format && stream.tags.iter().any(|t| t == source.tag))
    }

    /// The first of some sources that understands a block by itself, its decoder.
    pub fn for_block(sources: &[Self], block: &BlockRecord) -> Option<&'static dyn BlockDecoder> {
        match Self::for_stream(sources, &block.stream)?.decoder {
            Decoder::Block(decoder) => Some(decoder),
            Decoder::Chain(_) => None,
        }
    }
}

/// One more block source for a view set, which may be another crate's.
#[derive(Debug)]
pub struct BlockSourceRegistration {
    /// View set that gets the rows.
    pub view_set: &'static str,
    /// Whether a program may be without that view set: the source is left out then.
    pub is_optional: bool,
    /// The blocks and their decoder.
    pub source: BlockSource,
}
