//! Conditions such as `property_get(properties, 'build') = 'b1'` on what rows are sorted by.
//!
//! The engine (DataFusion 55.2) takes from `f(x) = 'a'` that `f(x)` is constant, and leaves it out where it sorts. Where
//! `f(x)` has become a column of a projection, it has forgotten that, and then refuses its own plan: "does not satisfy order
//! requirements". `f(x) IS NOT DISTINCT FROM 'a'` keeps the same rows, and the engine takes nothing from it.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// A rule of the engine's optimizer, which runs last.
#[derive(Debug)]
pub(super) struct ComputedEqualities;

impl OptimizerRule for ComputedEqualities {
    fn name(&self) -> &str {
        "computed_equalities"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::Filter(mut filter) => {
                let predicate = rewritten(filter.predicate);
                filter.predicate = predicate.data;
                Transformed::new_transformed(LogicalPlan::Filter(filter), predicate.transformed)
            }
            other => Transformed::no(other),
        })
    }
}

/// A condition that must be true.
fn rewritten(condition: Expr) -> Transformed<Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (left, right) = (rewritten(*left), rewritten(*right));
            let is_changed = left.transformed || right.transformed;
            Transformed::new_transformed(left.data.and(right.data), is_changed)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right })
            if (is_computed(&left) && is_value(&right)) || (is_value(&left) && is_computed(&right)) =>
        {
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }))
        }
        other => Transformed::no(other),
    }
}

fn is_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

fn is_computed(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => false,
        Expr::Cast(cast) => is_computed(&cast.expr),
        _ => true,
    }
}
