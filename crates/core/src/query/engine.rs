//! The engine's own functions and syntax, as far as the features of this crate ask for them.
//!
//! Nothing else of the engine's defaults is there: no formats and no factories of tables, so that no SQL can name a
//! file, and the linker leaves out what reads and writes them.

use super::aggregates::aggregates;
use super::computed_equality::ComputedEqualities;
use super::floats::PlainFloats;
use super::order_in_aggregates::DropMeaninglessOrder;
use super::power::PowerPlanner;
use super::{hex_ids, lengths};
use crate::error::watch_panics;
use datafusion::execution::SessionStateBuilder;
use datafusion::functions_table::all_default_table_functions;
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::{functions, functions_aggregate, functions_window};
use std::sync::Arc;

/// A session with the engine's functions.
pub(super) fn session_state() -> SessionStateBuilder {
    // whoever runs statements has to tell the engine's panics from ours
    watch_panics();
    let scalars = scalars();
    let mut planners = planners();
    planners.push(Arc::new(PowerPlanner::new(&scalars)));
    let aggregates = aggregates();
    let engines = aggregates.iter().map(|function| function.name().to_owned()).collect();
    let state = SessionStateBuilder::new()
        .with_analyzer_rules(hex_ids::rules())
        .with_expr_planners(planners)
        .with_analyzer_rule(Arc::new(PlainFloats))
        .with_analyzer_rule(Arc::new(DropMeaninglessOrder { engines }))
        .with_optimizer_rule(Arc::new(ComputedEqualities))
        .with_scalar_functions(scalars)
        .with_aggregate_functions(aggregates)
        .with_window_functions(all_default_window_functions())
        .with_table_function_list(all_default_table_functions());
    #[cfg(feature = "sql-nested")]
    let state =
        state.with_higher_order_functions(datafusion::functions_nested::all_default_higher_order_functions());
    state
}

/// What gives syntax a function: `EXTRACT(..)`, `[1, 2]`, `POSITION(..)`.
fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![
        Arc::new(hex_ids::HexIds),
        Arc::new(lengths::Lengths),
        Arc::new(functions::core::planner::CoreFunctionPlanner::default()),
        #[cfg(feature = "sql-nested")]
        Arc::new(datafusion::functions_nested::planner::NestedFunctionPlanner),
        #[cfg(feature = "sql-nested")]
        Arc::new(datafusion::functions_nested::planner::FieldAccessPlanner),
        #[cfg(feature = "sql-datetime")]
        Arc::new(functions::datetime::planner::DatetimeFunctionPlanner),
        #[cfg(feature = "sql-strings")]
        Arc::new(functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(functions_aggregate::planner::AggregateFunctionPlanner),
        Arc::new(functions_window::planner::WindowFunctionPlanner),
    ]
}

/// Its functions of one value.
fn scalars() -> Vec<Arc<ScalarUDF>> {
    let families: &[fn() -> Vec<Arc<ScalarUDF>>] = &[
        functions::core::functions,
        #[cfg(feature = "sql-datetime")]
        functions::datetime::functions,
        #[cfg(feature = "sql-encoding")]
        functions::encoding::functions,
        #[cfg(feature = "sql-math")]
        functions::math::functions,
        #[cfg(feature = "sql-nested")]
        datafusion::functions_nested::all_default_nested_functions,
        #[cfg(feature = "sql-regex")]
        functions::regex::functions,
        #[cfg(feature = "sql-strings")]
        functions::string::functions,
        #[cfg(feature = "sql-strings")]
        functions::unicode::functions,
    ];
    families.iter().flat_map(|family| family()).collect()
}
