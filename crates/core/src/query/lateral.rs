//! Table functions of the columns of a table before them: `FROM spans s, jsonb_each(s.properties) e`.
//!
//! The engine (DataFusion 55.2) has no such joins: a table function is asked for its table before the columns are known, and
//! what it computes of outer columns has no physical form. So the function gives a table that can't be read, and the join
//! with it becomes what the engine can compute: the rows before it, each with a list of what the function makes of it, which
//! is then unnested.
//!
//! What a function is asked for must have types, and only columns of a LATERAL subquery have them so early. So `f(t.x)` is
//! read as `LATERAL (SELECT * FROM f(t.x))`, as PostgreSQL does.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, NullHandling, Result, TableReference, UnnestOptions, plan_err};
use datafusion::functions;
use datafusion::logical_expr::expr_rewriter::normalize_col_with_schemas_and_ambiguity_check;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, Join, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableScan, TableType, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    self, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins, Visit, VisitMut, Visitor,
    VisitorMut,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reads table functions of columns as LATERAL subqueries.
pub(super) fn read(statement: &mut EngineStatement) {
    match statement {
        EngineStatement::Statement(statement) => drop(statement.visit(&mut Reader)),
        EngineStatement::Explain(explain) => read(&mut explain.statement),
        _ => {}
    }
}

struct Reader;

impl VisitorMut for Reader {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for (i, tables) in select.from.iter_mut().enumerate() {
            if i > 0 {
                read_factor(&mut tables.relation);
            }
            read_joins(tables);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            read_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}

fn read_joins(tables: &mut TableWithJoins) {
    for join in &mut tables.joins {
        read_factor(&mut join.relation);
    }
}

fn read_factor(factor: &mut TableFactor) {
    let TableFactor::Table { alias, args: Some(args), .. } = factor else { return };
    if args.args.visit(&mut OwnColumns { depth: 0 }).is_continue() {
        return;
    }
    let Some(mut subquery) = whole_table() else { return };
    let alias = alias.take();
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && let [tables] = select.from.as_mut_slice()
    {
        std::mem::swap(&mut tables.relation, factor);
    }
    *factor = TableFactor::Derived { lateral: true, subquery, alias, sample: None };
}

fn whole_table() -> Option<Box<Query>> {
    match crate::parser::statements("SELECT * FROM f").ok()?.pop()? {
        Statement::Query(query) => Some(query),
        _ => None,
    }
}

/// Stops at a column that is not one of a subquery.
struct OwnColumns {
    depth: usize,
}

impl Visitor for OwnColumns {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_) if self.depth == 0 => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The table of a function of columns. It is never read: the rule below puts something else in its place.
#[derive(Debug)]
pub(super) struct TableOfColumns {
    /// What the argument is called in errors: `argument of jsonb_each`.
    pub(super) what: String,
    pub(super) argument: Expr,
    /// Makes a list of the rows, which are structs with the fields of `schema`.
    pub(super) lists: Arc<ScalarUDF>,
    pub(super) schema: SchemaRef,
}

impl TableOfColumns {
    fn misplaced<T>(&self) -> Result<T> {
        plan_err!(
            "the {} can't refer to columns here; write the function behind their table, as in FROM t, f(t.x) or FROM t \
             CROSS JOIN LATERAL (SELECT … FROM f(t.x) WHERE …), or write a subquery: f((SELECT … FROM …))",
            self.what
        )
    }
}

#[async_trait::async_trait]
impl TableProvider for TableOfColumns {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.misplaced()
    }
}

/// Puts unnested lists in the place of joins with functions of columns.
#[derive(Debug)]
pub(super) struct Lateral;

impl AnalyzerRule for Lateral {
    fn name(&self) -> &str {
        "lateral_table_functions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let unnested = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => match unnested(&join)? {
                Some(plan) => Ok(Transformed::yes(plan)),
                None => Ok(Transformed::no(LogicalPlan::Join(join))),
            },
            node => Ok(Transformed::no(node)),
        })?;
        if !unnested.transformed {
            return Ok(unnested.data);
        }
        let current = |node: LogicalPlan| Ok(Transformed::yes(node.recompute_schema()?));
        Ok(unnested.data.transform_up_with_subqueries(current)?.data)
    }
}

/// A column of the function's side, and how it is computed of the rows with the unnested list.
struct Output {
    qualifier: Option<TableReference>,
    name: String,
    expr: Expr,
}

/// The function's side of a join, taken apart.
struct Side {
    outputs: Vec<Output>,
    conditions: Vec<Expr>,
}

/// Name of the column with the list: nobody can see it.
const ROWS: &str = "rows of a table function";

fn unnested(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some((scan, table)) = scan_of(&join.right) else { return Ok(None) };
    let table = source_as_provider(table)?;
    let Some(table) = table.downcast_ref::<TableOfColumns>() else { return Ok(None) };
    let Some(mut side) = side(&join.right, scan, table)? else { return table.misplaced() };
    for (left, right) in &join.on {
        let right = side.resolved(right.clone())?;
        side.conditions.push(left.clone().eq(right));
    }
    let is_true = |e: &Expr| matches!(e, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    if let Some(filter) = join.filter.as_ref().filter(|filter| !is_true(filter)) {
        let filter = side.resolved(filter.clone())?;
        side.conditions.push(filter);
    }
    let null_handling = match join.join_type {
        JoinType::Inner => NullHandling::Drop,
        // which rows have none is known only behind a condition
        JoinType::Left if side.conditions.is_empty() => NullHandling::PreserveAndExpandEmpty,
        JoinType::Left => {
            return plan_err!("LEFT JOIN with a function of columns takes ON true, and no WHERE inside");
        }
        _ => return table.misplaced(),
    };
    let left = join.left.as_ref();
    let argument = normalize_col_with_schemas_and_ambiguity_check(
        as_columns(table.argument.clone())?,
        &[&[left.schema()]],
        &[],
    )?;
    let own = || left.schema().iter().map(|field| Expr::Column(Column::from(field)));
    let lists = table.lists.call(vec![argument]).alias(ROWS);
    let mut plan =
        LogicalPlanBuilder::from(left.clone()).project(own().chain([lists]))?.unnest_column_with_options(
            Column::new_unqualified(ROWS),
            UnnestOptions { null_handling, recursions: Vec::new() },
        )?;
    if let Some(condition) = conjunction(side.conditions) {
        plan = plan.filter(condition)?;
    }
    let outputs = side.outputs.into_iter().map(|o| o.expr.alias_qualified(o.qualifier, o.name));
    plan.project(own().chain(outputs))?.build().map(Some)
}

/// The only table that a plan reads, if it does so without joins.
fn scan_of(plan: &LogicalPlan) -> Option<(&TableScan, &Arc<dyn datafusion::logical_expr::TableSource>)> {
    match plan {
        LogicalPlan::TableScan(scan) => Some((scan, &scan.source)),
        LogicalPlan::Subquery(subquery) => scan_of(&subquery.subquery),
        plan => match plan.inputs()[..] {
            [input] => scan_of(input),
            _ => None,
        },
    }
}

/// `None` if something is done to the rows that depends on other rows of the function.
fn side(plan: &LogicalPlan, scan: &TableScan, table: &TableOfColumns) -> Result<Option<Side>> {
    let below = |plan: &LogicalPlan| side(plan, scan, table);
    Ok(match plan {
        LogicalPlan::TableScan(_) => {
            let output = |field: &Arc<datafusion::arrow::datatypes::Field>| Output {
                qualifier: Some(scan.table_name.clone()),
                name: field.name().clone(),
                expr: functions::core::get_field()
                    .call(vec![Expr::Column(Column::new_unqualified(ROWS)), lit(field.name().as_str())]),
            };
            Some(Side { outputs: table.schema.fields().iter().map(output).collect(), conditions: Vec::new() })
        }
        LogicalPlan::Subquery(subquery) => below(&subquery.subquery)?,
        LogicalPlan::SubqueryAlias(alias) => below(&alias.input)?.map(|mut side| {
            for output in &mut side.outputs {
                output.qualifier = Some(alias.alias.clone());
            }
            side
        }),
        LogicalPlan::Filter(filter) => match below(&filter.input)? {
            Some(mut side) => {
                let condition = side.resolved(filter.predicate.clone())?;
                side.conditions.push(condition);
                Some(side)
            }
            None => None,
        },
        LogicalPlan::Projection(projection) => match below(&projection.input)? {
            Some(side) => {
                let fields = projection.schema.iter().zip(&projection.expr);
                let outputs = fields.map(|((qualifier, field), expr)| {
                    Ok(Output {
                        qualifier: qualifier.cloned(),
                        name: field.name().clone(),
                        expr: side.resolved(expr.clone().unalias())?,
                    })
                });
                Some(Side { outputs: outputs.collect::<Result<_>>()?, conditions: side.conditions })
            }
            None => None,
        },
        _ => None,
    })
}

impl Side {
    /// An expression over the function's side, or over both, in terms of the rows with the unnested list.
    fn resolved(&self, expr: Expr) -> Result<Expr> {
        let resolved = expr.transform_up(|expr| {
            let output = match &expr {
                Expr::Column(column) => self.outputs.iter().find(|output| {
                    output.name == column.name
                        && (column.relation.is_none() || column.relation == output.qualifier)
                }),
                _ => None,
            };
            Ok(match output {
                Some(output) => Transformed::yes(output.expr.clone()),
                None => Transformed::no(expr),
            })
        });
        as_columns(resolved?.data)
    }
}

/// Columns of the tables before the function, as they are called there.
pub(super) fn as_columns(expr: Expr) -> Result<Expr> {
    let columns = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            expr => Transformed::no(expr),
        })
    });
    Ok(columns?.data)
}
