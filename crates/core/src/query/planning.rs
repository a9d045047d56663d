//! From a statement to rows: planned where there is room for it, in the types that the answer is to have.

use super::cancellation::cancellable;
use super::information_schema::ColumnList;
use super::output::{documented, split};
use super::{
    AnswerTypes, Description, QueryContext, QueryError, QueryRequest, lateral, panic_error, statement_limits,
};
use crate::metrics::metrics;
use crate::parser;
use crate::registry::{Assembly, nearest};
use crate::scan::{QueryReport, ReportState, ScanPlan};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ParamValues, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SQLOptions, SessionContext};
use futures::{Stream, StreamExt, TryStreamExt};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The answer to a query, on its way.
#[non_exhaustive]
pub struct QueryResult {
    /// The columns, in their documented types.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub rows: SendableRecordBatchStream,
    /// What the query did; complete when the last row has been taken.
    pub report: Arc<QueryReport>,
    /// How the rows are made.
    pub(crate) plan: Option<Arc<dyn ExecutionPlan>>,
}

/// A statement, and how its answer is to be.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Option<ParamValues>,
    pub(crate) limit: Option<usize>,
    pub(crate) types: AnswerTypes,
    /// What may be the reason if the statement names something that is not there.
    pub(crate) suspect: Option<String>,
}

impl Statement {
    pub(crate) fn new(request: &QueryRequest, suspect: Option<String>) -> Self {
        let QueryRequest { sql, parameters, limit, types, .. } = request;
        Self { sql: sql.clone(), parameters: parameters.clone(), limit: *limit, types: *types, suspect }
    }
}

/// A statement that can be run.
struct Planned {
    /// The columns as they were described before anything was optimized.
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    is_explain: bool,
}

/// Stack of a thread that plans: the engine's recursion takes kilobytes for each level, and
/// [`statement_limits`](super::statement_limits) lets some thousands of levels through. Measurements, and why other means are
/// not enough, are there.
const PLANNING_STACK: usize = 64 << 20;

/// How often rows begin anew because a file was damaged: each time costs what was read before.
const MOST_ATTEMPTS: usize = 16;

/// Plans, where there is room for it: planning takes a deep stack, may take seconds without a pause, and must not keep
/// the threads that answers move on. Who stops waiting leaves it to come to its end, and `held` with it.
async fn planning<T: Send + 'static, H: Send + 'static>(
    work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    held: H,
) -> Result<(T, H), QueryError> {
    let runtime = Handle::current();
    let planned = tokio::task::spawn_blocking(move || {
        (stacker::grow(PLANNING_STACK, move || runtime.block_on(work)), held)
    });
    match planned.await {
        Ok((planned, held)) => Ok((planned?, held)),
        // constants are worked out here, and may be too large
        Err(lost) if lost.is_panic() => Err(panic_error(lost.into_panic().as_ref())),
        Err(_) => Err(QueryError::Internal(
            "planning the query failed inside the server: its log has details".to_owned(),
        )),
    }
}

/// Adds what was probably meant to an error about a table that is not there.
fn suggest(error: QueryError, assembly: &Assembly) -> QueryError {
    let QueryError::Sql(text) = &error else { return error };
    let name = text.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"));
    let Some(name) = name else { return error };
    QueryError::Sql(match assembly.view_sets().find(|set| set.name == name) {
        // the only kind of its instances: the other view sets are tables
        Some(set) => {
            let kind = set.instances.kinds().last().copied().unwrap_or_default();
            format!(
                "{text}: {name} has a table for each {kind}, so write \
                 SELECT * FROM view_instance('{name}', '<{kind} id>')"
            )
        }
        None => format!("{text}{}", nearest(name, assembly.view_sets().map(|set| set.name))),
    })
}

impl QueryContext {
    /// Plans a statement, without running it. `held` is dropped when planning is over, whoever waits for it.
    pub(crate) async fn describe(
        &self,
        statement: Statement,
        held: impl Send + 'static,
    ) -> Result<Description, QueryError> {
        let context = self.clone();
        let described = async move {
            let frame = context.frame(&statement).await?;
            let mut parameters: Vec<(String, Option<DataType>)> =
                frame.logical_plan().get_parameter_types()?.into_iter().collect();
            // $2 before $10
            parameters.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
            let parameters = parameters
                .into_iter()
                .map(|(name, data_type)| Field::new(name, data_type.unwrap_or(DataType::Utf8), true));
            Ok(Description {
                schema: statement.types.schema(frame.schema().as_arrow()),
                parameters: Arc::new(Schema::new(parameters.collect::<Vec<_>>())),
            })
        };
        planning(described, held).await.map(|(description, _)| description)
    }

    async fn frame(&self, statement: &Statement) -> Result<DataFrame, QueryError> {
        statement_limits::check(&statement.sql)?;
        let session = self.session()?;
        let mut frame = parse_and_plan(&session, &statement.sql, self.assembly()).await.map_err(|e| {
            let error = suggest(QueryError::from(e), self.assembly());
            match (error, &statement.suspect) {
                // it may be just that view that is missing
                (QueryError::Sql(text), Some(problem)) => QueryError::Sql(format!("{text} ({problem})")),
                (error, _) => error,
            }
        })?;
        if let Some(parameters) = &statement.parameters {
            check_parameters(&frame, parameters)?;
            frame = frame.with_param_values(parameters.clone())?;
        }
        if let Some(limit) = statement.limit {
            frame = frame.limit(0, Some(limit))?;
        }
        Ok(frame)
    }

    /// Plans a statement, and begins to run it. `held` comes back when it is planned, or is dropped then if nobody waits any more.
    async fn begin<H: Send + 'static>(
        &self,
        statement: Statement,
        held: H,
    ) -> Result<(Planned, SendableRecordBatchStream, H), QueryError> {
        let context = self.clone();
        let planned = async move {
            let frame = context.frame(&statement).await?;
            let is_explain = matches!(frame.logical_plan(), LogicalPlan::Explain(_));
            let task = Arc::new(frame.task_ctx());
            let schema = Arc::new(frame.schema().as_arrow().clone());
            let plan = cancellable(frame.create_physical_plan().await?, &context.scan().over)?;
            Ok(Planned { schema, plan, task, is_explain })
        };
        let (planned, held) = planning(planned, held).await?;
        let mut rows = execute_stream(planned.plan.clone(), planned.task.clone())?;
        if planned.is_explain {
            rows = with_scans(rows, &self.report().scans())?;
        }
        Ok((planned, rows, held))
    }

    /// Rows that begin anew as long as nobody has seen one of them and the files that they were read from turn out to be
    /// damaged: such a file is not read again, but its blocks are. `known` is how often that was found before they began.
    fn without_damaged_files(
        self,
        statement: Statement,
        mut rows: SendableRecordBatchStream,
        mut known: u64,
    ) -> impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send {
        let settled = async move {
            let report = self.report().clone();
            let mut attempts = 0;
            loop {
                let mut first = rows.next().await;
                while matches!(&first, Some(Ok(batch)) if batch.num_rows() == 0) {
                    first = rows.next().await;
                }
                if !matches!(first, Some(Err(_)))
                    || report.damaged_files() == known
                    || attempts == MOST_ATTEMPTS
                {
                    return Ok::<_, DataFusionError>(futures::stream::iter(first).chain(rows));
                }
                attempts += 1;
                known = report.damaged_files();
                report.adopt(ReportState::default());
                let again = self.begin(statement.clone(), ()).await;
                rows = again.map_err(|e| DataFusionError::External(Box::new(e)))?.1;
            }
        };
        futures::stream::once(settled).try_flatten()
    }

    /// Begins to answer a statement. `held` comes back when it is planned, or is dropped then if nobody waits any more.
    pub(crate) async fn answer<H: Send + 'static>(
        &self,
        statement: Statement,
        held: H,
    ) -> Result<(QueryResult, H), QueryError> {
        metrics(self.connection()).queries.inc();
        let report = self.report().clone();
        let types = statement.types;
        let known = report.damaged_files();
        let (Planned { schema, plan, .. }, engine_rows, held) = self.begin(statement.clone(), held).await?;
        let schema = types.schema(&schema);
        let to = schema.clone();
        let rows = self
            .clone()
            .without_damaged_files(statement, engine_rows, known)
            .map_ok(|batch| futures::stream::iter(split(batch)).map(Ok::<_, DataFusionError>))
            .try_flatten()
            .map(move |batch: Result<RecordBatch, DataFusionError>| Ok(documented(&batch?, &to)?));
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
        Ok((QueryResult { schema, rows, report, plan: Some(plan) }, held))
    }
}

/// Parses a statement and makes a plan of it that may be run.
async fn parse_and_plan(
    session: &SessionContext,
    sql: &str,
    assembly: &Assembly,
) -> Result<DataFrame, DataFusionError> {
    let state = session.state();
    let mut statements = parser::engine_statements(sql)?;
    let (Some(mut statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return plan_err!("a query is one SQL statement: nothing, or several, can't be run");
    };
    if let Some(columns) = ColumnList::new(&statement, assembly) {
        return columns.frame(session);
    }
    lateral::read(&mut statement);
    let plan = state.statement_to_plan(statement).await?;
    // no DDL, no DML, no SET: and so no way to the host's files
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    session.execute_logical_plan(plan).await
}

/// Adds to the answer of EXPLAIN what the plan reads.
fn with_scans(
    rows: SendableRecordBatchStream,
    scans: &[ScanPlan],
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let schema = rows.schema();
    let is_text = |i: usize| *schema.field(i).data_type() == DataType::Utf8;
    if schema.fields().len() != 2 || !is_text(0) || !is_text(1) || scans.is_empty() {
        return Ok(rows);
    }
    let kinds = StringArray::from(vec!["reads"; scans.len()]);
    let texts = StringArray::from_iter_values(scans.iter().map(ScanPlan::to_string));
    let reads = RecordBatch::try_new(schema.clone(), vec![Arc::new(kinds), Arc::new(texts)])?;
    let rows = rows.chain(futures::stream::iter([Ok(reads)]));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}

/// Whether each value belongs to a parameter: one that does not was meant for something. What has no value is refused
/// by the engine.
fn check_parameters(frame: &DataFrame, values: &ParamValues) -> Result<(), QueryError> {
    let wanted = frame.logical_plan().get_parameter_names()?;
    match values {
        ParamValues::List(values) => {
            let last = wanted.iter().filter_map(|name| name.trim_start_matches('$').parse().ok()).max();
            match last.unwrap_or(0) {
                last if values.len() > last => Err(QueryError::Sql(format!(
                    "the statement has {last} parameters, but {} values were given",
                    values.len()
                ))),
                _ => Ok(()),
            }
        }
        ParamValues::Map(values) => {
            let is_wanted = |name: &str| wanted.iter().any(|known| known.trim_start_matches('$') == name);
            match values.keys().find(|name| !is_wanted(name.trim_start_matches('$'))) {
                Some(name) => Err(QueryError::Sql(format!("the statement has no parameter ${name}"))),
                None => Ok(()),
            }
        }
    }
}
