//! From blocks to rows: what a view crate implements, and what it is handed.
//!
//! A decoder reads every event that its rows are made of, whatever columns a query wants: so a block that
//! can't be read costs the same rows in every query. Only the building of unwanted columns is left out.

mod chain;
mod native;
mod parsed;
mod reader;
mod rows;

pub use crate::transit::DecodeError;
pub use chain::{AnyChainDecoder, ChainDecoder, ChainState, ChainTarget, ChainWalk};
pub use native::REGISTRATION as NATIVE_PARSER;
pub use parsed::ParsedObjects;
pub(crate) use parsed::parsed_schema;
pub use reader::BlockReader;
pub(crate) use rows::RowsOf;
pub use rows::{Decoded, Ignored, Rows, Values};

use crate::lake::BlockRecord;
use crate::registry::{ParseBlock, ViewSet};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use std::fmt::Debug;

/// Turns blocks of one kind into rows of one view set.
pub trait BlockDecoder: Debug + Send + Sync {
    /// Names of the columns that [`BlockDecoder::decode`] fills. Core fills those that follow from the block
    /// alone, see [`crate::registry::Origin`].
    fn columns(&self) -> &'static [&'static str];

    /// Reads all events of a block and puts the columns of their rows into `rows`. Returns the number of
    /// rows. Plain code: it runs on a thread that may be busy.
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError>;
}

/// How much memory decoding one block may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of each decompressed buffer, and of the texts that rows are made of.
    pub block_bytes: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { block_bytes: 256 << 20 }
    }
}

/// Reads the objects of one block by the parser of its format, and hands them on in batches of `object_index`,
/// `type_name` and `value`, until `hand_on` says `false`.
pub fn parse_block(
    parse: ParseBlock,
    record: &BlockRecord,
    payload: Bytes,
    limits: DecodeLimits,
    hand_on: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), DecodeError> {
    let reader = BlockReader::new(record, payload, limits);
    let mut objects = ParsedObjects::new(record.info.object_offset, hand_on);
    parse(&reader, &mut objects)?;
    objects.finish()
}

/// Decodes one block into the columns `projection` (positions in the view set's schema) of `schema`.
pub fn decode_block(
    view_set: &ViewSet,
    decoder: &dyn BlockDecoder,
    record: &BlockRecord,
    payload: Bytes,
    projection: &[usize],
    schema: SchemaRef,
    limits: DecodeLimits,
) -> Result<Decoded, DecodeError> {
    let reader = BlockReader::new(record, payload, limits);
    let mut rows = Rows::new(view_set.columns, projection, limits);
    let count = decoder.decode(&reader, &mut rows)?;
    rows.finish(RowsOf::block(record), count, schema)
}
