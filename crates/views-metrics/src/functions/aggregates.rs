//! `make_histogram` and `sum_histograms`

use super::accumulate::{Groups, Of, Single};
use super::histogram::{Bounds, check_type, data_type};
use belvedere_core::arrow::array::RecordBatch;
use belvedere_core::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use belvedere_core::datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use belvedere_core::datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, GroupsAccumulator, Signature, Volatility,
};
use belvedere_core::datafusion::physical_expr::PhysicalExpr;
use belvedere_core::datafusion::physical_expr::utils::collect_columns;
use belvedere_core::datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// Makes histograms of values.
pub(super) fn make_histogram() -> AggregateUDF {
    AggregateUDF::new_from_impl(HistogramAggregate {
        of: Of::Values,
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

/// Adds up histograms.
pub(super) fn sum_histograms() -> AggregateUDF {
    AggregateUDF::new_from_impl(HistogramAggregate {
        of: Of::Histograms,
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HistogramAggregate {
    of: Of,
    signature: Signature,
}

impl HistogramAggregate {
    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        if args.is_distinct {
            return Err(DataFusionError::Plan(format!(
                "{} does not support DISTINCT: use it in a subquery",
                self.name()
            )));
        }
        let fallback = match self.of {
            Of::Values => constant_bounds(args.exprs)?,
            Of::Histograms => None,
        };
        Ok(Groups::new(self.of, fallback))
    }
}

/// The bounds, if they are the same in all rows whatever the rows are.
fn constant_bounds(exprs: &[Arc<dyn PhysicalExpr>]) -> Result<Option<Bounds>> {
    let constant = |i: usize, wanted: DataType| -> Option<ScalarValue> {
        let expr = exprs.get(i).filter(|expr| collect_columns(expr).is_empty())?;
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        match expr.evaluate(&nothing) {
            Ok(ColumnarValue::Scalar(value)) => value.cast_to(&wanted).ok(),
            _ => None,
        }
    };
    let number = |i| match constant(i, DataType::Float64) {
        Some(ScalarValue::Float64(number)) => number,
        _ => None,
    };
    match (number(0), number(1), constant(2, DataType::Int64)) {
        (Some(start), Some(end), Some(ScalarValue::Int64(Some(bins)))) => {
            Bounds::new(start, end, bins).map(Some)
        }
        _ => Ok(None),
    }
}

impl AggregateUDFImpl for HistogramAggregate {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        if let (Of::Histograms, [found]) = (self.of, arg_types) {
            check_type(self.name(), found)?;
        }
        Ok(data_type())
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [_, _, _, _] = arg_types else {
            return Err(DataFusionError::Plan(
                "make_histogram takes a start, an end, a number of bins and a value".to_owned(),
            ));
        };
        match arg_types.iter().find(|found| !found.is_numeric() && !found.is_null()) {
            Some(found) => Err(DataFusionError::Plan(format!("make_histogram takes numbers, not {found}"))),
            None => Ok(vec![DataType::Float64, DataType::Float64, DataType::Int64, DataType::Float64]),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |name, of| Arc::new(Field::new(format_state_name(args.name, name), of, true));
        Ok(vec![
            field("histogram", data_type()),
            field("first_bin", DataType::UInt64),
            field("bins", DataType::UInt64),
        ])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        // else the engine hands over the columns of ORDER BY as arguments
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }
}
