//! Arrow data that clients send, message by message.
//!
//! Whatever bytes come: they become rows or an error. What a message says of itself is checked before it is read, see
//! `bounds`; what is left that arrow's reader can't bear is caught.

use super::away::unharmed;
use super::{bounds, status, unfolded};
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

/// Reads the messages of one stream. After an error it is of no more use.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Bytes that a batch may have when it is unpacked, and all dictionaries together.
    most: u64,
    schema: Option<SchemaRef>,
    dictionaries: HashMap<i64, ArrayRef>,
    /// Bytes of each dictionary.
    sizes: HashMap<i64, u64>,
}

impl Decoder {
    pub(super) fn new(most: u64) -> Self {
        Self { most, ..Self::default() }
    }

    /// Reads the next message; its rows, if it has any.
    pub(super) fn take(&mut self, data: &FlightData) -> Result<Option<RecordBatch>, Status> {
        unharmed(|| self.read(data).map_err(|e| status::unreadable_data(&e)))
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
        let size = bounds::check(&values, &data.data_body, self.most)?;
        let before = self.sizes.insert(batch.id(), size).unwrap_or(0);
        if batch.isDelta() {
            self.sizes.insert(batch.id(), size.saturating_add(before));
        }
        let all = self.sizes.values().copied().fold(0, u64::saturating_add);
        if all > self.most {
            return Err(format!("dictionaries have {all} bytes, at most {} are allowed", self.most));
        }
        read_dictionary(&body(data), batch, schema, &mut self.dictionaries, &message.version())
            .map_err(|e| e.to_string())
    }

    fn read_batch(&self, message: &Message<'_>, data: &FlightData) -> Result<RecordBatch, String> {
        let schema = self.schema.as_ref().ok_or("rows came before the schema")?;
        let batch = message.header_as_record_batch().ok_or("a batch has no content")?;
        bounds::check(&batch, &data.data_body, self.most)?;
        let (schema, version) = (schema.clone(), message.version());
        let rows = read_record_batch(&body(data), batch, schema, &self.dictionaries, None, &version)
            .map_err(|e| e.to_string())?;
        match unfolded::of_batch(&rows) {
            size if size > self.most => Err(format!(
                "a batch has {size} bytes if it is written out, at most {} are allowed: send fewer rows at once",
                self.most
            )),
            _ => Ok(rows),
        }
    }
}

/// The body where arrays can begin: they want to be aligned, and one copy of all is cheaper than one of each.
fn body(data: &FlightData) -> Buffer {
    match (data.data_body.as_ptr() as usize).is_multiple_of(64) {
        true => Buffer::from(data.data_body.clone()),
        false => Buffer::from(data.data_body.as_ref()),
    }
}
