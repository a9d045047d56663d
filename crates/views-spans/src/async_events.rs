//! `async_events`: one row for each begin and each end of asynchronous work.

use crate::async_decoder::AsyncDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    STREAM_ID = Column::stream_id().as_dictionary(),
    BLOCK_ID = Column::block_id().as_dictionary(),
    TIME = Column::time("time", "when it happened").event_time(),
    EVENT_TYPE = Column::dictionary("event_type", "begin or end"),
    SPAN_ID = Column::int64("span_id", "what a begin and an end of the same work have in common, within the process"),
    PARENT_SPAN_ID = Column::int64("parent_span_id", "span_id of the work that it is part of; 0 if there is none"),
    NAME = Column::dictionary("name", "what is done: a function, mostly"),
    FILENAME = Column::dictionary("filename", "file of the source code"),
    TARGET = Column::dictionary("target", "part of the program that does it: a module path or a category"),
    LINE = Column::uint32("line", "line in that file"),
    DEPTH = Column::uint32("depth", "how much asynchronous work it was part of when it was created; 0 for none"),
    HASH = Column::uint32("hash", "tells places in the code apart: XXH32 of name, file, target and line, chained"),
    PROPERTIES = Column::jsonb("properties", "properties set at the end, a JSONB object; empty for a begin"),
}

register_view_set! {
    ViewSet::new("async_events")
        .about("Begins and ends of asynchronous work in a process, whichever thread it was on")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("cpu", &AsyncDecoder))
        .version(1)
        .example("SELECT name, count(*) FROM view_instance('async_events', '<process id>') \
                  WHERE event_type = 'begin' GROUP BY name")
}
