//! The promises of all view sets, for this one.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    net_spans: Subject { view_set: "net_spans", registrations: crate::registrations, sample: super::sample },
}

const TYPES: [&str; 7] = [
    "NetConnectionBeginEvent",
    "NetObjectBeginEvent",
    "NetPropertyEvent",
    "NetObjectEndEvent",
    "NetRPCBeginEvent",
    "NetRPCEndEvent",
    "NetConnectionEndEvent",
];

/// What is sent over a connection, by its types: an object with four properties, and a call with three. Ten spans.
const CONNECTION: [usize; 13] = [0, 1, 2, 2, 2, 2, 3, 4, 2, 2, 2, 5, 6];

/// Connections one after the other, in three blocks that begin and end within one. Each span has a name of its own.
fn sample(count: usize) -> FakeProcess {
    let events = CONNECTION.len() * count.div_ceil(10);
    let of_block = events / 3 + 1;
    let blocks: Vec<_> = (0..events)
        .step_by(of_block)
        .map(|from| {
            let to = events.min(from + of_block);
            (1000 * from as i64, 1000 * (to - 1) as i64, block(from..to))
        })
        .collect();
    let mut program = FakeProcess::new("game");
    program.stream("net", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    program
}

fn block(events: Range<usize>) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    for name in TYPES {
        let members = vec![
            member("time", "i64", 0, 8),
            reference("connection_name", 8),
            reference("object_name", 8),
            reference("function_name", 8),
            reference("property_name", 8),
            member("bit_size", "u32", 16, 4),
            member("is_outgoing", "u8", 20, 1),
        ];
        writer.event_type(BlockWriter::type_record(name, 24, members));
    }
    for i in events {
        let (type_, number) = (CONNECTION[i % CONNECTION.len()], i as u64);
        let id = 1 + number;
        if !TYPES[type_].ends_with("EndEvent") {
            writer.dependency(text, &[&id.to_le_bytes()[..], format!("part {i}").as_bytes()].concat());
        }
        let bits = [0, 0, 1 + number % 32, 200, 0, 200, 500][type_];
        let is_outgoing = number / CONNECTION.len() as u64 % 2;
        let words = [1000 * number, id, bits | is_outgoing << 32];
        writer.event(type_ as u8, &words.map(u64::to_le_bytes).concat());
    }
    writer
}
