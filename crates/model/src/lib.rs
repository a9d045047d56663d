//! What instrumented programs send: processes, streams and blocks, as bytes and as values.
//!
//! Plain code without I/O: nothing in here waits, opens a file or knows a database.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`wire`] | the CBOR envelopes of native clients |
//! | [`transit`] | the bytes of native events |
//! | [`time`] | instants, ranges of them, the clocks of processes |
//! | [`jsonb`] | building JSONB values |
//! | [`properties`] | property sets as JSONB, and reading JSONB that may be damaged |

pub mod jsonb;
pub mod properties;
mod records;
mod seq_range;
pub mod time;
pub mod transit;
pub mod wire;

pub use records::{
    BlockInfo, BlockRecord, ChainKey, ProcessInfo, Properties, StreamInfo, StreamParts, TRANSIT_FORMAT,
};
pub use seq_range::SeqRange;
