//! Functions of the engine that make much out of little, within limits.
//!
//! The engine accounts what its operators keep, not what a function makes of one batch: `repeat('x', 300000000)` would take
//! its memory beside all limits. So what can come out at most is known from the arguments before such a function runs: it
//! is taken from the query's memory meanwhile, and what is beyond all measure is refused. That holds for constants too,
//! which the engine works out while it plans.
//!
//! What can come out at most is often far more than what does: for `replace`, every character may be a match. A refusal by
//! that alone would hit queries that are fine. So a batch whose bound is too large is halved, again and again, and what came
//! out of one half is known before the next; only a single row whose bound is too large is refused.
//!
//! These are issues 5415, "`rpad` function causes OOM", and 12919, "`generate_series` doesn't respect memory limit", of
//! apache/datafusion; both are open. (Some functions now refuse what can't be an array at all, as in pull request 22305,
//! "fix array_repeat capacity overflow on constant scalar with large count", but that bounds no memory.) This goes when the
//! engine hands functions its memory pool, and those listed in `bounds` take from it what they make.

mod bounds;
#[cfg(test)]
mod tests;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use bounds::Bound;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping,
};
use datafusion::scalar::ScalarValue;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bytes that a function may make of one batch, beside those that it is given: of 8192 rows, 8 KiB for each. Several of
/// them in several threads still fit into the memory of a query.
const LIMIT: usize = 64 << 20;
/// Bytes that come out at most of what is handed to a function at once. What may be more is handed over in parts, since
/// what can come out at most is often far more than what does.
const PIECE: usize = 16 << 20;
/// So much is made without being asked for first, as other functions do: a query that sorts leaves no more to be had, and
/// need not fail for that.
const LITTLE: usize = 1 << 20;

/// The same function, within limits if it needs them. What it makes is taken from that memory meanwhile.
pub(super) fn limited(function: Arc<ScalarUDF>, memory: &Arc<dyn MemoryPool>) -> Arc<ScalarUDF> {
    match bounds::bound_of(function.name()) {
        Some(bound) => Arc::new(ScalarUDF::new_from_impl(Amplifier {
            function: function.as_ref().clone(),
            bound,
            memory: memory.clone(),
        })),
        None => function,
    }
}

#[derive(Debug)]
struct Amplifier {
    function: ScalarUDF,
    bound: Bound,
    memory: Arc<dyn MemoryPool>,
}

// the name says what the bound is, and within one query there is one memory
impl PartialEq for Amplifier {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Amplifier {}

impl Hash for Amplifier {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

/// What is allowed for the rows of one batch, and what is made of it.
struct Allowance {
    limit: usize,
    made: usize,
    memory: MemoryReservation,
}

impl Allowance {
    fn left(&self) -> usize {
        self.limit.saturating_sub(self.made)
    }

    /// Takes memory for what can come out at most.
    fn reserve(&self, bound: usize) -> Result<()> {
        if bound > LITTLE { self.memory.try_grow(bound) } else { Ok(()) }
    }

    /// Gives back what did not come out of that.
    fn add(&mut self, bound: usize, made: usize) {
        self.made = self.made.saturating_add(made);
        let reserved = if bound > LITTLE { bound } else { 0 };
        match made.checked_sub(reserved) {
            Some(more) => self.memory.grow(more),
            None => self.memory.shrink(reserved - made),
        }
    }
}

impl Amplifier {
    fn inner(&self) -> &dyn ScalarUDFImpl {
        self.function.inner().as_ref()
    }

    fn too_much(&self, bytes: usize) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} could produce {bytes} bytes or more from one batch of rows, but at most {} MiB are allowed: \
             request shorter strings or lists",
            self.function.name(),
            LIMIT >> 20
        ))
    }

    fn invoke(&self, args: ScalarFunctionArgs, allowance: &mut Allowance) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let bound = (self.bound)(&bounds::Given { args: &args.args, rows })?;
        if rows > 1 {
            if bound > PIECE.min(allowance.left()) || allowance.reserve(bound).is_err() {
                return self.invoke_in_halves(&args, allowance);
            }
        } else if bound > allowance.left() {
            return Err(self.too_much(allowance.made.saturating_add(bound)));
        } else {
            allowance.reserve(bound)?;
        }
        let made = self.inner().invoke_with_args(args)?;
        allowance.add(bound, bounds::bytes_of(&made)?);
        Ok(made)
    }

    fn invoke_in_halves(
        &self,
        args: &ScalarFunctionArgs,
        allowance: &mut Allowance,
    ) -> Result<ColumnarValue> {
        let half = args.number_rows / 2;
        let mut part = |from: usize, number_rows: usize| -> Result<ArrayRef> {
            let slice = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, number_rows)),
                constant => constant.clone(),
            };
            let part = ScalarFunctionArgs {
                args: args.args.iter().map(slice).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows,
                return_field: args.return_field.clone(),
                config_options: args.config_options.clone(),
            };
            self.invoke(part, allowance)?.into_array(number_rows)
        };
        let (first, second) = (part(0, half)?, part(half, args.number_rows - half)?);
        Ok(ColumnarValue::Array(concat(&[first.as_ref(), second.as_ref()])?))
    }
}

/// What functions of limits become when the engine makes them simpler must have limits too.
fn limited_again(expr: Expr, memory: &Arc<dyn MemoryPool>) -> Result<Expr> {
    let again = |expr: Expr| {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
            return Ok(Transformed::no(expr));
        };
        let func = if func.inner().is::<Amplifier>() { func } else { limited(func, memory) };
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    };
    Ok(expr.transform_up(again)?.data)
}

/// Bytes of constants.
fn constant_bytes(args: &[Expr]) -> usize {
    let sizes = args.iter().map(|arg| match arg {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)), _) => text.len(),
        Expr::Literal(ScalarValue::Utf8View(Some(text)), _) => text.len(),
        _ => 0,
    });
    sizes.fold(0, usize::saturating_add)
}

impl ScalarUDFImpl for Amplifier {
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // a batch may be large: who changes little of it is not to blame for that
        let given = args.args.iter().filter(|arg| matches!(arg, ColumnarValue::Array(_)));
        let given = given.map(bounds::bytes_of).collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0);
        let memory = MemoryConsumer::new(self.function.name()).register(&self.memory);
        self.invoke(args, &mut Allowance { limit: LIMIT.saturating_add(given), made: 0, memory })
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // constants that follow each other would become one
        if constant_bytes(&args) > LIMIT {
            return Ok(ExprSimplifyResult::Original(args));
        }
        match self.inner().simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr) => {
                Ok(ExprSimplifyResult::Simplified(limited_again(expr, &self.memory)?))
            }
            original => Ok(original),
        }
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.inner().with_updated_config(config)?;
        let (bound, memory) = (self.bound, self.memory.clone());
        Some(ScalarUDF::new_from_impl(Self { function, bound, memory }))
    }

    // all else is as it is

    fn name(&self) -> &str {
        self.inner().name()
    }

    fn aliases(&self) -> &[String] {
        self.inner().aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner().return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner().is_strict()
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner().short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner().conditional_arguments(args)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner().evaluate_bounds(input)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(arg_types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner().struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner().placement(args)
    }
}
