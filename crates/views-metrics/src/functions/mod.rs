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
                about: "The number of values in a histogram; NULL for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "expand_histogram",
                signature: "expand_histogram(histogram)",
                about: "Table: the bins of a histogram: bin_center and count. The histogram is a constant, an \
                        expression, or a subquery in parentheses, of which only the first row is used. No rows for \
                        NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "make_histogram",
                signature: "make_histogram(start, end, bins, value)",
                about: "Aggregate: a histogram of values with that many bins (at most 65,536) of equal width \
                        between start and end. Values outside of that range count in the first or last bin, and NaN \
                        in the first; NULLs are ignored. The bounds must be the same in all rows of a group. \
                        Without rows: an empty histogram if the bounds are constants, otherwise NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "quantile_from_histogram",
                signature: "quantile_from_histogram(histogram, ratio)",
                about: "The estimated quantile: the value below which that share of the values lies (0.5 is the \
                        median), as exact as the bins allow. The end of the histogram if it is empty; NULL for \
                        NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "sum_from_histogram",
                signature: "sum_from_histogram(histogram)",
                about: "The exact sum of the values in a histogram; NULL for NULL.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "sum_histograms",
                signature: "sum_histograms(histogram)",
                about: "Aggregate: merges histograms with the same start, end and number of bins. NULLs are \
                        ignored. NULL without rows.",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "variance_from_histogram",
                signature: "variance_from_histogram(histogram)",
                about: "The exact sample variance of the values in a histogram; NaN for fewer than two values; NULL \
                        for NULL.",
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
