//! Values of parameters.
//!
//! They travel in the handle of a prepared statement, so that no server has to remember them. ADBC and the Rust
//! client take the new handle that binding gives; a driver too old for that would go on with the old one, and is told
//! that its parameters have no values.

use super::placeholders::parameter_names;
use arrow_flight::decode::FlightRecordBatchStream;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::compute::{CastOptions, cast_with_options};
use belvedere_core::arrow::datatypes::Schema;
use belvedere_core::arrow::error::ArrowError;
use belvedere_core::arrow::ipc::reader::StreamReader;
use belvedere_core::arrow::ipc::writer::StreamWriter;
use belvedere_core::datafusion::common::{ParamValues, ScalarValue};
use bytes::Bytes;
use futures::TryStreamExt;
use std::sync::Arc;
use tonic::Status;

use super::status;

/// Bytes of the values of one statement: they go back and forth with each use of it.
const MOST: usize = 1 << 20;

/// Takes the one row of values that a client sends.
pub(super) async fn receive(mut batches: FlightRecordBatchStream) -> Result<RecordBatch, Status> {
    let mut row: Option<RecordBatch> = None;
    while let Some(batch) = batches.try_next().await.map_err(status::of_data)? {
        match (batch.num_rows(), &row) {
            (0, _) => {}
            (1, None) => row = Some(batch),
            _ => {
                return Err(Status::unimplemented(
                    "several rows of parameters were bound, but a statement runs with one at a time: bind and \
                     run it once for each row",
                ));
            }
        }
    }
    row.ok_or_else(|| Status::invalid_argument("no row of parameters was bound: bind one"))
}

/// Brings values into the types that the statement wants, where it says so.
pub(super) fn conform(row: RecordBatch, wanted: &Schema) -> Result<RecordBatch, Status> {
    let (given, expected) = (row.num_columns(), wanted.fields().len());
    if given != expected {
        return Err(Status::invalid_argument(format!(
            "{given} parameters were bound, but the statement has {expected}"
        )));
    }
    let by_name = |name: &str| {
        let bare = |name: &str| name.trim_start_matches('$').to_owned();
        row.schema().fields().iter().position(|field| bare(field.name()) == bare(name))
    };
    let is_named = wanted.fields().iter().all(|field| by_name(field.name()).is_some());
    let columns = wanted.fields().iter().enumerate().map(|(i, field)| {
        let at = by_name(field.name()).filter(|_| is_named).unwrap_or(i);
        // what does not fit is an error, not a NULL
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(row.column(at), field.data_type(), &options).map_err(|e| {
            Status::invalid_argument(format!(
                "the parameter {} can't be made a {}: {e}",
                field.name(),
                field.data_type()
            ))
        })
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let fields: Vec<_> =
        wanted.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|e| Status::invalid_argument(format!("the parameters don't fit the statement: {e}")))
}

/// Values as they are kept in a handle.
pub(super) fn encode(row: &RecordBatch) -> Result<Bytes, Status> {
    let write = || -> Result<Vec<u8>, ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), row.schema_ref())?;
        writer.write(row)?;
        writer.into_inner()
    };
    let bytes = write().map_err(status::unencodable)?;
    if bytes.len() > MOST {
        return Err(Status::resource_exhausted(format!(
            "the parameters have {} bytes, at most {MOST} are allowed: shorten the values",
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

/// The values in a handle, by the names that the statement has for them.
pub(super) fn values(bytes: &[u8], sql: &str) -> Result<Option<ParamValues>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let read = || -> Result<Vec<(String, ScalarValue)>, String> {
        let mut reader = StreamReader::try_new(bytes, None).map_err(|e| e.to_string())?;
        let row = reader.next().ok_or("there is no row")?.map_err(|e| e.to_string())?;
        if row.num_rows() != 1 {
            return Err(format!("there are {} rows", row.num_rows()));
        }
        let schema = row.schema();
        let columns = schema.fields().iter().zip(row.columns());
        let values = columns.map(|(field, column)| {
            let value = ScalarValue::try_from_array(column, 0).map_err(|e| e.to_string())?;
            Ok((field.name().trim_start_matches('$').to_owned(), value))
        });
        values.collect()
    };
    let values = read()
        .map_err(|e| Status::invalid_argument(format!("the parameters in the handle can't be read: {e}")))?;
    let names = parameter_names(sql);
    if names.is_empty() {
        let values: Vec<ScalarValue> = values.into_iter().map(|(_, value)| value).collect();
        return Ok(Some(values.into()));
    }
    let is_named = names.iter().all(|name| values.iter().any(|(given, _)| given == name));
    let named: Vec<(String, ScalarValue)> = match is_named {
        true => values,
        false => names.into_iter().zip(values).map(|(name, (_, value))| (name, value)).collect(),
    };
    Ok(Some(named.into()))
}
