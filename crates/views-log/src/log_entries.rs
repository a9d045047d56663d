//! `log_entries`: one row for each message.

use crate::decoder::LogDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "log_entries",
        about: "Log messages of all processes, or of one process",
        columns: &[
            Column::process_id(),
            Column::exe(),
            Column::username(),
            Column::computer(),
            Column::time("time", "when the message was logged").event_time(),
            Column::label("target", "part of the program that logged the message: a module path or a category"),
            Column::int32("level", "1 fatal, 2 error, 3 warning, 4 info, 5 debug, 6 trace"),
            Column::utf8("msg", "the message"),
            Column::stream_id(),
            Column::block_id(),
            Column::insert_time(),
            Column::jsonb(
                "properties",
                "properties of this message, a JSONB object; read one with property_get(properties, 'name')",
            ),
            Column::process_properties(),
        ],
        instances: Instances::GlobalAndPerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("log", &LogDecoder)),
        version: 1,
        example: "SELECT time, level, target, msg FROM log_entries WHERE level <= 3 ORDER BY time DESC LIMIT 20",
    }
}
