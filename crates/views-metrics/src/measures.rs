//! `measures`: one row for each value.

use crate::decoder::MeasureDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "measures",
        about: "Numbers that processes reported: metrics of all processes, or of one",
        columns: &[
            Column::process_id(),
            Column::exe(),
            Column::username(),
            Column::computer(),
            Column::time("time", "when the value was taken").event_time(),
            Column::label("target", "part of the program that reported it: a module path or a category"),
            Column::label("name", "name of the metric"),
            Column::label("unit", "unit of the value; durations that were sent in ticks are in seconds"),
            Column::float64("value", "the value; integers were converted"),
            Column::stream_id(),
            Column::block_id(),
            Column::insert_time(),
            Column::jsonb(
                "properties",
                "properties of this value, a JSONB object; read one with property_get(properties, 'name')",
            ),
            Column::process_properties(),
        ],
        instances: Instances::GlobalAndPerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("metrics", &MeasureDecoder)),
        version: 1,
        example: "SELECT name, unit, count(*), min(value), avg(value), max(value) \
                  FROM measures GROUP BY name, unit ORDER BY name",
    }
}
