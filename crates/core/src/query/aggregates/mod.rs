//! Aggregate functions of the engine, mended where they don't give what PostgreSQL gives.
//!
//! | file | what was wrong (DataFusion 55.2) |
//! | --- | --- |
//! | `extremes` | `min` and `max` of groups take NaN for a new beginning |
//! | `moments` | `corr`, `regr_r2`, variances: NULL or 0 where PostgreSQL has NaN, 1 or a mean that is infinite |
//! | `frames` | over a moving frame, sums and what is made of them keep NaN, infinities and rounding of rows that have left; some functions can't |
//! | this one | `bit_xor` with DISTINCT and FILTER: groups have a state that does not fit |
//! | `percentile` | it interpolates in steps of a millionth, and its 0 and 1 are the engine's own `min` and `max` |

mod extremes;
mod frames;
mod moments;
mod percentile;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::error::Result;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator};
use std::sync::Arc;

/// What a function of ours has from the engine's, method by method: a default of the trait would differ from it. What takes
/// rows is not among it, nor what would replace the function by another one of the engine's.
macro_rules! as_the_engine {
    () => {
        fn name(&self) -> &str {
            self.engines.name()
        }

        fn aliases(&self) -> &[String] {
            self.engines.aliases()
        }

        fn signature(&self) -> &datafusion::logical_expr::Signature {
            self.engines.signature()
        }

        fn coerce_types(
            &self,
            types: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::error::Result<Vec<datafusion::arrow::datatypes::DataType>> {
            self.engines.coerce_types(types)
        }

        fn return_type(
            &self,
            types: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::error::Result<datafusion::arrow::datatypes::DataType> {
            self.engines.return_type(types)
        }

        fn return_field(
            &self,
            fields: &[datafusion::arrow::datatypes::FieldRef],
        ) -> datafusion::error::Result<datafusion::arrow::datatypes::FieldRef> {
            self.engines.return_field(fields)
        }

        fn is_nullable(&self) -> bool {
            self.engines.is_nullable()
        }

        fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
            self.engines.order_sensitivity()
        }

        fn reverse_expr(&self) -> datafusion::logical_expr::ReversedUDAF {
            match self.engines.reverse_udf() {
                // the function itself, which is ours
                datafusion::logical_expr::ReversedUDAF::Reversed(_) => {
                    datafusion::logical_expr::ReversedUDAF::NotSupported
                }
                other => other,
            }
        }

        fn is_descending(&self) -> Option<bool> {
            self.engines.is_descending()
        }

        fn default_value(
            &self,
            data_type: &datafusion::arrow::datatypes::DataType,
        ) -> datafusion::error::Result<datafusion::scalar::ScalarValue> {
            self.engines.default_value(data_type)
        }

        fn set_monotonicity(
            &self,
            data_type: &datafusion::arrow::datatypes::DataType,
        ) -> datafusion::logical_expr::SetMonotonicity {
            self.engines.inner().set_monotonicity(data_type)
        }

        fn supports_null_handling_clause(&self) -> bool {
            self.engines.supports_null_handling_clause()
        }

        fn supports_within_group_clause(&self) -> bool {
            self.engines.supports_within_group_clause()
        }

        fn schema_name(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::error::Result<String> {
            self.engines.schema_name(params)
        }

        fn human_display(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::error::Result<String> {
            self.engines.human_display(params)
        }

        fn display_name(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::error::Result<String> {
            self.engines.display_name(params)
        }

        fn window_function_schema_name(
            &self,
            params: &datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> datafusion::error::Result<String> {
            self.engines.window_function_schema_name(params)
        }

        fn window_function_display_name(
            &self,
            params: &datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> datafusion::error::Result<String> {
            self.engines.window_function_display_name(params)
        }

        fn documentation(&self) -> Option<&datafusion::logical_expr::Documentation> {
            self.engines.documentation()
        }
    };
}
use as_the_engine;

/// What rows are taken with is the engine's, except over moving frames.
const OVER_FRAMES: &[&str] = &["avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "sum"];

/// The engine's aggregate functions, with those of ours in the place of some.
pub(super) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let extremes = extremes::corrected();
    let corrected = |engines: Arc<AggregateUDF>| -> Arc<AggregateUDF> {
        let name = engines.name();
        if let Some(ours) = extremes.iter().find(|ours| ours.name() == name) {
            Arc::new(ours.clone())
        } else if let Some(figure) = moments::Figure::of(name) {
            Arc::new(AggregateUDF::from(moments::Moments { engines, figure }))
        } else if name == "percentile_cont" {
            Arc::new(AggregateUDF::from(percentile::Percentile { engines }))
        } else if OVER_FRAMES.contains(&name) {
            Arc::new(AggregateUDF::from(OverFrames { engines }))
        } else {
            engines
        }
    };
    all_default_aggregate_functions().into_iter().map(corrected).collect()
}

/// A function of the engine that takes nothing out of a frame that moves.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OverFrames {
    engines: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for OverFrames {
    as_the_engine!();

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.engines.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.engines.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        // what whole numbers leave of a sum is exact
        if self.name() == "sum" && args.expr_fields.iter().all(|field| !field.data_type().is_floating()) {
            return self.engines.create_sliding_accumulator(args);
        }
        Ok(Box::new(frames::Frame::new(self.engines.clone(), &args)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        // the engine's takes every row, although its state has room for lists of distinct ones
        let is_distinct_xor = self.name() == "bit_xor" && args.is_distinct;
        !is_distinct_xor && self.engines.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.engines.create_groups_accumulator(args)
    }
}
