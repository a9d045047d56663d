//! SQL functions about spans.

mod perfetto_trace_chunks;
mod process_spans;

use belvedere_core::assembly::SqlFunction;
use belvedere_core::register_functions;
use perfetto_trace_chunks::PerfettoTraceChunks;
use process_spans::ProcessSpans;
use std::sync::Arc;

register_functions! {
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
