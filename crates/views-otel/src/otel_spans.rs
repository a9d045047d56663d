//! `otel_spans`: one row for each span of a trace.

use crate::signal::{TRACES_FORMAT, TRACES_TAG};
use crate::spans::SpanDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id().as_dictionary(),
    STREAM_ID = Column::stream_id().as_dictionary(),
    BLOCK_ID = Column::block_id().as_dictionary(),
    INSERT_TIME = Column::insert_time(),
    EXE = Column::exe(),
    USERNAME = Column::username(),
    COMPUTER = Column::computer(),
    PROCESS_PROPERTIES = Column::process_properties(),
    TRACE_ID = Column::fixed_binary(
        "trace_id",
        16,
        "trace that the span is part of; spans of all processes that took part have it, \
         and WHERE trace_id = X'…' reads little else",
    )
    .bloom_filter(),
    SPAN_ID = Column::fixed_binary("span_id", 8, "id of the span within its trace"),
    PARENT_SPAN_ID = Column::fixed_binary("parent_span_id", 8, "the span that caused it; NULL for the first of a trace")
        .nullable(),
    START_TIME = Column::time("start_time", "when it began").event_begin(),
    END_TIME = Column::time("end_time", "when it ended").event_end(),
    DURATION = Column::int64("duration", "nanoseconds from begin to end; negative if clocks were set back between"),
    NAME = Column::label("name", "what was done: few distinct names").as_dictionary(),
    KIND = Column::label("kind", "UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER").as_dictionary(),
    STATUS = Column::label("status", "UNSET, OK or ERROR").as_dictionary(),
    STATUS_MESSAGE = Column::utf8("status_message", "what the sender says of the status").nullable(),
    PROPERTIES = Column::jsonb(
        "properties",
        "attributes of the span, and otel.scope.… of its scope, a JSONB object; read one with \
         property_get(properties, 'name')",
    ),
    EVENTS = Column::binary("events", "JSONB array of {attributes, name, time}; times in nanoseconds since 1970"),
    LINKS = Column::binary("links", "JSONB array of {attributes, span_id, trace_id}; ids in hexadecimal digits"),
    SCOPE_NAME = Column::label("scope_name", "library that made the span; empty if it has no name"),
    RESOURCE = Column::jsonb("resource", "attributes of the resource as this sender has them, a JSONB object"),
    TRACE_STATE = Column::utf8("trace_state", "W3C trace state; NULL if there is none").nullable(),
    FLAGS = Column::uint32("flags", "W3C trace flags, and above them whether the parent is remote"),
    DROPPED_ATTRIBUTES_COUNT = Column::uint32("dropped_attributes_count", "attributes that the sender left out"),
    DROPPED_EVENTS_COUNT = Column::uint32("dropped_events_count", "events that the sender left out"),
    DROPPED_LINKS_COUNT = Column::uint32("dropped_links_count", "links that the sender left out"),
}

register_view_set! {
    ViewSet::new("otel_spans")
        .about("Spans of OpenTelemetry traces, of all processes or of one")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::new(TRACES_FORMAT, TRACES_TAG, &SpanDecoder))
        .version(1)
        .example("SELECT name, kind, count(*), avg(duration) / 1e6 AS mean_ms \
                  FROM otel_spans GROUP BY name, kind ORDER BY name, kind")
}
