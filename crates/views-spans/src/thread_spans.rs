//! `thread_spans`: one row for each call of a thread.

use crate::thread_decoder::ThreadDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    ID = Column::int64("id", "number of the event that began the span among those of its stream; -1 for the thread itself"),
    PARENT = Column::int64("parent", "id of the span that it is part of: -1 for the outermost spans, 0 for the thread itself"),
    DEPTH = Column::uint32("depth", "0 for the thread itself, 1 for the outermost spans"),
    HASH = Column::uint32("hash", "tells places in the code apart: XXH32 of name, file, target and line, chained"),
    BEGIN = Column::time("begin", "when the span began").event_begin(),
    END = Column::time("end", "when the span ended; where its end is not known, how far it is known to have gone on").event_end(),
    DURATION = Column::int64("duration", "from begin to end, in nanoseconds"),
    NAME = Column::label("name", "what was done: a function, mostly; the name and the id of the thread for the thread itself"),
    TARGET = Column::label("target", "part of the program that did it: a module path or a category"),
    FILENAME = Column::label("filename", "file of the source code"),
    LINE = Column::uint32("line", "line in that file"),
    IS_COMPLETE = Column::boolean("is_complete", "false: the span's end has not come, or not yet, or was in a block that is missing"),
    PROPERTIES = Column::jsonb("properties", "properties set at the span's end, a JSONB object; read one with property_get(properties, 'name')"),
}

register_view_set! {
    ViewSet::new("thread_spans")
        .about("What a thread did when: its calls, as trees")
        .columns(COLUMNS)
        .instances(Instances::PerStream)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit_stateful("cpu", &ThreadDecoder))
        .version(1)
        .example("SELECT name, count(*) AS calls, sum(duration) / 1e6 AS milliseconds \
                  FROM view_instance('thread_spans', '<stream id>') GROUP BY name ORDER BY 3 DESC")
}
