//! JSON: times as RFC 3339 with nanoseconds in UTC, binary as base64, lists and structs as JSON, numbers as
//! numbers, keys of maps as texts; what JSON can't say (NaN, infinities) is null.

use super::Format;
use super::fit::json_type;
use crate::error::Result;
use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, LineDelimited, WriterBuilder};
use arrow::json::{Encoder, EncoderFactory, EncoderOptions, writer::NullableEncoder, writer::Writer};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;
use std::sync::Arc;

pub(crate) enum JsonWriter<W: Write> {
    Array(Writer<W, JsonArray>),
    Lines(Writer<W, LineDelimited>),
}

impl<W: Write> JsonWriter<W> {
    pub(crate) fn new(output: W, is_array: bool) -> Self {
        let builder = WriterBuilder::new()
            .with_explicit_nulls(true)
            .with_timestamp_format(Format::TIME.to_owned())
            .with_timestamp_tz_format(Format::TIME.to_owned())
            .with_encoder_factory(Arc::new(Base64));
        if is_array { Self::Array(builder.build(output)) } else { Self::Lines(builder.build(output)) }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = &fitted(batch)?;
        match self {
            Self::Array(w) => w.write(batch)?,
            Self::Lines(w) => w.write(batch)?,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Array(mut w) => {
                w.finish()?;
                let mut output = w.into_inner();
                output.write_all(b"\n")?;
                Ok(output.flush()?)
            }
            Self::Lines(mut w) => {
                w.finish()?;
                Ok(w.into_inner().flush()?)
            }
        }
    }
}

/// The same rows with texts as keys of maps, as the writer takes no others, and times in UTC, as it writes the digits of
/// any zone.
fn fitted(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let (mut columns, mut fields) = (batch.columns().to_vec(), schema.fields().to_vec());
    for (column, field) in columns.iter_mut().zip(&mut fields) {
        let Some(wanted) = json_type(column.data_type()).filter(|wanted| wanted != column.data_type()) else {
            continue;
        };
        *column = cast(column, &wanted)?;
        *field = Arc::new(field.as_ref().clone().with_data_type(wanted));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

/// Encodes binary as base64, where the writer would take hexadecimal digits.
#[derive(Debug)]
struct Base64;

impl EncoderFactory for Base64 {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                Box::new(BytesEncoder(move |i| array.value(i)))
            }
            DataType::LargeBinary => {
                let array = array.as_binary::<i64>();
                Box::new(BytesEncoder(move |i| array.value(i)))
            }
            DataType::BinaryView => {
                let array = array.as_binary_view();
                Box::new(BytesEncoder(move |i| array.value(i)))
            }
            DataType::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary();
                Box::new(BytesEncoder(move |i| array.value(i)))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct BytesEncoder<F>(F);

impl<'a, F: Fn(usize) -> &'a [u8]> Encoder for BytesEncoder<F> {
    fn encode(&mut self, i: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend(STANDARD.encode(self.0(i)).into_bytes());
        out.push(b'"');
    }
}
