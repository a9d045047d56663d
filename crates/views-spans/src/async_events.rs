//! `async_events`: one row for each begin and each end of asynchronous work.

use crate::async_decoder::AsyncDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "async_events",
        about: "Begin and end events of the async spans of a process, on any thread",
        columns: &[
            Column::stream_id().as_dictionary(),
            Column::block_id().as_dictionary(),
            Column::time("time", "time of the event").event_time(),
            Column::dictionary("event_type", "begin or end"),
            Column::int64("span_id", "id of the async span, unique within the process; its begin and end have the \
                                      same one"),
            Column::int64("parent_span_id", "span_id of the enclosing async span; 0 if there is none"),
            Column::dictionary("name", "name of the span, usually a function"),
            Column::dictionary("filename", "source file"),
            Column::dictionary("target", "part of the program that contains the span: a module path or a category"),
            Column::uint32("line", "line in the source file"),
            Column::uint32("depth", "number of enclosing async spans when the span was created"),
            Column::uint32("hash", "identifies the place in the code: chained XXH32 of name, file, target and line"),
            Column::jsonb("properties", "properties set at the end of the span, a JSONB object; empty for a begin"),
        ],
        instances: Instances::PerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("cpu", &AsyncDecoder)),
        version: 1,
        example: "SELECT name, count(*) FROM view_instance('async_events', '<process id>') \
                  WHERE event_type = 'begin' GROUP BY name",
    }
}
