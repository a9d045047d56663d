//! Numbers with a fraction are compared as PostgreSQL compares them: NaN equals NaN, whatever its sign, and is greater than
//! everything else; the two zeros are equal.
//!
//! The engine compares their bits: −0 is less than 0 there, and the NaN that the processor makes of ∞ − ∞ is less than −∞.
//! So before anything is optimized, what is compared (by conditions, as keys of joins, groups and orders, by aggregates) is
//! [made plain](plain): one NaN, one zero. What is only shown stays as it is.
//!
//! The second reason: statistics of Parquet files leave NaN out. A condition about a plain number says nothing of the column
//! itself, so no file, row group or page is left out for it, be the condition the statement's or one that the engine finds
//! while it joins and sorts.

mod plain;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{GroupingSet, Sort};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Operator, Projection, Subquery};
use datafusion::optimizer::AnalyzerRule;
use plain::{has_floats, made_plain, plain};
use std::sync::Arc;

/// Aggregates that compare their arguments even without DISTINCT.
const COMPARING_AGGREGATES: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "max",
    "median",
    "min",
    "percentile_cont",
];

/// Functions that compare their arguments, or what is in them.
fn compares(function: &str) -> bool {
    matches!(function, "greatest" | "least" | "nullif") || function.starts_with("array_")
}

/// A rule of the engine's analyzer. It runs last, when all types are known.
#[derive(Debug)]
pub(super) struct PlainFloats;

impl AnalyzerRule for PlainFloats {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(in_plan)?.data)
    }

    fn name(&self) -> &str {
        "plain_floats"
    }
}

fn in_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let schema = &schema;
    let names = NamePreserver::new(&plan);
    let shown = |expr: Expr| {
        let name = names.save(&expr);
        in_expression(expr, schema).map(|transformed| transformed.update_data(|expr| name.restore(expr)))
    };
    let all_shown =
        |exprs: Vec<Expr>| exprs.into_iter().map(|expr| Ok(shown(expr)?.data)).collect::<Result<_>>();
    Ok(Transformed::yes(match plan {
        LogicalPlan::Aggregate(mut aggregate) => {
            let group = |key: Expr| group_key(key, schema, &names);
            aggregate.group_expr = aggregate.group_expr.into_iter().map(group).collect::<Result<_>>()?;
            aggregate.aggr_expr = all_shown(aggregate.aggr_expr)?;
            LogicalPlan::Aggregate(aggregate)
        }
        LogicalPlan::Sort(mut sort) => {
            sort.expr = order(sort.expr, schema)?;
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            LogicalPlan::Distinct(Distinct::All(with_plain_columns(input)?))
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            on.on_expr = keys(on.on_expr, schema)?;
            on.sort_expr = on.sort_expr.map(|sort| order(sort, schema)).transpose()?;
            on.select_expr = all_shown(on.select_expr)?;
            LogicalPlan::Distinct(Distinct::On(on))
        }
        LogicalPlan::Join(mut join) => {
            let equal = |(left, right)| Ok((key(left, schema)?, key(right, schema)?));
            join.on = join.on.into_iter().map(equal).collect::<Result<_>>()?;
            join.filter = join.filter.map(shown).transpose()?.map(|shown| shown.data);
            LogicalPlan::Join(join)
        }
        LogicalPlan::Filter(mut filter) => {
            let (rows, predicate) = correlated(filter.input, shown(filter.predicate)?.data)?;
            (filter.input, filter.predicate) = (rows, predicate);
            LogicalPlan::Filter(filter)
        }
        other => return other.map_expressions(shown),
    }))
}

/// What is compared by the plan that it belongs to.
fn key(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(plain(in_expression(expr, schema)?.data, schema))
}

fn keys(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    exprs.into_iter().map(|expr| key(expr, schema)).collect()
}

fn order(sort: Vec<Sort>, schema: &DFSchema) -> Result<Vec<Sort>> {
    sort.into_iter().map(|by| Ok(Sort { expr: key(by.expr, schema)?, ..by })).collect()
}

/// What rows are grouped by, under the name that it had.
fn group_key(expr: Expr, schema: &DFSchema, names: &NamePreserver) -> Result<Expr> {
    let each = |exprs: Vec<Expr>| {
        exprs.into_iter().map(|expr| group_key(expr, schema, names)).collect::<Result<Vec<_>>>()
    };
    Ok(match expr {
        Expr::GroupingSet(set) => Expr::GroupingSet(match set {
            GroupingSet::Rollup(exprs) => GroupingSet::Rollup(each(exprs)?),
            GroupingSet::Cube(exprs) => GroupingSet::Cube(each(exprs)?),
            GroupingSet::GroupingSets(sets) => {
                GroupingSet::GroupingSets(sets.into_iter().map(each).collect::<Result<_>>()?)
            }
        }),
        expr => {
            let name = names.save(&expr);
            name.restore(key(expr, schema)?)
        }
    })
}

/// The same rows with plain numbers, for a plan that compares whole rows.
fn with_plain_columns(input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    with_plain(input, &|_| true)
}

/// The same rows with plain numbers in some columns.
fn with_plain(input: Arc<LogicalPlan>, wanted: &dyn Fn(&Column) -> bool) -> Result<Arc<LogicalPlan>> {
    let schema = input.schema();
    if !schema.fields().iter().any(|field| has_floats(field.data_type())) {
        return Ok(input);
    }
    let columns = schema.columns().into_iter().map(|column| {
        if !wanted(&column) {
            return Expr::Column(column);
        }
        let (relation, name) = (column.relation.clone(), column.name.clone());
        match plain(Expr::Column(column), schema) {
            Expr::Column(column) => Expr::Column(column),
            other => other.alias_qualified(relation, name),
        }
    });
    Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns.collect(), input.clone())?)))
}

/// A subquery whose rows are those that are equal to something of the outer query: the engine can answer that only of a
/// column as such. So the column is made plain before, and is compared as it is.
fn correlated(rows: Arc<LogicalPlan>, predicate: Expr) -> Result<(Arc<LogicalPlan>, Expr)> {
    let mut columns = Vec::new();
    let predicate = predicate.transform_up(|expr| {
        Ok(match expr {
            Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
                let (left, right) = (made_plain(&binary.left).cloned(), made_plain(&binary.right).cloned());
                match (left, right) {
                    (Some(column), _) if binary.right.contains_outer() && !binary.right.any_column_refs() => {
                        columns.push(column.clone());
                        Transformed::yes(Expr::Column(column).eq(*binary.right))
                    }
                    (_, Some(column)) if binary.left.contains_outer() && !binary.left.any_column_refs() => {
                        columns.push(column.clone());
                        Transformed::yes((*binary.left).eq(Expr::Column(column)))
                    }
                    _ => Transformed::no(Expr::BinaryExpr(binary)),
                }
            }
            other => Transformed::no(other),
        })
    })?;
    let rows = match columns.is_empty() {
        true => rows,
        false => with_plain(rows, &|column| columns.contains(column))?,
    };
    Ok((rows, predicate.data))
}

fn with_plain_rows(subquery: Subquery) -> Result<Subquery> {
    Ok(Subquery { subquery: with_plain_columns(subquery.subquery)?, ..subquery })
}

fn is_comparison(op: Operator) -> bool {
    use Operator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom | AtArrow | ArrowAt)
}

/// The expression with everything plain that is compared in it.
fn in_expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let boxed = |expr: Box<Expr>| Box::new(plain(*expr, schema));
    let all = |exprs: Vec<Expr>| exprs.into_iter().map(|expr| plain(expr, schema)).collect::<Vec<_>>();
    let ordered = |sort: Vec<Sort>| {
        let each = sort.into_iter().map(|by| Sort { expr: plain(by.expr, schema), ..by });
        each.collect::<Vec<_>>()
    };
    expr.transform_up(|expr| {
        Ok(Transformed::yes(match expr {
            Expr::BinaryExpr(mut binary) if is_comparison(binary.op) => {
                (binary.left, binary.right) = (boxed(binary.left), boxed(binary.right));
                Expr::BinaryExpr(binary)
            }
            Expr::Between(mut between) => {
                between.expr = boxed(between.expr);
                (between.low, between.high) = (boxed(between.low), boxed(between.high));
                Expr::Between(between)
            }
            Expr::InList(mut list) => {
                (list.expr, list.list) = (boxed(list.expr), all(list.list));
                Expr::InList(list)
            }
            Expr::InSubquery(mut inside) => {
                inside.expr = boxed(inside.expr);
                inside.subquery = with_plain_rows(inside.subquery)?;
                Expr::InSubquery(inside)
            }
            Expr::SetComparison(mut set) => {
                set.expr = boxed(set.expr);
                set.subquery = with_plain_rows(set.subquery)?;
                Expr::SetComparison(set)
            }
            Expr::Case(mut case) if case.expr.is_some() => {
                case.expr = case.expr.map(boxed);
                let each = case.when_then_expr.into_iter().map(|(when, then)| (boxed(when), then));
                case.when_then_expr = each.collect();
                Expr::Case(case)
            }
            Expr::ScalarFunction(mut call) if compares(call.name()) => {
                call.args = all(call.args);
                Expr::ScalarFunction(call)
            }
            Expr::AggregateFunction(mut call) => {
                if call.params.distinct || COMPARING_AGGREGATES.contains(&call.func.name()) {
                    call.params.args = all(call.params.args);
                }
                call.params.order_by = ordered(call.params.order_by);
                Expr::AggregateFunction(call)
            }
            Expr::WindowFunction(mut call) => {
                if call.params.distinct || COMPARING_AGGREGATES.contains(&call.fun.name()) {
                    call.params.args = all(call.params.args);
                }
                call.params.partition_by = all(call.params.partition_by);
                call.params.order_by = ordered(call.params.order_by);
                Expr::WindowFunction(call)
            }
            other => return Ok(Transformed::no(other)),
        }))
    })
}
