//! SQL functions about spans.

mod flame_graph;
mod perfetto_trace_chunks;
mod process_spans;
mod span_tiles;
mod spans_of;

use belvedere_core::assembly::SqlFunction;
use belvedere_core::datafusion::error::DataFusionError;
use belvedere_core::datafusion::logical_expr::Expr;
use belvedere_core::query::Argument;
use belvedere_core::register_functions;
use flame_graph::FlameGraphTable;
use perfetto_trace_chunks::PerfettoTraceChunks;
use process_spans::ProcessSpans;
use span_tiles::SpanTiles;
use std::sync::Arc;

register_functions! {
    SqlFunction::table("flame_graph('process or stream id', begin, end)", |context| Arc::new(FlameGraphTable::new(context.clone())))
        .about(
            "Table: where the time of a process or a thread went from begin to end, as a flame graph. One row for each way \
             through the code: node (from 0 on), parent (the node that it goes on from; NULL for the outermost), depth, \
             name, calls, and nanoseconds: total with its parts, self without. For a process, the outermost are its \
             threads, and spans of OpenTelemetry that have no parent in it.",
        ),
    SqlFunction::table("perfetto_trace_chunks('process id', 'types', begin, end)", |context| Arc::new(PerfettoTraceChunks::new(context.clone())))
        .about(
            "Table: a Perfetto trace of a process from begin to end, in chunks. chunk_data in the order \
             of chunk_id, which counts from 0, is a file for ui.perfetto.dev. types is thread, async, \
             both, or all (which adds network, logs and measures).",
        ),
    SqlFunction::table("process_spans('process id', 'types')", |context| Arc::new(ProcessSpans::new(context.clone())))
        .about(
            "Table: the spans of all threads of a process (types thread), its async spans (async), or \
             both, with stream_id, thread_name and the columns of thread_spans. Async spans have the \
             thread_name async and an empty stream_id; those without a begin or an end are left out.",
        ),
    SqlFunction::table("span_tiles('process or stream id', begin, end, width)", |context| Arc::new(SpanTiles::new(context.clone())))
        .about(
            "Table: the spans of threads from begin to end, as a picture of width pixels needs them. Spans of at least one \
             pixel and incomplete ones are rows of their own; shorter ones that begin in the same pixel, in one stream and \
             depth, are one row. Columns: stream_id, depth (from 1 on), begin, end, spans (how many), busy (nanoseconds of all), \
             and of the longest: id, name, longest (nanoseconds), is_complete.",
        ),
}

/// A range of time out of two arguments.
fn range_of(begin: &Expr, end: &Expr) -> Result<(i64, i64), DataFusionError> {
    let (begin, end) = (Argument::time(begin, "begin")?, Argument::time(end, "end")?);
    if begin >= end {
        return Err(DataFusionError::Plan("the begin must be before the end".to_owned()));
    }
    Ok((begin, end))
}

/// Which spans: those of threads, and asynchronous ones.
fn types(text: &str) -> Result<(bool, bool), String> {
    match text {
        "thread" => Ok((true, false)),
        "async" => Ok((false, true)),
        "both" => Ok((true, true)),
        other => Err(format!("the types must be 'thread', 'async' or 'both', not '{other}'")),
    }
}
