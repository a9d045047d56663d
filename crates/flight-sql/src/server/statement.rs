//! Statements: what they give, and running them.

use super::headers::RequestContext;
use super::rows::{self, DataStream};
use super::runtime::{catch_panic, on_query_runtime};
use super::service::FlightSql;
use super::ticket::Statement;
use super::{arguments, status};
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use belvedere_core::arrow::datatypes::SchemaRef;
use belvedere_core::query::{AnswerTypes, Description, QueryRequest};
use belvedere_model::time::TimeRange;
use prost::Message;
use tonic::Status;
use uuid::Uuid;

impl FlightSql {
    /// Plans a statement and says where its rows are: behind one ticket, which has all that the headers said.
    pub(super) async fn statement_info(
        &self,
        statement: Statement,
        context: &RequestContext,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let query_id = Uuid::new_v4();
        let mut statement = statement.with(&context.options);
        let schema = self.describe(&statement, context).await?.schema;
        statement.query_id = query_id.as_bytes().to_vec().into();
        let ticket = TicketStatementQuery { statement_handle: statement.to_handle() };
        let info = info(&schema, ticket.as_any().encode_to_vec(), descriptor)?;
        Ok(info.with_app_metadata(query_id.to_string()))
    }

    /// Runs a statement.
    pub(super) async fn statement_rows(
        &self,
        statement: Statement,
        context: &RequestContext,
    ) -> Result<DataStream, Status> {
        let statement = statement.with(&context.options);
        let request = self.request(statement, context).await?;
        // also an error that comes before the query runs names it
        let query_id = request.query_id;
        let keeps_dictionaries = request.types == AnswerTypes::Documented;
        let answer = self.queries().run(request).await.map_err(|e| status::from_query_error(&e, query_id))?;
        Ok(rows::stream_answer(answer, keeps_dictionaries, self.queries().runtime()))
    }

    /// What a statement gives, in the types in which it will leave, and takes.
    pub(super) async fn describe(
        &self,
        statement: &Statement,
        context: &RequestContext,
    ) -> Result<Description, Status> {
        let request = self.request(statement.clone(), context).await?;
        self.queries().describe(&request).await.map_err(|e| status::from_query_error(&e, request.query_id))
    }

    /// The question that a statement is, with nothing more from headers. To find its placeholders the text is read, and
    /// the values of a handle can be many: so that is done where queries are.
    async fn request(&self, statement: Statement, context: &RequestContext) -> Result<QueryRequest, Status> {
        let context = context.clone();
        on_query_runtime(self.queries().runtime(), move || {
            catch_panic(|| query_request(&statement, &context))
        })
        .await
    }
}

fn query_request(statement: &Statement, context: &RequestContext) -> Result<QueryRequest, Status> {
    let sql = QueryRequest::numbered(&statement.sql).map_err(|e| status::from_query_error(&e, None))?;
    let parameters = arguments::values(&statement.parameters, &sql)?;
    let mut request = QueryRequest::new(sql, context.caller.clone());
    request.parameters = parameters;
    request.range = TimeRange { begin: statement.begin, end: statement.end };
    request.limit = statement.limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
    request.types = match statement.keeps_dictionaries {
        Some(true) => AnswerTypes::Documented,
        _ => AnswerTypes::Plain,
    };
    request.is_strict = context.options.is_strict;
    request.client = context.client.clone();
    request.query_id = Some(statement.query_id().unwrap_or_else(Uuid::new_v4));
    Ok(request)
}

/// Rows of that schema behind one ticket. The descriptor is echoed: PyArrow does not take an answer without.
pub(super) fn info(
    schema: &SchemaRef,
    ticket: impl Into<bytes::Bytes>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let info = FlightInfo::new().try_with_schema(schema).map_err(status::unencodable)?;
    Ok(info.with_endpoint(endpoint).with_descriptor(descriptor))
}
