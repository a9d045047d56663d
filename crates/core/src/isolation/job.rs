//! What a query process is asked, and what it says of its work.

use crate::error::{Context, Error, Result};
use crate::query::{AnswerTypes, QueryError, QueryRequest, ReportState, WorkDone};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use belvedere_lake::access::Caller;
use belvedere_model::time::TimeRange;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What is to be done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Its rows are wanted.
    Answer,
    /// Its columns and its parameters are wanted: two streams without rows.
    Describe,
}

/// A query for a process that knows nothing of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(super) query_id: Uuid,
    pub(super) kind: Kind,
    pub(super) sql: String,
    parameters: Option<Parameters>,
    begin: Option<i64>,
    end: Option<i64>,
    pub(super) limit: Option<usize>,
    types: AnswerTypes,
    pub(super) caller: Caller,
    /// Bytes of memory for the operators of the engine.
    pub(super) memory_bytes: usize,
    /// It needed too much memory before: few rows at a time.
    pub(super) is_careful: bool,
}

/// Values of parameters: one row as an Arrow IPC stream in base64.
#[derive(Debug, Serialize, Deserialize)]
struct Parameters {
    are_named: bool,
    row: String,
}

impl Job {
    pub(crate) fn new(
        kind: Kind,
        query_id: Uuid,
        request: &QueryRequest,
        memory_bytes: usize,
    ) -> Result<Self> {
        Ok(Self {
            query_id,
            kind,
            sql: request.sql.clone(),
            parameters: request.parameters.as_ref().map(Parameters::new).transpose()?,
            begin: request.range.begin,
            end: request.range.end,
            limit: request.limit,
            types: request.types,
            caller: Caller::clone(&request.caller),
            memory_bytes,
            is_careful: false,
        })
    }

    /// The same with few rows at a time.
    pub(crate) fn carefully(self) -> Self {
        Self { is_careful: true, ..self }
    }

    pub(super) fn range(&self) -> TimeRange {
        TimeRange { begin: self.begin, end: self.end }
    }

    pub(super) fn request(&self) -> Result<QueryRequest> {
        let mut request = QueryRequest::new(&self.sql, Arc::new(self.caller.clone()));
        request.parameters = self.parameters.as_ref().map(Parameters::values).transpose()?;
        request.range = self.range();
        request.limit = self.limit;
        request.types = self.types;
        Ok(request)
    }
}

impl Parameters {
    fn new(values: &ParamValues) -> Result<Self> {
        let (are_named, values): (bool, Vec<(String, &ScalarValue)>) = match values {
            ParamValues::List(values) => {
                (false, values.iter().enumerate().map(|(i, value)| (i.to_string(), value.value())).collect())
            }
            ParamValues::Map(values) => {
                (true, values.iter().map(|(name, value)| (name.clone(), value.value())).collect())
            }
        };
        let columns: Vec<ArrayRef> = values.iter().map(|(_, v)| v.to_array()).collect::<Result<_, _>>()?;
        let fields = values.iter().zip(&columns);
        let fields = fields.map(|((name, _), column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&row)?;
        Ok(Self { are_named, row: STANDARD.encode(writer.into_inner()?) })
    }

    fn values(&self) -> Result<ParamValues> {
        let bytes = STANDARD.decode(&self.row).map_err(Error::other)?;
        let mut rows = StreamReader::try_new(&bytes[..], None)?;
        let row = rows.next().context("parameters without values")??;
        let schema = row.schema();
        let values = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        if !self.are_named {
            return Ok(values.into());
        }
        let names = schema.fields().iter().map(|field| field.name().clone());
        Ok(names.zip(values).collect::<std::collections::HashMap<String, ScalarValue>>().into())
    }
}

/// What a query did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) memory_bytes: usize,
    pub(crate) peak_memory_bytes: usize,
    pub(crate) blocks: u64,
    pub(crate) payload_bytes: u64,
    /// Bytes that operators have on disk now.
    pub(crate) spilled_bytes: u64,
}

/// How a query ended, and all that it did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) error: Option<QueryError>,
    pub(crate) planned: Duration,
    pub(crate) progress: Progress,
    pub(crate) report: ReportState,
    pub(crate) work: WorkDone,
    /// Partitions that the query would have liked to find: view set, instance, first and last block.
    pub(crate) wishes: Vec<(String, String, i64, i64)>,
    /// What is to be counted for `/metrics`.
    pub(crate) counted: Vec<crate::metrics::Counted>,
    /// The process has more memory than it began with: a new one shall take its place.
    pub(crate) is_worn: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let mut request = QueryRequest::new("SELECT $1", Caller::anybody());
        request.range.begin = Some(i64::MIN);
        request.limit = Some(3);
        let list =
            vec![ScalarValue::Int64(None), ScalarValue::from("é"), ScalarValue::Binary(Some(vec![0, 255]))];
        let map = std::collections::HashMap::from([("a".to_owned(), ScalarValue::Float64(Some(f64::NAN)))]);
        for parameters in
            [None, Some(ParamValues::from(list)), Some(map.into()), Some(Vec::<ScalarValue>::new().into())]
        {
            request.parameters = parameters;
            let job = Job::new(Kind::Answer, Uuid::new_v4(), &request, 7).unwrap();
            let job: Job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
            let read = job.request().unwrap();
            assert_eq!(format!("{read:?}"), format!("{request:?}"));
        }
    }
}
