//! `async_events`: one row for each begin and each end of asynchronous work.

use crate::async_decoder::AsyncDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "async_events",
        about: "Begins and ends of asynchronous work in a process, whichever thread it was on",
        columns: &[
            Column::stream_id().as_dictionary(),
            Column::block_id().as_dictionary(),
            Column::time("time", "when it happened").event_time(),
            Column::dictionary("event_type", "begin or end"),
            Column::int64("span_id", "what a begin and an end of the same work have in common, within the process"),
            Column::int64("parent_span_id", "span_id of the work that it is part of; 0 if there is none"),
            Column::dictionary("name", "what is done: a function, mostly"),
            Column::dictionary("filename", "file of the source code"),
            Column::dictionary("target", "part of the program that does it: a module path or a category"),
            Column::uint32("line", "line in that file"),
            Column::uint32("depth", "how much asynchronous work it was part of when it was created; 0 for none"),
            Column::uint32("hash", "tells places in the code apart: XXH32 of name, file, target and line, chained"),
            Column::jsonb("properties", "properties set at the end, a JSONB object; empty for a begin"),
        ],
        instances: Instances::PerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("cpu", &AsyncDecoder)),
        version: 1,
        example: "SELECT name, count(*) FROM view_instance('async_events', '<process id>') \
                  WHERE event_type = 'begin' GROUP BY name",
    }
}
