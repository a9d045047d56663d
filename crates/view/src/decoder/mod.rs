//! From blocks to rows: what a view crate implements, and what it is handed.
//!
//! A decoder reads every event that its rows are made of, whatever columns a query wants: so a block that
//! can't be read costs the same rows in every query. Only the building of unwanted columns is left out.

mod events;
mod parsed;
mod reader;
mod rows;
mod stateful;

pub use belvedere_model::transit::DecodeError;
pub use events::Events;
pub use parsed::ParsedObjects;
pub use reader::BlockReader;
pub(crate) use rows::RowsOf;
pub use rows::{Rows, Values};
pub use stateful::StatefulDecoder;
// the engine's own
#[doc(hidden)]
pub use {
    parsed::parsed_schema,
    rows::{Decoded, Ignored},
    stateful::{AnyStatefulDecoder, DecoderState, StreamDecoder, StreamTarget},
};

use crate::block_parser::ParseBlock;
use crate::view_set::ViewSet;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use belvedere_model::BlockRecord;
use belvedere_model::transit::EventLayouts;
use bytes::Bytes;
use std::fmt::Debug;

/// Turns blocks of one kind into rows of one view set.
pub trait BlockDecoder: Debug + Send + Sync {
    /// Reads all events of a block and puts the columns of their rows into `rows`. Returns the number of
    /// rows. Plain code: it runs on a thread that may be busy.
    ///
    /// Core fills the columns that follow from the block alone, see [`crate::Origin`]; the decoder fills the others.
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError>;
}

/// What all decoding in one lake goes by. Cheap to clone.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    block_bytes: usize,
    layouts: EventLayouts,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self::new(EventLayouts::default())
    }
}

impl DecodeOptions {
    /// The default limits, and these layouts of native events.
    pub fn new(layouts: EventLayouts) -> Self {
        Self { block_bytes: 256 << 20, layouts }
    }

    /// The same with this limit: see [`DecodeOptions::block_bytes`].
    #[must_use]
    pub fn with_block_bytes(self, block_bytes: usize) -> Self {
        Self { block_bytes, ..self }
    }

    /// Bytes of each decompressed buffer of a block, and of the texts that rows are made of.
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// The fields of native events of variable size.
    pub fn layouts(&self) -> &EventLayouts {
        &self.layouts
    }
}

/// Reads the objects of one block by the parser of its format, and hands them on in batches of `object_index`,
/// `type_name` and `value`, until `hand_on` says `false`.
#[doc(hidden)]
pub fn parse_block(
    parse: ParseBlock,
    record: &BlockRecord,
    payload: Bytes,
    options: &DecodeOptions,
    hand_on: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), DecodeError> {
    let reader = BlockReader::new(record, payload, options);
    let mut objects = ParsedObjects::new(record.info.object_offset, hand_on);
    parse(&reader, &mut objects)?;
    objects.finish()
}

/// Decodes one block into the columns `projection` (positions in the view set's schema) of `schema`.
#[doc(hidden)]
pub fn decode_block(
    view_set: &ViewSet,
    decoder: &dyn BlockDecoder,
    record: &BlockRecord,
    payload: Bytes,
    projection: &[usize],
    schema: SchemaRef,
    options: &DecodeOptions,
) -> Result<Decoded, DecodeError> {
    let reader = BlockReader::new(record, payload, options);
    let mut rows = Rows::new(view_set.columns, projection, options.block_bytes);
    let count = decoder.decode(&reader, &mut rows)?;
    rows.finish(RowsOf::block(record), count, schema)
}

#[cfg(test)]
mod tests;
