//! Queries: what a session of the engine has, how a statement is planned within limits, what leaves the engine.
//!
//! | file | idea |
//! | --- | --- |
//! | `context`, `engine` | what one query works with; its session |
//! | `view`, `registration`, `argument` | views and SQL functions as crates make them |
//! | `planning` | from a statement to rows |
//! | `place` | whether the server answers a statement, or a process of its own |
//! | `statement_limits`, `memory`, `cancellation` | what a query may take, and how it ends |
//! | `floats`, `power`, `aggregates`, `order_in_aggregates`, `computed_equality`, `lateral`, `lengths` | where the engine is made to do what PostgreSQL does |
//! | `view_sql`, `sql_rows`, `partials` | the rows of views that are SQL over others |
//! | `paged` | tables that are read page by page |
//! | `information_schema` | the tables that describe tables |
//! | `request`, `client`, `running`, `deny_rules`, `refused` | who asks what, and what is denied |
//! | `output`, `formats` | what leaves |
//! | `functions` | the SQL functions of the lake itself |

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;

mod aggregates;
mod argument;
mod cancellation;
mod client;
mod computed_equality;
mod context;
mod deny_rules;
mod engine;
mod floats;
pub mod formats;
pub(crate) mod functions;
#[doc(hidden)]
pub mod fuzzed;
mod hex_ids;
mod information_schema;
mod lateral;
mod lengths;
mod memory;
mod order_in_aggregates;
mod output;
mod paged;
mod partials;
mod place;
mod placeholders;
mod planning;
mod power;
mod refused;
mod registration;
mod request;
mod running;
mod sql_hash;
mod sql_rows;
mod statement_limits;
mod view;
mod view_sql;
mod work_done;

pub use crate::error::QueryError;
pub(crate) use crate::error::panic_error;
pub(crate) use crate::scan::ReportState;
#[doc(hidden)]
pub use crate::scan::ScanPlan;
pub use crate::scan::{Fault, QueryReport};
pub use argument::Argument;
pub use context::QueryContext;
pub(crate) use context::{QueryResources, Tables};
pub(crate) use deny_rules::DenyRules;
pub(crate) use memory::{LakeMemory, QueryMemory};
pub(crate) use paged::{Page, PagedSource, PagedTable};
pub(crate) use partials::Partials;
pub(crate) use place::{Place, streams};
pub use planning::QueryResult;
pub(crate) use planning::Statement;
pub(crate) use registration::Make;
// public in `assembly`
#[doc(hidden)]
pub use registration::{Functions, SqlFunction};
pub use request::{AnswerTypes, ClientInfo, Description, QueryRequest};
pub(crate) use running::{RunningQueries, RunningQuery};
pub(crate) use sql_hash::sql_hash;
pub(crate) use statement_limits::check_length;
#[doc(hidden)]
pub use view::{Maker, MakerContext, View, ViewFactory, ViewMaker};
pub(crate) use view_sql::{check_sql_source, frame, scan_of};
pub(crate) use work_done::WorkDone;
