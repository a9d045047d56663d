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
        "id of the trace, which the spans of all participating processes share; WHERE trace_id = X'…' is fast",
    ).role(Role::TraceId)
    .bloom_filter(),
    SPAN_ID = Column::fixed_binary("span_id", 8, "id of the span within its trace").role(Role::SpanId),
    PARENT_SPAN_ID = Column::fixed_binary("parent_span_id", 8, "id of the parent span; NULL for the root of a trace").role(Role::ParentSpanId)
        .nullable(),
    START_TIME = Column::time("start_time", "when the span began").event_begin(),
    END_TIME = Column::time("end_time", "when the span ended").event_end(),
    DURATION = Column::int64("duration", "nanoseconds from start to end; negative if the clock was set back in between").unit(Unit::Nanoseconds),
    NAME = Column::label("name", "name of the operation, with few distinct values").role(Role::Name).as_dictionary(),
    KIND = Column::label("kind", "UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER").as_dictionary(),
    STATUS = Column::label("status", "UNSET, OK or ERROR").as_dictionary(),
    STATUS_MESSAGE = Column::utf8("status_message", "description of the status by the sender").nullable(),
    PROPERTIES = Column::jsonb(
        "properties",
        "attributes of the span, and otel.scope.… of its scope, a JSONB object; read one with \
         property_get(properties, 'name')",
    ),
    EVENTS = Column::binary("events", "events of the span: JSONB array of {attributes, name, time}; times in nanoseconds since 1970"),
    LINKS = Column::binary("links", "links of the span: JSONB array of {attributes, span_id, trace_id}; ids in hexadecimal"),
    SCOPE_NAME = Column::label("scope_name", "library that reported the span; empty if it has no name").role(Role::Group),
    RESOURCE = Column::jsonb("resource", "attributes of the resource as sent with this record, a JSONB object"),
    TRACE_STATE = Column::utf8("trace_state", "W3C trace state; NULL if there is none").nullable(),
    FLAGS = Column::uint32("flags", "W3C trace flags in the lowest 8 bits, and in the bits above whether the parent is remote"),
    DROPPED_ATTRIBUTES_COUNT = Column::uint32("dropped_attributes_count", "number of attributes that the sender dropped").unit(Unit::Count),
    DROPPED_EVENTS_COUNT = Column::uint32("dropped_events_count", "number of events that the sender dropped").unit(Unit::Count),
    DROPPED_LINKS_COUNT = Column::uint32("dropped_links_count", "number of links that the sender dropped").unit(Unit::Count),
}

register_view_set! {
    ViewSet::new("otel_spans")
        .about("Spans of OpenTelemetry traces, of all processes or of one process")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::new(TRACES_FORMAT, TRACES_TAG, &SpanDecoder))
        .version(2)
        .example("SELECT name, kind, count(*), avg(duration) / 1e6 AS mean_ms \
                  FROM otel_spans GROUP BY name, kind ORDER BY name, kind")
}
