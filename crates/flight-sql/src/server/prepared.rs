//! Prepared statements.
//!
//! The handle of a new one is its text, which the Python client relies on; after binding it is the text and the values.
//! The server keeps nothing, so closing one does nothing.

use super::headers::RequestContext;
use super::incoming::Incoming;
use super::runtime::{catch_panic, on_query_runtime};
use super::service::FlightSql;
use super::ticket::Statement;
use super::{arguments, parameters, status};
use arrow_flight::sql::{ActionCreatePreparedStatementResult, DoPutPreparedStatementResult};
use belvedere_core::arrow::datatypes::Schema;
use belvedere_core::arrow::error::ArrowError;
use belvedere_core::arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use tonic::Status;

impl FlightSql {
    /// Plans a statement.
    pub(super) async fn prepare(
        &self,
        sql: String,
        context: &RequestContext,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let statement = Statement::new(sql);
        let description = self.describe(&statement.clone().with(&context.options), context).await?;
        let parameter_schema = if description.parameters.fields().is_empty() {
            Bytes::new()
        } else {
            schema_stream(&description.parameters)?
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: statement.to_handle(),
            dataset_schema: schema_stream(&description.schema)?,
            parameter_schema,
        })
    }

    /// Binds values to the parameters of a statement, and returns its new handle.
    pub(super) async fn bind(
        &self,
        handle: &[u8],
        context: &RequestContext,
        batches: Incoming,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let mut statement = Statement { parameters: Bytes::new(), ..Statement::from_handle(handle)? };
        let wanted = self.describe(&statement, context).await?.parameters;
        let row = arguments::receive(batches).await?;
        if row.num_columns() > 0 || !wanted.fields().is_empty() {
            let values = move || parameters::write(&arguments::conform(&row, &wanted)?);
            statement.parameters = on_query_runtime(self.queries().runtime(), || catch_panic(values)).await?;
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(statement.to_handle()) })
    }
}

/// A schema as an Arrow stream without batches: the encapsulated message and the end-of-stream marker. The Python client
/// opens it as a stream and needs the marker; so does ADBC's Go driver. JDBC and arrow-rs read only the message and ignore
/// what follows.
fn schema_stream(schema: &Schema) -> Result<Bytes, Status> {
    let write = || -> Result<Vec<u8>, ArrowError> { StreamWriter::try_new(Vec::new(), schema)?.into_inner() };
    Ok(write().map_err(status::unencodable)?.into())
}
