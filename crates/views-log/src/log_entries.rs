//! `log_entries`: one row for each message.

use crate::decoder::LogDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id(),
    EXE = Column::exe(),
    USERNAME = Column::username(),
    COMPUTER = Column::computer(),
    TIME = Column::time("time", "when the message was logged").event_time(),
    TARGET = Column::label("target", "part of the program that logged the message: a module path or a category").role(Role::Group),
    LEVEL = Column::int32("level", "1 fatal, 2 error, 3 warning, 4 info, 5 debug, 6 trace").role(Role::Severity(&["fatal", "error", "warning", "info", "debug", "trace"])),
    MSG = Column::utf8("msg", "the message").role(Role::Message),
    STREAM_ID = Column::stream_id(),
    BLOCK_ID = Column::block_id(),
    INSERT_TIME = Column::insert_time(),
    PROPERTIES = Column::jsonb(
        "properties",
        "properties of this message, a JSONB object; read one with property_get(properties, 'name')",
    ),
    PROCESS_PROPERTIES = Column::process_properties(),
}

register_view_set! {
    ViewSet::new("log_entries")
        .about("Log messages of all processes, or of one process")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("log", &LogDecoder))
        .version(2)
        .example("SELECT time, level, target, msg FROM log_entries WHERE level <= 3 ORDER BY time DESC LIMIT 20")
}
