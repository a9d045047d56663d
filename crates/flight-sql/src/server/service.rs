//! The calls of Flight, and what each of them means in FlightSQL.

use super::headers::{RequestContext, request_context};
use super::incoming::{self, Incoming, PutLimits};
use super::statement::info;
use super::ticket::{self, Statement};
use super::{actions, rows, status};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Command, CommandStatementQuery, DoPutUpdateResult};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use belvedere_core::service::QueryService;
use belvedere_lake::access::Right;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prost::Message;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// What calls give.
type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// Answers FlightSQL.
///
/// It is Flight's own trait that is implemented: that of `arrow_flight::sql::server` takes no tickets that are not
/// wrapped, has no way to answer GetSchema, and lists actions that are not there.
#[derive(Debug)]
pub(super) struct FlightSql {
    queries: Arc<QueryService>,
}

impl FlightSql {
    pub(super) fn new(queries: Arc<QueryService>) -> Self {
        Self { queries }
    }

    pub(super) fn queries(&self) -> &QueryService {
        &self.queries
    }

    async fn info(
        &self,
        command: Command,
        context: &RequestContext,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        match command {
            Command::CommandStatementQuery(command) => {
                self.statement_info(statement_from_command(command)?, context, descriptor).await
            }
            Command::CommandPreparedStatementQuery(command) => {
                let statement = Statement::from_handle(&command.prepared_statement_handle)?;
                self.statement_info(statement, context, descriptor).await
            }
            command => {
                context.caller.check(Right::Read).map_err(|e| status::from_refusal(&e))?;
                // the command is its own ticket
                let schema = self.metadata(command).await?.schema();
                info(&schema, descriptor.cmd.clone(), descriptor)
            }
        }
    }
}

fn statement_from_command(command: CommandStatementQuery) -> Result<Statement, Status> {
    if command.transaction_id.is_some_and(|id| !id.is_empty()) {
        return Err(actions::no_transactions());
    }
    Ok(Statement::new(command.query))
}

/// What can't be done, in a client's words.
pub(super) fn unsupported(command: &Command) -> Status {
    let name = command.type_url().rsplit(['.', '/']).next().unwrap_or_default();
    Status::unimplemented(match command {
        Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
            "statements that change data are not supported: send a query".to_owned()
        }
        Command::CommandStatementSubstraitPlan(_) => {
            "Substrait plans are not supported: send the query as SQL".to_owned()
        }
        _ => format!("the command '{name}' is not supported here"),
    })
}

fn one<T: Send + 'static>(message: T) -> Messages<T> {
    stream::iter([Ok(message)]).boxed()
}

#[tonic::async_trait]
impl FlightService for FlightSql {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoExchangeStream = Messages<FlightData>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        request_context(&request)?;
        actions::handshake(request.metadata())
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let context = request_context(&request)?;
        let descriptor = request.into_inner();
        let command = ticket::command_from_descriptor(&descriptor.cmd)?;
        Ok(Response::new(self.info(command, &context, descriptor).await?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let context = request_context(&request)?;
        let descriptor = request.into_inner();
        let command = ticket::command_from_descriptor(&descriptor.cmd)?;
        let schema = self.info(command, &context, descriptor).await?.schema;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let context = request_context(&request)?;
        let statement = match ticket::command_from_ticket(&request.get_ref().ticket)? {
            Command::TicketStatementQuery(ticket) => Statement::from_handle(&ticket.statement_handle)?,
            Command::CommandStatementQuery(command) => statement_from_command(command)?,
            Command::CommandPreparedStatementQuery(command) => {
                Statement::from_handle(&command.prepared_statement_handle)?
            }
            command => {
                context.caller.check(Right::Read).map_err(|e| status::from_refusal(&e))?;
                let batch = self.metadata(command).await?;
                return Ok(Response::new(rows::stream_batch(batch, self.queries().runtime())));
            }
        };
        Ok(Response::new(self.statement_rows(statement, &context).await?))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let context = request_context(&request)?;
        let mut messages = request.into_inner();
        let first = incoming::first(&mut messages).await?;
        let (Some(first), Some(descriptor)) =
            (first.as_ref(), first.as_ref().and_then(|first| first.flight_descriptor.as_ref()))
        else {
            return Err(Status::invalid_argument("the first message of DoPut has no descriptor: send one"));
        };
        let command = ticket::command_from_descriptor(&descriptor.cmd)?;
        let messages = stream::iter([Ok(first.clone())]).chain(messages).boxed();
        let at = |limits| Incoming::new(messages, limits, self.queries().runtime().clone());
        let app_metadata = match command {
            Command::CommandStatementIngest(command) => {
                let record_count = self.ingest(&command, &context, at(PutLimits::BULK)).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandPreparedStatementQuery(command) => self
                .bind(&command.prepared_statement_handle, &context, at(PutLimits::VALUES))
                .await?
                .encode_to_vec(),
            command => return Err(unsupported(&command)),
        };
        Ok(Response::new(one(PutResult { app_metadata: app_metadata.into() })))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let context = request_context(&request)?;
        let results = match self.action(request.into_inner(), &context).await? {
            Some(body) => one(arrow_flight::Result::new(body)),
            None => stream::empty().boxed(),
        };
        Ok(Response::new(results))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        request_context(&request)?;
        Ok(Response::new(stream::iter(actions::all().map(Ok)).boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("ListFlights is not supported: CommandGetTables lists the tables"))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("PollFlightInfo is not supported: GetFlightInfo returns at once"))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not supported: use DoGet to get rows, DoPut to send them"))
    }
}
