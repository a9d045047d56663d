//! OTLP's protobuf messages, read where they lie.
//!
//! Nothing here makes objects of messages: a message is its bytes, and who wants something of it walks its fields.
//! The definitions are those of opentelemetry-proto 1.x; fields that they don't have are passed over, so that newer
//! clients are understood as far as can be.

mod check;
mod schema;
mod wire;

pub(crate) use check::{check, is_nesting};
pub(crate) use schema::{
    ANY_VALUE, EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES, Field, KEY_VALUE, Kind, Message, RESOURCE_LOGS,
    RESOURCE_METRICS, RESOURCE_SPANS,
};
pub(crate) use wire::{Fields, ProtoError, Value, WireType, put_bytes, put_tag, put_varint};

/// How many arrays and lists may be in one another in an attribute or a body. What is deeper is null in rows.
pub(crate) const MAX_NESTING: usize = 60;
