//! SQL functions about spans.

mod perfetto_trace_chunks;
mod process_spans;

use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_core::query::QueryContext;
use belvedere_core::register_functions;
use belvedere_lake::access::Right;
use perfetto_trace_chunks::PerfettoTraceChunks;
use process_spans::ProcessSpans;
use std::sync::Arc;

register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "perfetto_trace_chunks",
                signature: "perfetto_trace_chunks('process id', 'types', begin, end)",
                about: "Table: a Perfetto trace of a process from begin to end, in chunks. chunk_data in the order \
                        of chunk_id, which counts from 0, is a file for ui.perfetto.dev. types is thread, async, \
                        both, or all (which adds network, logs and measures).",
                needs: Right::Read,
            },
            FunctionDoc {
                name: "process_spans",
                signature: "process_spans('process id', 'types')",
                about: "Table: the spans of all threads of a process (types thread), its async spans (async), or \
                        both, with stream_id, thread_name and the columns of thread_spans. Async spans have the \
                        thread_name async and an empty stream_id; those without a begin or an end are left out.",
                needs: Right::Read,
            },
        ],
        make: |context: &QueryContext| FunctionSet {
            scalars: Vec::new(),
            aggregates: Vec::new(),
            tables: vec![
                ("perfetto_trace_chunks", Arc::new(PerfettoTraceChunks::new(context.clone()))),
                ("process_spans", Arc::new(ProcessSpans::new(context.clone()))),
            ],
        },
    }
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
