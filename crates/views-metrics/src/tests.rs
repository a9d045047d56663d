//! The promises of all view sets, for this one.

use belvedere_model::transit::{EventField, EventWriter};
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    measures: Subject { view_set: "measures", registrations: crate::registrations, sample: super::sample },
}

/// Types of events, in turn.
const TYPES: [&str; 4] =
    ["IntegerMetricEvent", "FloatMetricEvent", "TaggedIntegerMetricEvent", "TaggedFloatMetricEvent"];

/// Numbers of a game, each of a metric of its own, half of them with properties.
fn sample(count: usize) -> FakeProcess {
    let blocks = [0..count / 2, count / 2..count].map(|numbers| {
        let (begin, end) = (1000 * numbers.start as i64, 1000 * numbers.end as i64 - 1);
        (begin, end, block(numbers))
    });
    let mut program = FakeProcess::new("game");
    program.process.properties = vec![("build".to_owned(), "7".to_owned())];
    program.stream("metrics", blocks);
    program
}

fn block(numbers: Range<usize>) -> EventWriter {
    let [desc, properties, target, name, unit] =
        ["desc", "properties", "target", "name", "unit"].map(EventField::reference);
    let (integer, float, time) =
        (EventField::i64("value"), EventField::f64("value"), EventField::i64("time"));
    let mut writer = EventWriter::new();
    let metric = writer.record_type("MetricMetadataDependency", &[target, name, unit]);
    let types = TYPES.map(|name| {
        let value = if name.contains("Integer") { integer } else { float };
        let (plain, tagged) = ([desc, value, time], [desc, properties, value, time]);
        writer.event_type(name, if name.starts_with("Tagged") { &tagged[..] } else { &plain[..] })
    });
    let game = writer.text("game");
    // in which level it was; that the unit is ticks after all
    let sets = [writer.properties(&[("level", "cave")]), writer.properties(&[("unit", "ticks")])];
    for i in numbers {
        let name = writer.text(&format!("metric {i}"));
        let unit = writer.text(if i % 3 == 0 { "ticks" } else { "count" });
        let desc = writer.record(metric, (game, name, unit));
        let (kind, set, time) = (types[i % TYPES.len()], sets[i % 8 / 4], 1000 * i);
        let (integer, float) = (3 * i, i as f64 / 4.0);
        match i % TYPES.len() {
            0 => writer.event(kind, (desc, integer, time)),
            1 => writer.event(kind, (desc, float, time)),
            2 => writer.event(kind, (desc, set, integer, time)),
            _ => writer.event(kind, (desc, set, float, time)),
        }
    }
    writer
}
