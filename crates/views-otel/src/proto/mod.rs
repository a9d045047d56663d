//! OTLP's protobuf messages, read where they lie.
//!
//! Nothing here makes objects of messages: a message is its bytes, and who wants something of it walks its fields.
//! The definitions are those of opentelemetry-proto 1.x; fields that they don't have are passed over, so that newer
//! clients are understood as far as can be.

mod check;
mod schema;
mod wire;

pub(crate) use check::check;
pub(crate) use schema::{
    EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES, Field, Kind, Message, RESOURCE_LOGS, RESOURCE_METRICS,
    RESOURCE_SPANS,
};
pub(crate) use wire::{Fields, ProtoError, Value, WireType, put_bytes, put_tag, put_varint};

/// How deep values of attributes and bodies may be nested in one another.
pub(crate) const MAX_NESTING: usize = 60;
