//! ORDER BY inside of an aggregate: `sum(x ORDER BY time)`.
//!
//! Most aggregates don't depend on the order of their rows, and few of the engine's (DataFusion 55.2) say so. For the others
//! the engine sorts, and hands them the columns of ORDER BY as arguments that they don't expect: with GROUP BY it ends in
//! an assertion ("single argument to update_batch"). So ORDER BY is dropped where it means nothing.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// The engine's aggregates whose result depends on the order of their rows. Those with WITHIN GROUP are known by that.
const ORDERED: [&str; 5] = ["array_agg", "first_value", "last_value", "nth_value", "string_agg"];

/// Drops ORDER BY from aggregates that don't depend on it.
#[derive(Debug)]
pub(super) struct DropMeaninglessOrder {
    /// Names of the engine's own aggregates. Others say themselves what they depend on.
    pub(super) engines: Vec<String>,
}

impl DropMeaninglessOrder {
    fn is_meaningless(&self, function: &AggregateUDF) -> bool {
        let name = function.name();
        let by_engine = self.engines.iter().any(|known| known == name);
        let unordered = by_engine && !ORDERED.contains(&name) && !function.supports_within_group_clause();
        unordered || function.order_sensitivity() == AggregateOrderSensitivity::Insensitive
    }

    fn rewrite(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| {
            Ok(match expr {
                Expr::AggregateFunction(mut call)
                    if !call.params.order_by.is_empty() && self.is_meaningless(&call.func) =>
                {
                    call.params.order_by.clear();
                    Transformed::yes(Expr::AggregateFunction(call))
                }
                expr => Transformed::no(expr),
            })
        })
    }
}

impl AnalyzerRule for DropMeaninglessOrder {
    fn name(&self) -> &str {
        "drop_meaningless_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Aggregate(_)) {
                return Ok(Transformed::no(node));
            }
            // what is above names the column by the whole call
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(self.rewrite(expr)?.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine;
    use super::ORDERED;
    use datafusion::functions_aggregate::all_default_aggregate_functions;
    use datafusion::prelude::SessionContext;

    /// Calls of each aggregate of the engine, with arguments that it takes.
    fn calls() -> Vec<(String, String)> {
        let arguments = ["n", "x", "b", "n, x", "x, x", "x, 0.5", "x, 0.5, 10", "s, ','", "x, 2"];
        let functions = all_default_aggregate_functions();
        let names = functions.iter().map(|function| function.name().to_owned());
        names.flat_map(|name| arguments.map(|arguments| (name.clone(), arguments.to_owned()))).collect()
    }

    #[tokio::test]
    async fn order_inside_of_an_aggregate_changes_nothing_but_where_order_is_its_meaning() {
        let context = SessionContext::new_with_state(engine::session_state().build());
        let rows = "(SELECT value AS n, value * 0.5 AS x, value % 2 = 0 AS b, 'r' || value AS s, value % 3 AS g \
                    FROM generate_series(1, 20)) AS rows";
        let run = async |sql: String| -> Result<String, String> {
            let frame = context.sql(&sql).await.map_err(|error| error.to_string())?;
            let batches = frame.collect().await.map_err(|error| error.to_string())?;
            Ok(arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string())
        };
        let mut compared = 0;
        for (name, arguments) in calls() {
            for (group, by) in [("", ""), ("GROUP BY g", "ORDER BY g")] {
                let sql =
                    |order: &str| format!("SELECT {name}({arguments}{order}) AS a FROM {rows} {group} {by}");
                let Ok(plain) = run(sql("")).await else { continue };
                let sql = sql(" ORDER BY s DESC, n");
                match run(sql.clone()).await {
                    Ok(_) if ORDERED.contains(&name.as_str()) => {}
                    Ok(ordered) => assert_eq!(ordered, plain, "{sql}"),
                    // percentiles take their order from WITHIN GROUP
                    Err(error) => {
                        assert!(
                            !error.contains("nternal error") && !error.contains("assert"),
                            "{sql}: {error}"
                        );
                    }
                }
                compared += 1;
            }
        }
        assert!(compared > 100, "{compared} were compared");
        let sums = run(format!("SELECT g, avg(x ORDER BY n DESC) + 1 FROM {rows} GROUP BY g HAVING avg(x ORDER BY n DESC) > 0 ORDER BY g")).await;
        assert!(sums.is_ok(), "{sums:?}");
        let last =
            run(format!("SELECT string_agg(s, ',' ORDER BY n DESC) FROM {rows} WHERE n < 4")).await.unwrap();
        assert!(last.contains("r3,r2,r1"), "{last}");
    }
}
