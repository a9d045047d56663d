//! `thread_spans`: one row for each call of a thread.

use crate::thread_decoder::ThreadDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    ID = Column::int64("id", "number, in the stream, of the event that began the span; -1 for the thread itself").role(Role::SpanId),
    PARENT = Column::int64("parent", "id of the enclosing span; -1 for the outermost spans, 0 for the thread itself").role(Role::ParentSpanId),
    DEPTH = Column::uint32("depth", "0 for the thread itself, 1 for the outermost spans").role(Role::Depth),
    HASH = Column::uint32("hash", "identifies the place in the code: chained XXH32 of name, file, target and line"),
    BEGIN = Column::time("begin", "when the span began").event_begin(),
    END = Column::time("end", "when the span ended; if that is unknown, the latest time at which it is known to have been open").event_end(),
    DURATION = Column::int64("duration", "nanoseconds from begin to end").unit(Unit::Nanoseconds),
    NAME = Column::label("name", "name of the span, usually a function; name and id of the thread for the thread itself").role(Role::Name),
    TARGET = Column::label("target", "part of the program that contains the span: a module path or a category").role(Role::Group),
    FILENAME = Column::label("filename", "source file"),
    LINE = Column::uint32("line", "line in the source file"),
    IS_COMPLETE = Column::boolean("is_complete", "false if the end of the span is unknown: it has not arrived, or its block is missing"),
    PROPERTIES = Column::jsonb("properties", "properties set at the span's end, a JSONB object; read one with property_get(properties, 'name')"),
}

register_view_set! {
    ViewSet::new("thread_spans")
        .about("Function calls of a thread, as call trees")
        .columns(COLUMNS)
        .instances(Instances::PerStream)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit_stateful("cpu", &ThreadDecoder))
        .version(2)
        .example("SELECT name, count(*) AS calls, sum(duration) / 1e6 AS milliseconds \
                  FROM view_instance('thread_spans', '<stream id>') GROUP BY name ORDER BY 3 DESC")
}
