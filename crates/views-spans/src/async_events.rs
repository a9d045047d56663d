//! `async_events`: one row for each begin and each end of asynchronous work.

use crate::async_decoder::AsyncDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    STREAM_ID = Column::stream_id().as_dictionary(),
    BLOCK_ID = Column::block_id().as_dictionary(),
    TIME = Column::time("time", "time of the event").event_time(),
    EVENT_TYPE = Column::dictionary("event_type", "begin or end"),
    SPAN_ID = Column::int64("span_id", "id of the async span, unique within the process; its begin and end have the same one").role(Role::SpanId),
    PARENT_SPAN_ID = Column::int64("parent_span_id", "span_id of the enclosing async span; 0 if there is none").role(Role::ParentSpanId),
    NAME = Column::dictionary("name", "name of the span, usually a function").role(Role::Name),
    FILENAME = Column::dictionary("filename", "source file"),
    TARGET = Column::dictionary("target", "part of the program that contains the span: a module path or a category").role(Role::Group),
    LINE = Column::uint32("line", "line in the source file"),
    DEPTH = Column::uint32("depth", "number of enclosing async spans when the span was created").role(Role::Depth),
    HASH = Column::uint32("hash", "identifies the place in the code: chained XXH32 of name, file, target and line"),
    PROPERTIES = Column::jsonb("properties", "properties set at the end of the span, a JSONB object; empty for a begin"),
}

register_view_set! {
    ViewSet::new("async_events")
        .about("Begin and end events of the async spans of a process, on any thread")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("cpu", &AsyncDecoder))
        .version(2)
        .example("SELECT name, count(*) FROM view_instance('async_events', '<process id>') \
                  WHERE event_type = 'begin' GROUP BY name")
}
