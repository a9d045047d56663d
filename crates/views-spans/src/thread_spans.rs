//! `thread_spans`: one row for each call of a thread.

use crate::thread_decoder::ThreadDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "thread_spans",
        about: "What a thread did when: its calls, as trees",
        columns: &[
            Column::int64("id", "number of the event that began the span among those of its stream; -1 for the thread itself"),
            Column::int64("parent", "id of the span that it is part of: -1 for the outermost spans, 0 for the thread itself"),
            Column::uint32("depth", "0 for the thread itself, 1 for the outermost spans"),
            Column::uint32("hash", "tells places in the code apart: XXH32 of name, file, target and line, chained"),
            Column::time("begin", "when the span began").event_begin(),
            Column::time("end", "when the span ended; where its end is not known, how far it is known to have gone on").event_end(),
            Column::int64("duration", "from begin to end, in nanoseconds"),
            Column::label("name", "what was done: a function, mostly; the name and the id of the thread for the thread itself"),
            Column::label("target", "part of the program that did it: a module path or a category"),
            Column::label("filename", "file of the source code"),
            Column::uint32("line", "line in that file"),
            Column::boolean("is_complete", "false: the span's end has not come, or not yet, or was in a block that is missing"),
            Column::jsonb("properties", "properties set at the span's end, a JSONB object; read one with property_get(properties, 'name')"),
        ],
        instances: Instances::PerStream,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit_chain("cpu", &ThreadDecoder)),
        version: 1,
        example: "SELECT name, count(*) AS calls, sum(duration) / 1e6 AS milliseconds \
                  FROM view_instance('thread_spans', '<stream id>') GROUP BY name ORDER BY 3 DESC",
    }
}
