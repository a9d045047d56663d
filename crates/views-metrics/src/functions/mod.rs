//! SQL functions about histograms: made of values, added up, asked, and taken apart.

mod accumulate;
mod aggregates;
mod expand_histogram;
mod figures;
mod histogram;
#[cfg(test)]
mod tests;

use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_core::register_functions;
use belvedere_lake::access::Right;
use expand_histogram::ExpandHistogram;
use figures::Figure;
use std::sync::Arc;

register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "count_from_histogram",
                signature: "count_from_histogram(histogram)",
                about: "How many values a histogram is made of; NULL for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "expand_histogram",
                signature: "expand_histogram(histogram)",
                about: "Table: the bins of a histogram: bin_center and count. The histogram is a constant, an \
                        expression or a subquery in brackets, of which the first row counts. No rows for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "make_histogram",
                signature: "make_histogram(start, end, bins, value)",
                about: "Aggregate: a histogram of values with that many bins (at most 65,536) of the same width \
                        between start and end. Values outside count in the first or the last bin, NaN in the first; \
                        NULLs are passed over. The bounds must be the same in all rows of a group. Without rows: a \
                        histogram of nothing if the bounds are constants, NULL if not.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "quantile_from_histogram",
                signature: "quantile_from_histogram(histogram, ratio)",
                about: "The value below which that share of the values is (0.5 is the median), as exact as the bins \
                        allow; the end of the histogram if it has no values; NULL for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "sum_from_histogram",
                signature: "sum_from_histogram(histogram)",
                about: "The sum of the values that a histogram is made of, exact; NULL for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "sum_histograms",
                signature: "sum_histograms(histogram)",
                about: "Aggregate: the histogram of all values of histograms of the same start, end and number of \
                        bins; NULLs are passed over. NULL without rows.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "variance_from_histogram",
                signature: "variance_from_histogram(histogram)",
                about: "The sample variance of the values that a histogram is made of, exact; NaN for less than two \
                        values; NULL for NULL.",
                needs: Right::Read,
            },
        ],
        make: |_| FunctionSet {
            scalars: Figure::ALL.map(figures::function).into(),
            aggregates: vec![aggregates::make_histogram(), aggregates::sum_histograms()],
            tables: vec![("expand_histogram", Arc::new(ExpandHistogram))],
        },
    }
}
