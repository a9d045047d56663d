//! The data model: processes, streams and blocks, as bytes and as values.
//!
//! Plain code without I/O: nothing in this crate waits, opens a file or knows a database.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`wire`] | the CBOR envelopes of native clients |
//! | [`transit`] | the bytes of native events |
//! | [`time`] | instants, time ranges, the clocks of processes |
//! | [`jsonb`] | JSONB: building it, and reading bytes that may be invalid |

pub mod jsonb;
mod records;
mod seq_range;
pub mod time;
pub mod transit;
pub mod wire;

pub use records::{BlockInfo, BlockRecord, ProcessInfo, StreamInfo, StreamParts, TRANSIT_FORMAT};
pub use seq_range::SeqRange;
