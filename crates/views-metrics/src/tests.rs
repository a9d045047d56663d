//! The promises of all view sets, for this one.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    measures: Subject { view_set: "measures", registrations: crate::registrations, sample: super::sample },
}

/// Types of events, in turn, and of their values.
const TYPES: [(&str, &str); 4] = [
    ("IntegerMetricEvent", "u64"),
    ("FloatMetricEvent", "f64"),
    ("TaggedIntegerMetricEvent", "u64"),
    ("TaggedFloatMetricEvent", "f64"),
];

/// Numbers of a game, each of a metric of its own, half of them with properties.
fn sample(count: usize) -> FakeProcess {
    let blocks = [0..count / 2, count / 2..count].map(|numbers| {
        let (begin, end) = (1000 * numbers.start as i64, 1000 * numbers.end as i64 - 1);
        (begin, end, block(numbers))
    });
    let mut program = FakeProcess::new("game");
    program.process.properties = vec![("build".to_owned(), "7".to_owned())];
    program.stream("metrics", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    program
}

fn block(numbers: Range<usize>) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    let set = writer.dependency_type(BlockWriter::type_record("PropertySetDependency", 0, vec![]));
    let pair = vec![reference("name", 0), reference("value", 8)];
    writer.dependency_type(BlockWriter::type_record("Property", 16, pair));
    let members =
        vec![member("id", "u64", 0, 8), reference("target", 8), reference("name", 16), reference("unit", 24)];
    let metric = writer.dependency_type(BlockWriter::type_record("MetricMetadataDependency", 32, members));
    for (name, value) in TYPES {
        let members = vec![
            reference("desc", 0),
            reference("properties", 8),
            member("value", value, 16, 8),
            member("time", "i64", 24, 8),
        ];
        writer.event_type(BlockWriter::type_record(name, 32, members));
    }
    for (id, value) in [(1_u64, "game"), (2, "count"), (3, "ticks"), (4, "unit"), (5, "level"), (6, "cave")] {
        writer.dependency(text, &[&id.to_le_bytes()[..], value.as_bytes()].concat());
    }
    // 7 says in which level it was, 8 that the unit is ticks after all
    for (id, name, value) in [(7_u64, 5_u64, 6_u64), (8, 4, 3)] {
        let pair = [name, value].map(u64::to_le_bytes).concat();
        writer.dependency(set, &[&id.to_le_bytes()[..], &1_u32.to_le_bytes()[..], &pair[..]].concat());
    }
    for i in numbers {
        let (type_, number) = (i % TYPES.len(), i as u64);
        let (name, desc) = (100 + 2 * number, 101 + 2 * number);
        let unit = if i % 3 == 0 { 3 } else { 2 };
        writer.dependency(text, &[&name.to_le_bytes()[..], format!("metric {i}").as_bytes()].concat());
        writer.dependency(metric, &[desc, 1, name, unit].map(u64::to_le_bytes).concat());
        let value = if TYPES[type_].1 == "u64" { 3 * number } else { (i as f64 / 4.0).to_bits() };
        let properties = if i % 8 < 4 { 7 } else { 8 };
        let words = [desc, properties, value, 1000 * number];
        writer.event(type_ as u8, &words.map(u64::to_le_bytes).concat());
    }
    writer
}
