//! Arguments of SQL functions. That of a table function is a value: a constant, an expression, or a subquery of one
//! column.
//!
//! The engine hands a subquery over as it was planned and does nothing with it, so it is planned further and run here,
//! in the session that the table is read in.

use super::lateral::{TableOfColumns, as_columns};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use belvedere_model::time::parse_rfc3339;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;
use uuid::Uuid;

/// The argument, checked but not computed.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its only column has the values.
    plan: Arc<LogicalPlan>,
}

impl Argument {
    /// Takes an argument as the engine gives it; `what` names it in errors: `argument of jsonb_each`.
    pub fn new(expr: &Expr, what: &str) -> Result<Self> {
        let wrong = |why: &str| Err(DataFusionError::Plan(format!("the {what} {why}")));
        if let Expr::ScalarSubquery(subquery) = expr {
            if !subquery.outer_ref_columns.is_empty() {
                return wrong(
                    "is a subquery that refers to columns outside of itself; name its tables inside",
                );
            }
            let columns = subquery.subquery.schema().fields().len();
            if columns != 1 {
                return wrong(&format!("must be a subquery of one column, not of {columns}"));
            }
            return Ok(Self { plan: subquery.subquery.clone() });
        }
        if expr.exists(|e| Ok(matches!(e, Expr::AggregateFunction(_) | Expr::WindowFunction(_))))? {
            return wrong("must be a subquery if it aggregates: (SELECT … FROM …)");
        }
        if expr.any_column_refs() || expr.contains_outer() {
            return wrong("can't refer to columns; write a subquery: (SELECT … FROM …)");
        }
        let plan = LogicalPlanBuilder::empty(true)
            .project([expr.clone().alias("value")])
            .and_then(LogicalPlanBuilder::build)
            .map_err(|e| e.context(format!("the {what} can't be computed")))?;
        Ok(Self { plan: Arc::new(plan) })
    }

    /// The table of a function whose argument refers to columns of the tables before it; `None` if it refers to none. `lists`
    /// makes a list of the rows of one value, as structs with the fields of `schema`.
    pub fn table_of_columns(
        expr: &Expr,
        what: &str,
        lists: ScalarUDF,
        schema: SchemaRef,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let is_one_value = |e: &Expr| {
            !matches!(e, Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::ScalarSubquery(_))
        };
        if !(expr.any_column_refs() || expr.contains_outer()) || expr.exists(|e| Ok(!is_one_value(e)))? {
            return Ok(None);
        }
        if expr.exists(|e| Ok(matches!(e, Expr::Placeholder(_))))? {
            return Err(DataFusionError::Plan(format!("the {what} can't have placeholders")));
        }
        let (what, argument, lists) = (what.to_owned(), expr.clone(), Arc::new(lists));
        Ok(Some(Arc::new(TableOfColumns { what, argument, lists, schema })))
    }

    /// The type of its values.
    pub fn data_type(&self) -> &DataType {
        self.plan.schema().field(0).data_type()
    }

    /// Plans what computes it, without running it. [`Argument::column`] has the values of each batch.
    pub async fn plan(&self, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        session.create_physical_plan(&self.plan).await
    }

    /// Computes it: one row if it is a constant or an expression, those of the subquery otherwise, in its order.
    pub async fn values(&self, session: &dyn Session) -> Result<Vec<ArrayRef>> {
        let batches = collect(self.plan(session).await?, session.task_ctx()).await?;
        batches
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .map(|batch| Self::column(batch).cloned())
            .collect()
    }

    /// The values of one batch of an argument.
    pub fn column(batch: &RecordBatch) -> Result<&ArrayRef> {
        batch.columns().first().ok_or_else(|| {
            DataFusionError::Internal("an argument was computed without its column".to_owned())
        })
    }
}

fn wrong<T>(what: &str, needed: &str, found: &Expr) -> Result<T> {
    let found = as_columns(found.clone())?;
    Err(DataFusionError::Plan(format!("the {what} must be {needed}, not {found}")))
}

/// Arguments that are constants, known when the query is planned. `what` names them in errors.
impl Argument {
    /// A text in quotes.
    pub fn text(expr: &Expr, what: &str) -> Result<String> {
        match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
                Ok(text.clone())
            }
            other => wrong(what, "a string in quotes", other),
        }
    }

    /// The id of a process, a stream or a block, in quotes.
    pub fn uuid(expr: &Expr, what: &str) -> Result<Uuid> {
        let text = Self::text(expr, what)?;
        Uuid::try_parse(&text)
            .map_err(|_| DataFusionError::Plan(format!("the {what} must be a UUID, not '{text}'")))
    }

    /// A whole number.
    pub fn number(expr: &Expr, what: &str) -> Result<i64> {
        match expr {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) => Ok(*number),
            Expr::Literal(ScalarValue::Int32(Some(number)), _) => Ok(i64::from(*number)),
            other => wrong(what, "a whole number", other),
        }
    }

    /// An instant, as RFC 3339 text or as a timestamp; in nanoseconds since the Unix epoch.
    pub fn time(expr: &Expr, what: &str) -> Result<i64> {
        match expr {
            Expr::Literal(ScalarValue::TimestampNanosecond(Some(time), zone), _)
                if matches!(zone.as_deref(), None | Some("+00:00" | "UTC")) =>
            {
                Ok(*time)
            }
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
                parse_rfc3339(text)
                    .map_err(|e| DataFusionError::Plan(format!("the {what} is not valid: {e}")))
            }
            other => wrong(what, "an RFC 3339 time in quotes or a timestamp in UTC", other),
        }
    }

    /// Whether values of a type are texts, in whatever shape the engine has them, or only NULL.
    pub fn is_text(found: &DataType) -> bool {
        match found {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
            DataType::Dictionary(_, values) => Self::is_text(values),
            _ => false,
        }
    }

    /// The arguments of a scalar function, all of them [texts](Self::is_text), in one shape: as many as there are rows.
    pub(crate) fn texts(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
        args.args.iter().map(|arg| Ok(cast(&arg.to_array(args.number_rows)?, &DataType::Utf8)?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use datafusion::prelude::{SessionContext, lit};

    async fn subquery(session: &SessionContext, sql: &str) -> Expr {
        let plan = session.state().create_logical_plan(sql).await.unwrap();
        datafusion::logical_expr::scalar_subquery(Arc::new(plan))
    }

    async fn numbers(session: &SessionContext, expr: &Expr) -> Vec<i64> {
        let argument = Argument::new(expr, "argument of f").unwrap();
        let values = argument.values(&session.state()).await.unwrap();
        values.iter().flat_map(|v| v.as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    #[tokio::test]
    async fn constants_expressions_and_subqueries_are_values() {
        let session = SessionContext::new();
        assert_eq!(numbers(&session, &lit(7i64)).await, [7]);
        assert_eq!(numbers(&session, &(lit(7i64) + lit(1i64))).await, [8]);
        let query = subquery(&session, "SELECT * FROM (VALUES (3), (1), (2)) AS t(x) ORDER BY x").await;
        assert_eq!(numbers(&session, &query).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_subquery_without_rows_has_no_values() {
        let session = SessionContext::new();
        let query = subquery(&session, "SELECT 1 WHERE false").await;
        assert!(numbers(&session, &query).await.is_empty());
    }

    #[tokio::test]
    async fn columns_and_subqueries_of_several_columns_are_refused() {
        let session = SessionContext::new();
        let two = subquery(&session, "SELECT 1, 2").await;
        let error = Argument::new(&two, "argument of f").unwrap_err().to_string();
        assert!(error.contains("the argument of f must be a subquery of one column, not of 2"), "{error}");
        let column = datafusion::prelude::col("x");
        let error = Argument::new(&column, "argument of f").unwrap_err().to_string();
        assert!(error.contains("can't refer to columns"), "{error}");
    }
}
