//! What is asked, by whom, and how the answer is to leave.

use super::QueryError;
use super::placeholders::numbered_placeholders;
use super::statement_limits::check_length;
use arrow::datatypes::SchemaRef;
use belvedere_lake::access::Caller;
use belvedere_model::time::TimeRange;
use datafusion::common::ParamValues;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// In which types an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AnswerTypes {
    /// As documented: dictionaries stay dictionaries.
    #[default]
    Documented,
    /// Dictionaries as the type of their values, for clients that know none.
    Plain,
    /// As documented, but labels as dictionaries too, as the engine has them: texts that rows share are sent once.
    Dictionaries,
}

/// What a client says of itself; nothing of it is checked. All of it goes into the record of the query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
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

/// A query, and who asks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueryRequest {
    /// A name for it that was told before, if one was; of several queries of that name the first one keeps it.
    pub query_id: Option<Uuid>,
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
    /// An answer that lacks rows of blocks is an error.
    pub is_strict: bool,
}

impl QueryRequest {
    /// The same SQL with `$1`, `$2` … where it has `?`. [`QueryError::Sql`] if it is longer than a statement may be.
    pub fn numbered(sql: &str) -> Result<Cow<'_, str>, QueryError> {
        check_length(sql)?;
        Ok(numbered_placeholders(sql))
    }

    /// A query about the whole lake.
    pub fn new(sql: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self {
            query_id: None,
            sql: sql.into(),
            parameters: None,
            range: TimeRange::ALL,
            limit: None,
            types: AnswerTypes::default(),
            caller,
            client: ClientInfo::default(),
            is_strict: false,
        }
    }
}

/// What a statement gives and takes, without running it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Description {
    /// The columns of its answer.
    pub schema: SchemaRef,
    /// Its parameters in order of their names (`$1` before `$2`), nullable; those whose type can't be inferred are
    /// texts.
    pub parameters: SchemaRef,
}
