//! `otel_spans`: one row for each span of a trace.

use crate::signal::{TRACES_FORMAT, TRACES_TAG};
use crate::spans::SpanDecoder;
use belvedere_view::Decoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "otel_spans",
        about: "Spans of OpenTelemetry traces, of all processes or of one",
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
                "trace that the span is part of; spans of all processes that took part have it, \
                 and WHERE trace_id = X'…' reads little else",
            )
            .with_bloom_filter(),
            Column::fixed_binary("span_id", 8, "id of the span within its trace"),
            Column::fixed_binary("parent_span_id", 8, "the span that caused it; NULL for the first of a trace")
                .nullable(),
            Column::time("start_time", "when it began").event_begin(),
            Column::time("end_time", "when it ended").event_end(),
            Column::int64("duration", "nanoseconds from begin to end; negative if clocks were set back between"),
            Column::label("name", "what was done: few distinct names").as_dictionary(),
            Column::label("kind", "UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER").as_dictionary(),
            Column::label("status", "UNSET, OK or ERROR").as_dictionary(),
            Column::utf8("status_message", "what the sender says of the status").nullable(),
            Column::jsonb(
                "properties",
                "attributes of the span, and otel.scope.… of its scope, a JSONB object; read one with \
                 property_get(properties, 'name')",
            ),
            Column::binary("events", "JSONB array of {attributes, name, time}; times in nanoseconds since 1970"),
            Column::binary("links", "JSONB array of {attributes, span_id, trace_id}; ids in hexadecimal digits"),
            Column::label("scope_name", "library that made the span; empty if it has no name"),
            Column::jsonb("resource", "attributes of the resource as this sender has them, a JSONB object"),
            Column::utf8("trace_state", "W3C trace state; NULL if there is none").nullable(),
            Column::uint32("flags", "W3C trace flags, and above them whether the parent is remote"),
            Column::uint32("dropped_attributes_count", "attributes that the sender left out"),
            Column::uint32("dropped_events_count", "events that the sender left out"),
            Column::uint32("dropped_links_count", "links that the sender left out"),
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
