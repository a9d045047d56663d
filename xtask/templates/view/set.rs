//! `{{set}}`: one row for each `{{Set}}Event`.

use crate::decoder::{{Set}}Decoder;
use belvedere_view::prelude::*;

// What SQL and the documentation show. A column more is a line here, and one in the decoder if core does not fill it.
columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id(),
    STREAM_ID = Column::stream_id(),
    TIME = Column::time("time", "when it happened").event_time(),
    NUMBER = Column::int64("number", "the number that was sent along"),
    LABEL = Column::label("label", "what the number is of"),
    INSERT_TIME = Column::insert_time(),
}

register_view_set! {
    ViewSet::new("{{set}}")
        .about("Numbers with labels that processes sent: of all processes, or of one")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        // that of every view set that is decoded from blocks
        .depends_on(&["processes", "streams", "blocks"])
        // the tag is what the client library calls the stream
        .blocks(BlockSource::transit("{{set}}", &{{Set}}Decoder))
        // lakes keep rows: with a greater version they are made again, when these columns or the decoder change
        .version(1)
        .example("SELECT label, count(*), max(number) FROM {{set}} GROUP BY label ORDER BY 2 DESC LIMIT 20")
}
