//! `measures`: one row for each value.

use crate::decoder::MeasureDecoder;
use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    PROCESS_ID = Column::process_id(),
    EXE = Column::exe(),
    USERNAME = Column::username(),
    COMPUTER = Column::computer(),
    TIME = Column::time("time", "when the value was measured").event_time(),
    TARGET = Column::label("target", "part of the program that reported the value: a module path or a category").role(Role::Group),
    NAME = Column::label("name", "name of the metric").role(Role::Name),
    UNIT = Column::label("unit", "unit of the value; durations sent in ticks are converted to seconds").role(Role::UnitOfValue),
    VALUE = Column::float64("value", "the value; integers are converted to floating point"),
    STREAM_ID = Column::stream_id(),
    BLOCK_ID = Column::block_id(),
    INSERT_TIME = Column::insert_time(),
    PROPERTIES = Column::jsonb(
        "properties",
        "properties of this value, a JSONB object; read one with property_get(properties, 'name')",
    ),
    PROCESS_PROPERTIES = Column::process_properties(),
}

register_view_set! {
    ViewSet::new("measures")
        .about("Metric values of all processes, or of one process")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("metrics", &MeasureDecoder))
        .version(2)
        .example("SELECT name, unit, count(*), min(value), avg(value), max(value) \
                  FROM measures GROUP BY name, unit ORDER BY name")
}
