//! SQL functions about histograms: made of values, added up, asked, and taken apart.

mod accumulate;
mod aggregates;
mod expand_histogram;
mod figures;
mod histogram;
#[cfg(test)]
mod tests;

use belvedere_core::assembly::SqlFunction;
use belvedere_core::register_functions;
use expand_histogram::ExpandHistogram;
use figures::Figure;
use std::sync::Arc;

register_functions! {
    SqlFunction::scalar("count_from_histogram(histogram)", |_| figures::function(Figure::Count))
        .about("The number of values in a histogram; NULL for NULL."),
    SqlFunction::table("expand_histogram(histogram)", |_| Arc::new(ExpandHistogram))
        .about(
            "Table: the bins of a histogram: bin_center and count. The histogram is a constant, an \
             expression, or a subquery in parentheses, of which only the first row is used. No rows for \
             NULL.",
        ),
    SqlFunction::aggregate("make_histogram(start, end, bins, value)", |_| aggregates::make_histogram())
        .about(
            "Aggregate: a histogram of values with that many bins (at most 65,536) of equal width \
             between start and end. Values outside of that range count in the first or last bin, and NaN \
             in the first; NULLs are ignored. The bounds must be the same in all rows of a group. \
             Without rows: an empty histogram if the bounds are constants, otherwise NULL.",
        ),
    SqlFunction::scalar("quantile_from_histogram(histogram, ratio)", |_| figures::function(Figure::Quantile))
        .about(
            "The estimated quantile: the value below which that share of the values lies (0.5 is the \
             median), as exact as the bins allow. The end of the histogram if it is empty; NULL for \
             NULL.",
        ),
    SqlFunction::scalar("sum_from_histogram(histogram)", |_| figures::function(Figure::Sum))
        .about("The exact sum of the values in a histogram; NULL for NULL."),
    SqlFunction::aggregate("sum_histograms(histogram)", |_| aggregates::sum_histograms())
        .about(
            "Aggregate: merges histograms with the same start, end and number of bins. NULLs are \
             ignored. NULL without rows.",
        ),
    SqlFunction::scalar("variance_from_histogram(histogram)", |_| figures::function(Figure::Variance))
        .about(
            "The exact sample variance of the values in a histogram; NaN for fewer than two values; NULL \
             for NULL.",
        ),
}
