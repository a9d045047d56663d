//! `{{set}}`: one row for each `{{Set}}Event`.

use crate::decoder::{{Set}}Decoder;
use belvedere_view::prelude::*;

/// What SQL and the documentation show. A column more is a line here, and one in the decoder if core does not fill it.
pub(crate) const COLUMNS: &[Column] = &[
    Column::process_id(),
    Column::stream_id(),
    Column::time("time", "when it happened").event_time(),
    Column::int64("number", "the number that was sent along"),
    Column::label("label", "what the number is of"),
    Column::insert_time(),
];

register_view_set! {
    ViewSet {
        name: "{{set}}",
        about: "Numbers with labels that processes sent: of all processes, or of one",
        columns: COLUMNS,
        instances: Instances::GlobalAndPerProcess,
        // that of every view set that is decoded from blocks
        depends_on: &["processes", "streams", "blocks"],
        // the tag is what the client library calls the stream
        source: Source::Blocks(BlockSource::transit("{{set}}", &{{Set}}Decoder)),
        // lakes keep rows: with a greater version they are made again, when these columns or the decoder change
        version: 1,
        example: "SELECT label, count(*), max(number) FROM {{set}} GROUP BY label ORDER BY 2 DESC LIMIT 20",
    }
}
