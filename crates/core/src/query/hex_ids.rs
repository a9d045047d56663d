//! Ids of a fixed number of bytes, compared with texts: `trace_id = '0af7651916cd43dd8448eb211c80319c'`. That is how ids are
//! shown everywhere else, so such a text means its bytes, as `X'…'` does. The engine would refuse to compare them, or
//! compare the bytes of the letters.

use super::lateral::Lateral;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result, plan_err};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// The engine's rules, behind the ones for joins that it can't compute and for ids: theirs decide how texts and bytes are
/// compared.
pub(super) fn rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(Lateral), Arc::new(HexIds)];
    rules.extend(Analyzer::new().rules);
    rules
}

/// Reads texts as ids while SQL is planned, and again when the values of parameters are known.
#[derive(Debug)]
pub(super) struct HexIds;

impl ExprPlanner for HexIds {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        if matches!(expr.op, Eq | NotEq | Lt | LtEq | Gt | GtEq) {
            (expr.left, expr.right) = as_ids(expr.left, expr.right, schema)?;
        }
        Ok(PlannerResult::Original(expr))
    }
}

impl AnalyzerRule for HexIds {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan
            .transform_up_with_subqueries(|plan| {
                let mut schema = merge_schema(&plan.inputs());
                schema.merge(plan.schema());
                let names = NamePreserver::new(&plan);
                plan.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
                    Ok(rewritten.update_data(|expr| name.restore(expr)))
                })
            })?
            .data)
    }

    fn name(&self) -> &str {
        "hex_ids"
    }
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) && has_text([left.as_ref(), right.as_ref()]) =>
        {
            let (left, right) = as_ids(*left, *right, schema)?;
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr {
                left: Box::new(left),
                op,
                right: Box::new(right),
            })))
        }
        Expr::InList(InList { expr, list, negated }) if has_text(&list) => {
            let list = match id_bytes(&expr, schema) {
                Some(bytes) => list.into_iter().map(|item| as_id(item, bytes)).collect::<Result<_>>()?,
                None => list,
            };
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn text(expr: &Expr) -> Option<&String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}

fn has_text<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> bool {
    exprs.into_iter().any(|expr| text(expr).is_some())
}

/// How many bytes the values of an expression have, if they all have as many.
fn id_bytes(expr: &Expr, schema: &dyn ExprSchema) -> Option<i32> {
    match expr.get_type(schema) {
        Ok(DataType::FixedSizeBinary(bytes)) => Some(bytes),
        _ => None,
    }
}

/// Both sides of a comparison; a text beside an id is an id too.
fn as_ids(left: Expr, right: Expr, schema: &DFSchema) -> Result<(Expr, Expr)> {
    let is_text = (text(&left).is_some(), text(&right).is_some());
    Ok(match is_text {
        (false, true) => match id_bytes(&left, schema) {
            Some(bytes) => (left, as_id(right, bytes)?),
            None => (left, right),
        },
        (true, false) => match id_bytes(&right, schema) {
            Some(bytes) => (as_id(left, bytes)?, right),
            None => (left, right),
        },
        _ => (left, right),
    })
}

/// A text as an id of so many bytes; everything else as it is.
fn as_id(expr: Expr, bytes: i32) -> Result<Expr> {
    let Expr::Literal(_, metadata) = &expr else { return Ok(expr) };
    let Some(text) = text(&expr) else { return Ok(expr) };
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("\\x")).unwrap_or(digits);
    let values: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits.len() == 2 * bytes as usize;
    match values.filter(|_| is_hex) {
        Some(values) => {
            Ok(Expr::Literal(ScalarValue::FixedSizeBinary(bytes, Some(values)), metadata.clone()))
        }
        None => plan_err!(
            "'{text}' is compared with ids of {bytes} bytes: write {} hexadecimal digits, as '…' or X'…'",
            2 * bytes
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, FixedSizeBinaryArray, RecordBatch};
    use datafusion::arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::prelude::SessionContext;

    fn session() -> SessionContext {
        let state = crate::query::engine::session_state().build();
        let session = SessionContext::new_with_state(state);
        let ids = [[0x0a, 0xf7, 0x65, 0x19], [1, 2, 3, 4]];
        let ids = FixedSizeBinaryArray::try_from_iter(ids.into_iter()).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::FixedSizeBinary(4), true)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(ids)]).unwrap();
        session.register_batch("spans", rows).unwrap();
        session
    }

    async fn count(condition: &str) -> Result<i64> {
        let sql = format!("SELECT count(*) FROM spans WHERE {condition}");
        let batches = session().sql(&sql).await?.collect().await?;
        Ok(batches[0].column(0).as_primitive::<Int64Type>().value(0))
    }

    #[tokio::test]
    async fn a_text_of_hexadecimal_digits_means_its_bytes_wherever_it_is_compared_with_an_id() {
        for (condition, rows) in [
            ("id = '0af76519'", 1),
            ("id = '0AF76519'", 1),
            ("id = '0x0af76519'", 1),
            ("'0af76519' = id", 1),
            ("id <> '0af76519'", 1),
            ("id > '01020304'", 1),
            ("id = X'0af76519'", 1),
            ("id IN ('0af76519', '01020304')", 2),
            ("id NOT IN ('0af76519', 'ffffffff')", 1),
            ("id IS NOT DISTINCT FROM '0af76519'", 1),
            ("id BETWEEN X'00000000' AND X'09000000'", 1),
            ("id IN (SELECT id FROM spans WHERE id = '01020304')", 1),
            ("id = 'ffffffff'", 0),
        ] {
            assert_eq!(count(condition).await.unwrap(), rows, "{condition}");
        }
        let sql = "SELECT id = '0af76519' AS is_it FROM spans";
        assert_eq!(session().sql(sql).await.unwrap().collect().await.unwrap()[0].num_rows(), 2);
    }

    #[tokio::test]
    async fn a_text_that_is_no_id_is_refused_with_what_to_write() {
        for condition in ["id = 'abc'", "id IN ('0af76519', 'xyzxyzxy')", "id = '0af7651916'"] {
            let error = count(condition).await.unwrap_err().to_string();
            assert!(error.contains("8 hexadecimal digits") && error.contains("X'…'"), "{condition}: {error}");
        }
    }
}
