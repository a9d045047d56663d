//! Prepared statements.
//!
//! The handle of a new one is its text, which the Python client relies on; with values bound it is the text and the
//! values. Nothing is kept here, so closing one has nothing to do.

use super::away::{away, unharmed};
use super::headers::Asker;
use super::incoming::Incoming;
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
    /// Plans a statement that is to be run later.
    pub(super) async fn prepare(
        &self,
        sql: String,
        asker: &Asker,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let statement = Statement::of_text(sql);
        let description = self.describe(&statement.clone().with(&asker.wishes), asker).await?;
        let parameter_schema = match description.parameters.fields().is_empty() {
            true => Bytes::new(),
            false => schema_stream(&description.parameters)?,
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: statement.to_handle(),
            dataset_schema: schema_stream(&description.schema)?,
            parameter_schema,
        })
    }

    /// Binds values to the parameters of a statement: its handle becomes another one.
    pub(super) async fn bind(
        &self,
        handle: &[u8],
        asker: &Asker,
        batches: Incoming,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let mut statement = Statement { parameters: Bytes::new(), ..Statement::of_handle(handle)? };
        let wanted = self.describe(&statement, asker).await?.parameters;
        let row = arguments::receive(batches).await?;
        if row.num_columns() > 0 || !wanted.fields().is_empty() {
            let values = move || parameters::write(&arguments::conform(&row, &wanted)?);
            statement.parameters = away(self.queries().runtime(), || unharmed(values)).await?;
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(statement.to_handle()) })
    }
}

/// A schema as a stream without batches: the encapsulated message, with its continuation marker, and the marker of the
/// stream's end. The Python client opens it as a stream and wants the end. ADBC's Go driver opens it as a stream too,
/// and JDBC and arrow-rs read just the message: none of them looks behind it.
fn schema_stream(schema: &Schema) -> Result<Bytes, Status> {
    let write = || -> Result<Vec<u8>, ArrowError> { StreamWriter::try_new(Vec::new(), schema)?.into_inner() };
    Ok(write().map_err(status::unencodable)?.into())
}
