//! What is asked of a histogram: a quantile, the variance, the count, the sum.

use super::histogram::{HistogramRow, Histograms, check_type};
use belvedere_core::arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt64Array};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Float64Type};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Figure {
    Quantile,
    Variance,
    Count,
    Sum,
}

impl Figure {
    fn arguments(self) -> usize {
        if self == Self::Quantile { 2 } else { 1 }
    }
}

/// The function that asks it.
pub(super) fn function(figure: Figure) -> ScalarUDF {
    let signature = Signature::any(figure.arguments(), Volatility::Immutable);
    ScalarUDF::new_from_impl(OfHistogram { figure, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfHistogram {
    figure: Figure,
    signature: Signature,
}

impl ScalarUDFImpl for OfHistogram {
    fn name(&self) -> &str {
        match self.figure {
            Figure::Quantile => "quantile_from_histogram",
            Figure::Variance => "variance_from_histogram",
            Figure::Count => "count_from_histogram",
            Figure::Sum => "sum_from_histogram",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        if let [histogram, ..] = arg_types {
            check_type(self.name(), histogram)?;
        }
        if let [_, ratio] = arg_types
            && !ratio.is_numeric()
            && !ratio.is_null()
        {
            return Err(DataFusionError::Plan(format!(
                "{} takes a ratio from 0 to 1, not {ratio}",
                self.name()
            )));
        }
        Ok(if self.figure == Figure::Count { DataType::UInt64 } else { DataType::Float64 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays =
            args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let Some(column) = arrays.first() else {
            return Err(DataFusionError::Plan(format!("{} takes a histogram", self.name())));
        };
        let histograms = Histograms::new(self.name(), column)?;
        let numbers = |f: &dyn Fn(usize, HistogramRow<'_>) -> Option<f64>| -> Result<ArrayRef> {
            let values: Result<Float64Array> = (0..histograms.len())
                .map(|row| Ok(histograms.get(row)?.and_then(|histogram| f(row, histogram))))
                .collect();
            Ok(Arc::new(values?))
        };
        let figures: ArrayRef = match (self.figure, arrays.get(1)) {
            (Figure::Quantile, Some(ratios)) => {
                let ratios = cast(ratios, &DataType::Float64)?;
                let ratios = ratios.as_primitive::<Float64Type>();
                numbers(&|row, h| ratios.is_valid(row).then(|| quantile(&h, ratios.value(row))))?
            }
            (Figure::Quantile, None) => {
                return Err(DataFusionError::Plan(format!("{} takes a ratio", self.name())));
            }
            (Figure::Variance, _) => numbers(&|_, h| Some(variance(&h)))?,
            (Figure::Sum, _) => numbers(&|_, h| Some(h.sum))?,
            (Figure::Count, _) => {
                let counts: Result<UInt64Array> =
                    (0..histograms.len()).map(|row| Ok(histograms.get(row)?.map(|h| h.count))).collect();
                Arc::new(counts?)
            }
        };
        Ok(ColumnarValue::Array(figures))
    }
}

/// The value below which that share of the values is, as if those in a bin were spread over it evenly.
pub(super) fn quantile(histogram: &HistogramRow<'_>, ratio: f64) -> f64 {
    if ratio.is_nan() {
        return f64::NAN;
    }
    let wanted = ratio.clamp(0.0, 1.0) * histogram.count as f64;
    let width = (histogram.end - histogram.start) / histogram.bins.len() as f64;
    let mut below = 0.0;
    for (i, bin) in histogram.bins.iter().enumerate().filter(|(_, bin)| **bin > 0) {
        let values = *bin as f64;
        if below + values >= wanted {
            return histogram.start + (i as f64 + (wanted - below) / values) * width;
        }
        below += values;
    }
    histogram.end
}

/// The sample variance.
pub(super) fn variance(histogram: &HistogramRow<'_>) -> f64 {
    let count = histogram.count as f64;
    if histogram.count < 2 {
        return f64::NAN;
    }
    let variance = (histogram.sum_sq - histogram.sum * histogram.sum / count) / (count - 1.0);
    // rounding must not make it negative
    if variance < 0.0 { 0.0 } else { variance }
}
