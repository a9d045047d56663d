//! Between two numbers: `lerp`, `unlerp`, `bin_center`.

use crate::arg_column::ArgColumn;
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use belvedere_core::assembly::SqlFunction;
use datafusion::error::Result;
use std::sync::Arc;

const LERP: ScalarFunction = ScalarFunction {
    name: "lerp",
    parameters: &[("a", Kind::Number), ("b", Kind::Number), ("t", Kind::Number)],
    result: |_| DataType::Float64,
    evaluate: |inputs, rows| map_three(inputs, rows, |a, b, t| a + (b - a) * t),
};

const UNLERP: ScalarFunction = ScalarFunction {
    name: "unlerp",
    parameters: &[("a", Kind::Number), ("b", Kind::Number), ("x", Kind::Number)],
    result: |_| DataType::Float64,
    evaluate: |inputs, rows| map_three(inputs, rows, |a, b, x| (x - a) / (b - a)),
};

const BIN_CENTER: ScalarFunction = ScalarFunction {
    name: "bin_center",
    parameters: &[("x", Kind::Number), ("cell", Kind::Number)],
    result: |_| DataType::Float64,
    evaluate: |inputs, rows| {
        let (x, cell) = (inputs[0].floats()?, inputs[1].floats()?);
        let centers = (0..rows).map(|row| {
            let cell = cell(row)?;
            Some(((x(row)? + cell / 2.0) / cell).floor() * cell)
        });
        Ok(Arc::new(centers.collect::<Float64Array>()))
    },
};

fn map_three(inputs: &[ArgColumn], rows: usize, compute: impl Fn(f64, f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b, c) = (inputs[0].floats()?, inputs[1].floats()?, inputs[2].floats()?);
    let results = (0..rows).map(|row| Some(compute(a(row)?, b(row)?, c(row)?)));
    Ok(Arc::new(results.collect::<Float64Array>()))
}

belvedere_core::register_functions! {
    SqlFunction::scalar("bin_center(x, cell)", |_| BIN_CENTER.into_udf())
        .about(
            "The center of the bin that contains x. Bins have the width cell and are centered on \
             multiples of cell: floor((x + cell/2) / cell) * cell. NaN if cell is 0.",
        ),
    SqlFunction::scalar("lerp(a, b, t)", |_| LERP.into_udf())
        .about("Linear interpolation between a (t = 0) and b (t = 1); extrapolates outside of that range."),
    SqlFunction::scalar("unlerp(a, b, x)", |_| UNLERP.into_udf())
        .about(
            "The inverse of lerp: the position of x between a (0) and b (1), or outside of them. NaN or \
             infinite if a equals b.",
        ),
}
