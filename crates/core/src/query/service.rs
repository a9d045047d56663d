//! The service behind every protocol that queries come by.

use super::{Lake, QueryError, QueryReport};
use crate::access::{Caller, Right};
use crate::time::TimeRange;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// In which types an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerTypes {
    /// As documented: dictionaries stay dictionaries.
    #[default]
    Documented,
    /// Dictionaries as the type of their values, for clients that know none.
    Plain,
}

/// What a client says of itself; nothing of it is checked. All of it goes into the record of the query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// Kind of client: `python`, `grafana`, `cli`.
    pub client: Option<String>,
    /// Program or agent that uses the client.
    pub agent: Option<String>,
    /// Where in the client the query came from.
    pub entrypoint: Option<String>,
    /// One use of the client.
    pub session: Option<String>,
    /// Notebook.
    pub notebook: Option<String>,
    /// Cell of the notebook.
    pub cell: Option<String>,
    /// Who uses it, if the caller is a service: an id.
    pub user_id: Option<String>,
    /// An address.
    pub user_email: Option<String>,
    /// A name.
    pub user_name: Option<String>,
    /// Where it is.
    pub address: Option<IpAddr>,
}

/// A question.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// One query.
    pub sql: String,
    /// Values of `$1` or `$name` in it.
    pub parameters: Option<ParamValues>,
    /// Event times that it is about.
    pub range: TimeRange,
    /// Rows that are wanted at most.
    pub limit: Option<usize>,
    /// How the answer is to leave.
    pub types: AnswerTypes,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// By what.
    pub client: ClientInfo,
    /// The id to run under, so that it can be cancelled by who chose it; a new one if there is none.
    pub query_id: Option<Uuid>,
}

impl QueryRequest {
    /// A query about the whole lake.
    pub fn new(sql: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self {
            sql: sql.into(),
            parameters: None,
            range: TimeRange::ALL,
            limit: None,
            types: AnswerTypes::default(),
            caller,
            client: ClientInfo::default(),
            query_id: None,
        }
    }
}

/// An answer on its way.
pub struct Answer {
    /// The name of the query, as `list_queries()` has it.
    pub query_id: Uuid,
    /// The columns.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub rows: BoxStream<'static, Result<RecordBatch, QueryError>>,
    /// What the query did; complete when the last row has been taken.
    pub report: Arc<QueryReport>,
}

/// What a statement gives and takes, without running it.
#[derive(Debug, Clone)]
pub struct Description {
    /// The columns of its answer.
    pub schema: SchemaRef,
    /// Its parameters in order of their names (`$1` before `$2`), nullable; those whose type can't be inferred are
    /// texts.
    pub parameters: SchemaRef,
}

/// Answers queries.
#[derive(Debug)]
pub struct QueryService {
    lake: Lake,
}

impl QueryService {
    /// Asks this lake.
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Begins to answer.
    pub async fn run(&self, request: QueryRequest) -> Result<Answer, QueryError> {
        request.caller.check(Right::Read)?;
        let result = self.lake.query(&request.sql, request.range).await?;
        let rows = result.rows.map(|batch| Ok(batch?)).boxed();
        let query_id = request.query_id.unwrap_or_else(Uuid::new_v4);
        Ok(Answer { query_id, schema: result.schema, rows, report: result.report })
    }

    /// Ends a query, if it runs and this caller may end it; whether it was so.
    pub fn cancel(&self, _query_id: Uuid, _caller: &Caller) -> bool {
        false
    }

    /// Plans a statement without running it.
    pub async fn describe(&self, request: &QueryRequest) -> Result<Description, QueryError> {
        request.caller.check(Right::Read)?;
        let result = self.lake.query(&request.sql, request.range).await?;
        Ok(Description { schema: result.schema, parameters: Arc::new(arrow::datatypes::Schema::empty()) })
    }
}
