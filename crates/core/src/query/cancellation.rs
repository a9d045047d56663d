//! Queries that end when they are told to. A task is only taken off its thread where it waits; joins look for partners
//! in long loops, and a loop that finds none waits for nothing.
//!
//! This is issue 19358 of apache/datafusion, "Join operators don't yield to tokio runtime, preventing query cancellation".
//! Its pull request 19360 made the streams of joins cooperative, as `CooperativeExec` does here, and was closed. That alone
//! is not enough: it gives way between the batches that come out of a join, and a join whose condition never holds puts out
//! none. But such a loop evaluates the condition all the time, so the condition is what stops it.
//!
//! When all joins of the engine give way within their loops, this module goes; the test is
//! `a_query_that_never_looks_up_from_its_work_ends_and_gives_its_thread_back`.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The same plan, with joins that give way to other tasks between their batches, and break off when `over` is set.
pub(super) fn cancellable(
    plan: Arc<dyn ExecutionPlan>,
    over: &Arc<AtomicBool>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = |filter: &JoinFilter| {
        let expression = CancellableExpr { inner: filter.expression().clone(), over: over.clone() };
        JoinFilter::new(Arc::new(expression), filter.column_indices().to_vec(), filter.schema().clone())
    };
    plan.transform_up(|node| {
        let joined: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            match join.filter() {
                Some(filter) => Arc::new(
                    NestedLoopJoinExecBuilder::from(join).with_filter(Some(watched(filter))).build()?,
                ),
                None => node,
            }
        } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            match join.filter() {
                Some(filter) => join.builder().with_filter(Some(watched(filter))).build_exec()?,
                None => node,
            }
        } else if node.is::<CrossJoinExec>() || node.is::<SortMergeJoinExec>() {
            node
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(joined)) as Arc<dyn ExecutionPlan>))
    })
    .data()
}

/// A condition that fails when the query is over.
#[derive(Debug)]
struct CancellableExpr {
    inner: Arc<dyn PhysicalExpr>,
    over: Arc<AtomicBool>,
}

impl fmt::Display for CancellableExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for CancellableExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for CancellableExpr {}

impl Hash for CancellableExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl PhysicalExpr for CancellableExpr {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.over.load(Ordering::Relaxed) {
            Err(DataFusionError::Execution("the query is over".to_owned()))
        } else {
            self.inner.evaluate(batch)
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Self { inner, over: self.over.clone() })),
            _ => Err(DataFusionError::Internal("a watched condition has one child".to_owned())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
