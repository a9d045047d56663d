//! Values of parameters.
//!
//! They are in the handle of a prepared statement, so that no server has to store them. ADBC and the Rust client use the
//! new handle that binding returns. A driver too old for that goes on with the old handle, and gets the error that its
//! parameters have no values.

use super::incoming::Incoming;
use super::parameters;
use super::placeholders::parameter_names;
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::{Field, Schema};
use belvedere_core::datafusion::common::{ParamValues, ScalarValue};
use std::sync::Arc;
use tonic::Status;

/// Receives the one row of values.
pub(super) async fn receive(mut batches: Incoming) -> Result<RecordBatch, Status> {
    let mut row: Option<RecordBatch> = None;
    while let Some(batch) = batches.next().await? {
        match (batch.num_rows(), &row) {
            (1, None) => row = Some(batch),
            _ => {
                return Err(Status::unimplemented(
                    "several rows of parameters were bound, but a statement takes only one: bind and run it \
                     once per row",
                ));
            }
        }
    }
    row.ok_or_else(|| Status::invalid_argument("no row of parameters was bound: bind one"))
}

/// Sorts values into the order of the statement's parameters. They keep their types, which the planner coerces as it does
/// with constants.
pub(super) fn conform(row: &RecordBatch, wanted: &Schema) -> Result<RecordBatch, Status> {
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
    let (fields, columns): (Vec<_>, Vec<_>) = wanted
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let column = row.column(by_name(field.name()).filter(|_| is_named).unwrap_or(i)).clone();
            (Field::new(field.name(), column.data_type().clone(), true), column)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|e| Status::invalid_argument(format!("the parameters don't fit the statement: {e}")))
}

/// The values in a handle, by the statement's names for them.
pub(super) fn values(bytes: &[u8], sql: &str) -> Result<Option<ParamValues>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let values = parameters::read(bytes)
        .map_err(|e| Status::invalid_argument(format!("the parameters in the handle can't be read: {e}")))?;
    let names = parameter_names(sql);
    if names.is_empty() {
        let values: Vec<ScalarValue> = values.into_iter().map(|(_, value)| value).collect();
        return Ok(Some(values.into()));
    }
    let is_named = names.iter().all(|name| values.iter().any(|(given, _)| given == name));
    let named: Vec<(String, ScalarValue)> = if is_named {
        values
    } else {
        names.into_iter().zip(values).map(|(name, (_, value))| (name, value)).collect()
    };
    Ok(Some(named.into()))
}
