//! `measures`: one row for each value.

use crate::decoder::MeasureDecoder;
use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "measures",
        about: "Metric values of all processes, or of one process",
        columns: &[
            Column::process_id(),
            Column::exe(),
            Column::username(),
            Column::computer(),
            Column::time("time", "when the value was measured").event_time(),
            Column::label("target", "part of the program that reported the value: a module path or a category"),
            Column::label("name", "name of the metric"),
            Column::label("unit", "unit of the value; durations sent in ticks are converted to seconds"),
            Column::float64("value", "the value; integers are converted to floating point"),
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
