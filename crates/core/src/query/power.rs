//! `a ^ b` is a power, as in PostgreSQL. The engine takes it for the exclusive or, which is `a # b`.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{ScalarUDF, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// Plans `^` with the function `power`, if there is one.
#[derive(Debug)]
pub(super) struct PowerPlanner {
    power: Option<Arc<ScalarUDF>>,
}

impl PowerPlanner {
    pub(super) fn new(functions: &[Arc<ScalarUDF>]) -> Self {
        Self { power: functions.iter().find(|function| function.name() == "power").cloned() }
    }
}

impl ExprPlanner for PowerPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::BitwiseXor {
            return Ok(PlannerResult::Original(expr));
        }
        let Some(power) = &self.power else {
            return plan_err!("this build has no powers; for the exclusive or, write a # b");
        };
        // of integers, too: 2 ^ -1 is a half
        let operands = vec![cast(expr.left, DataType::Float64), cast(expr.right, DataType::Float64)];
        Ok(PlannerResult::Planned(power.call(operands)))
    }
}
