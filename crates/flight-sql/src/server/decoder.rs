//! Decodes the Arrow messages that a client sends, one by one.
//!
//! `arrow-flight` has a decoder for this, and it was used until hostile messages were tried: it believes what a message
//! says of itself. It allocates the announced size of a compressed buffer, accepts any number of rows for columns without
//! bytes, reads one buffer a thousand times, and panics at inconsistent offsets. Any client with the right to query can
//! send such messages, as parameters. So this decoder has three lines of defense, each against what the one before can't
//! see:
//! 1. `bounds` checks what the message's header claims, before anything is allocated;
//! 2. `catch_panic` turns the panics of Arrow's reader into errors;
//! 3. `expanded_size` bounds what later casts will write out, since dictionaries, views and runs say much in few bytes.
//!
//! All bytes give rows or an error.
//!
//! Upstream, in apache/arrow-rs: issue 10575, "fb_to_schema panics on malformed IPC schema messages: unwrap() on optional
//! FlatBuffer fields", is closed by pull request 10647, whose `try_fb_to_schema` is not in 59.3; when it is, use it. Issue
//! 541, "IPC reader panicks with out of bounds error", and pull request 10959, "Expose IPC decompressed size and bound LZ4
//! output", are open. Of rows without bytes and of one buffer that is read many times, no issue is known to us (November
//! 2026). `bounds` and this decoder go when the library's has a limit on memory that covers these; `expanded_size` stays,
//! for it bounds what we do with the rows.

use super::runtime::catch_panic;
use super::{bounds, expanded_size, status};
use arrow_flight::FlightData;
use belvedere_core::arrow::array::{ArrayRef, RecordBatch};
use belvedere_core::arrow::buffer::Buffer;
use belvedere_core::arrow::datatypes::SchemaRef;
use belvedere_core::arrow::ipc::convert::fb_to_schema;
use belvedere_core::arrow::ipc::reader::{read_dictionary, read_record_batch};
use belvedere_core::arrow::ipc::{Message, MessageHeader};
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Status;

/// Decodes the messages of one stream. Must not be used after an error.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Limit on the unpacked size of a batch, and of all dictionaries together.
    max_bytes: u64,
    schema: Option<SchemaRef>,
    dictionaries: HashMap<i64, ArrayRef>,
    /// Unpacked size of each dictionary.
    sizes: HashMap<i64, u64>,
}

impl Decoder {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, ..Self::default() }
    }

    /// Decodes the next message. Returns its rows, if it has any.
    pub(super) fn decode(&mut self, data: &FlightData) -> Result<Option<RecordBatch>, Status> {
        catch_panic(|| self.read(data).map_err(|e| status::unreadable_data(&e)))
    }

    fn read(&mut self, data: &FlightData) -> Result<Option<RecordBatch>, String> {
        let message = bounds::header(&data.data_header)?;
        match message.header_type() {
            MessageHeader::NONE => Ok(None),
            MessageHeader::Schema if self.schema.is_some() => Err("there are two schemas".to_owned()),
            MessageHeader::Schema => {
                let schema = message.header_as_schema().ok_or("a schema has no content")?;
                schema.fields().ok_or("a schema has no list of fields")?;
                self.schema = Some(Arc::new(fb_to_schema(schema)));
                Ok(None)
            }
            MessageHeader::DictionaryBatch => self.read_dictionary(&message, data).map(|()| None),
            MessageHeader::RecordBatch => self.read_batch(&message, data).map(Some),
            other => Err(format!("a message is a {}", other.variant_name().unwrap_or("thing unknown"))),
        }
    }

    fn read_dictionary(&mut self, message: &Message<'_>, data: &FlightData) -> Result<(), String> {
        let schema = self.schema.as_ref().ok_or("a dictionary came before the schema")?;
        let batch = message.header_as_dictionary_batch().ok_or("a dictionary has no content")?;
        let values = batch.data().ok_or("a dictionary has no values")?;
        let size = bounds::check(&values, &data.data_body, self.max_bytes)?;
        let before = self.sizes.insert(batch.id(), size).unwrap_or(0);
        if batch.isDelta() {
            self.sizes.insert(batch.id(), size.saturating_add(before));
        }
        let all = self.sizes.values().copied().fold(0, u64::saturating_add);
        if all > self.max_bytes {
            return Err(format!("dictionaries have {all} bytes, at most {} are allowed", self.max_bytes));
        }
        read_dictionary(&body(data), batch, schema, &mut self.dictionaries, &message.version())
            .map_err(|e| e.to_string())
    }

    fn read_batch(&self, message: &Message<'_>, data: &FlightData) -> Result<RecordBatch, String> {
        let schema = self.schema.as_ref().ok_or("rows came before the schema")?;
        let batch = message.header_as_record_batch().ok_or("a batch has no content")?;
        bounds::check(&batch, &data.data_body, self.max_bytes)?;
        let (schema, version) = (schema.clone(), message.version());
        let rows = read_record_batch(&body(data), batch, schema, &self.dictionaries, None, &version)
            .map_err(|e| e.to_string())?;
        match expanded_size::batch_size(&rows) {
            size if size > self.max_bytes => Err(format!(
                "a batch has {size} bytes if it is written out, at most {} are allowed: send fewer rows at once",
                self.max_bytes
            )),
            _ => Ok(rows),
        }
    }
}

/// The body, aligned for arrays. One copy here is cheaper than the copy that Arrow makes of each unaligned buffer.
fn body(data: &FlightData) -> Buffer {
    if (data.data_body.as_ptr() as usize).is_multiple_of(64) {
        Buffer::from(data.data_body.clone())
    } else {
        Buffer::from(data.data_body.as_ref())
    }
}
