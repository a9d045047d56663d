//! `otel_spans`: one row for each span of a trace.

use crate::signal::{TRACES_FORMAT, TRACES_TAG};
use crate::spans::SpanDecoder;
use belvedere_view::Decoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "otel_spans",
        about: "Spans of OpenTelemetry traces, of all processes or of one process",
        columns: &[
            Column::process_id().as_dictionary(),
            Column::stream_id().as_dictionary(),
            Column::block_id().as_dictionary(),
            Column::insert_time(),
            Column::exe(),
            Column::username(),
            Column::computer(),
            Column::process_properties(),
            Column::fixed_binary(
                "trace_id",
                16,
                "id of the trace, which the spans of all participating processes share; WHERE trace_id = X'…' is \
                 fast",
            )
            .with_bloom_filter(),
            Column::fixed_binary("span_id", 8, "id of the span within its trace"),
            Column::fixed_binary("parent_span_id", 8, "id of the parent span; NULL for the root of a trace")
                .nullable(),
            Column::time("start_time", "when the span began").event_begin(),
            Column::time("end_time", "when the span ended").event_end(),
            Column::int64("duration", "nanoseconds from start to end; negative if the clock was set back in between"),
            Column::label("name", "name of the operation, with few distinct values").as_dictionary(),
            Column::label("kind", "UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER").as_dictionary(),
            Column::label("status", "UNSET, OK or ERROR").as_dictionary(),
            Column::utf8("status_message", "description of the status by the sender").nullable(),
            Column::jsonb(
                "properties",
                "attributes of the span, and of its scope as otel.scope.…, a JSONB object; read one with \
                 property_get(properties, 'name')",
            ),
            Column::binary("events", "events of the span: JSONB array of {attributes, name, time}; times in \
                                      nanoseconds since 1970"),
            Column::binary("links", "links of the span: JSONB array of {attributes, span_id, trace_id}; ids in \
                                     hexadecimal"),
            Column::label("scope_name", "library that reported the span; empty if it has no name"),
            Column::jsonb("resource", "attributes of the resource as sent with this record, a JSONB object"),
            Column::utf8("trace_state", "W3C trace state; NULL if there is none").nullable(),
            Column::uint32("flags", "W3C trace flags in the lowest 8 bits, and in the bits above whether the parent \
                                     is remote"),
            Column::uint32("dropped_attributes_count", "number of attributes that the sender dropped"),
            Column::uint32("dropped_events_count", "number of events that the sender dropped"),
            Column::uint32("dropped_links_count", "number of links that the sender dropped"),
        ],
        instances: Instances::GlobalAndPerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource {
            tag: TRACES_TAG,
            format: TRACES_FORMAT,
            decoder: Decoder::Block(&SpanDecoder),
        }),
        version: 1,
        example: "SELECT name, kind, count(*), avg(duration) / 1e6 AS mean_ms \
                  FROM otel_spans GROUP BY name, kind ORDER BY name, kind",
    }
}
