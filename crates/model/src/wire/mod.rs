//! The envelopes that native clients send: process, stream and block announcements in CBOR.
//!
//! Decoding is lenient where clients differ (key order, unknown keys, definite and indefinite lengths, tags, every
//! spelling of a UUID, bytes after the item) and strict where a mistake would silently lose data (missing keys, repeated
//! keys, numbers out of range). Nothing is allocated by an announced length, and nothing recurses, so a hostile body costs
//! no more memory than its own bytes.
//!
//! Invariant: this module knows CBOR and the names of keys, not the layout of events.

mod block;
pub(crate) mod cbor;
mod process;
mod stream;
mod types;

pub use block::{BlockRequest, PayloadParts};
pub use types::{MemberRecord, TypeRecord};

use thiserror::Error;

/// Prefix of properties that only the server may set.
const RESERVED_PREFIX: &str = "micromegas.";

/// Why the body of a request is invalid. Always the sender's fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Not CBOR, or cut off.
    #[error("the body is not a valid CBOR {record}: {source}")]
    Malformed {
        /// What was expected: process, stream, block.
        record: &'static str,
        /// The decoder's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A required key is missing.
    #[error("the {record} has no '{key}'")]
    MissingKey {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key occurs twice.
    #[error("the {record} contains '{key}' more than once")]
    RepeatedKey {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: String,
    },
    /// A value has the wrong type, is out of range, or makes no sense for its key.
    #[error(
        "the value of '{key}' in the {record} is not valid: {}",
        .source.to_string().trim_start_matches("decode error: ")
    )]
    BadValue {
        /// What was expected.
        record: &'static str,
        /// The key.
        key: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
