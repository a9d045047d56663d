//! Lengths of lists in arithmetic: `array_length(x) + 1`.
//!
//! The engine (DataFusion 55.2) gives lengths and positions as UInt64. Beside a signed number that becomes a decimal, which
//! no function of lists takes, and `array_length(x) - 5` may be below zero. They fit into Int64, so they are that.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// The engine's functions of lists that give UInt64.
const LENGTHS: [&str; 4] = ["array_length", "array_ndims", "array_position", "cardinality"];

/// Takes lengths as signed numbers.
#[derive(Debug)]
pub(super) struct Lengths;

impl ExprPlanner for Lengths {
    fn plan_binary_op(&self, mut expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
        if matches!(expr.op, Plus | Minus | Multiply | Divide | Modulo) {
            (expr.left, expr.right) = (signed(expr.left), signed(expr.right));
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn signed(expr: Expr) -> Expr {
    match &expr {
        Expr::ScalarFunction(call) if LENGTHS.contains(&call.name()) => cast(expr, DataType::Int64),
        _ => expr,
    }
}
