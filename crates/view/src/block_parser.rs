//! How blocks of a format are shown as they are, object by object.

use crate::decoder::{BlockReader, DecodeError, ParsedObjects};

/// Reads the objects of a block, in their order. Plain code: it runs on a thread that may be busy.
pub type ParseBlock = fn(&BlockReader<'_>, &mut ParsedObjects<'_>) -> Result<(), DecodeError>;

/// What `parse_block` reads blocks of one format with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BlockParserRegistration {
    /// The `format` of the streams whose blocks it reads. There is one parser for each format.
    pub format: &'static str,
    /// Reads one block.
    pub parse: ParseBlock,
}

impl BlockParserRegistration {
    /// The parser of the blocks of that format.
    pub const fn new(format: &'static str, parse: ParseBlock) -> Self {
        Self { format, parse }
    }
}
