//! The envelopes that native clients send: process, stream and block announcements in CBOR.
//!
//! Acceptance is wide where clients differ (key order, unknown keys, definite and indefinite lengths, tags,
//! every spelling of a UUID, bytes after the item) and strict where a mistake would lose data in silence
//! (missing keys, keys that appear twice, numbers out of range). Nothing is allocated from an announced
//! length, and nothing recurses, so a hostile body costs no more than its own bytes.
//!
//! Invariant: this room knows CBOR and the names of keys, never what an event looks like.

mod block;
pub(crate) mod cbor;
mod process;
mod stream;
mod types;

pub use block::{BlockRequest, PayloadParts, decode_block, encode_block, encode_payload, split_payload};
pub use process::{decode_process, encode_process};
pub use stream::{decode_stream, encode_stream};
pub use types::{MemberRecord, TypeRecord, decode_types, encode_types};

use thiserror::Error;

/// Properties of processes and streams in this name space are the server's; clients can't set them.
const RESERVED_PREFIX: &str = "micromegas.";

/// Why a request's body is not what its route expects: always the sender's fault.
#[derive(Debug, Error)]
pub enum WireError {
    /// Not CBOR, or cut off.
    #[error("the body is not a CBOR {record}: {reason}")]
    Malformed {
        /// What was expected: process, stream, block.
        record: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A key that every client sends is not there.
    #[error("the {record} has no '{key}'")]
    MissingKey {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key that says two things.
    #[error("the {record} has '{key}' twice")]
    RepeatedKey {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: String,
    },
    /// A value of the wrong type, out of range, or not what its key means.
    #[error("'{key}' of the {record} is not usable: {reason}")]
    BadValue {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}
