//! The promises of all view sets, for these.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    thread_spans: Subject { view_set: "thread_spans", registrations: crate::registrations, sample: super::sample },
    async_events: Subject { view_set: "async_events", registrations: crate::registrations, sample: super::sample },
}

/// What a thread does, again and again, by types and numbers of four names: calls within one another, and tasks, of
/// which two begin here and two others end here.
const EVENTS: [(&str, u64); 12] = [
    ("BeginThreadSpanEvent", 0),
    ("BeginAsyncSpanEvent", 0),
    ("BeginThreadSpanEvent", 1),
    ("EndThreadSpanEvent", 1),
    ("BeginThreadNamedSpanEvent", 2),
    ("BeginAsyncDynNamedSpanEvent", 1),
    ("BeginThreadDynNamedSpanEvent", 3),
    ("EndAsyncSpanEvent", 2),
    ("EndThreadDynNamedSpanEvent", 3),
    ("TaggedEndThreadNamedSpanEvent", 2),
    ("TaggedEndAsyncNamedSpanEvent", 3),
    ("TaggedEndThreadSpanEvent", 0),
];

/// A thread in three blocks that begin and end within a call. The last call does not end.
fn sample(count: usize) -> FakeProcess {
    let events = EVENTS.len() * count.div_ceil(4) - 1;
    let of_block = events / 3 + 1;
    let blocks: Vec<_> = (0..events)
        .step_by(of_block)
        .map(|from| {
            let to = events.min(from + of_block);
            (1000 * from as i64, 1000 * (to - 1) as i64, block(from..to))
        })
        .collect();
    let mut program = FakeProcess::new("game");
    program.stream("cpu", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    for stream in program.streams_mut() {
        stream.properties = [("thread-name", "main"), ("thread-id", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    }
    program
}

fn block(events: Range<usize>) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticStringDependency", 0, vec![]));
    let set = writer.dependency_type(BlockWriter::type_record("PropertySetDependency", 0, vec![]));
    let pair = vec![reference("name", 0), reference("value", 8)];
    writer.dependency_type(BlockWriter::type_record("Property", 16, pair));
    let mut members = vec![
        member("id", "u64", 0, 8),
        reference("target", 8),
        reference("file", 16),
        member("line", "u32", 24, 4),
    ];
    let location =
        writer.dependency_type(BlockWriter::type_record("SpanLocationRecord", 32, members.clone()));
    members.push(reference("name", 32));
    let place = writer.dependency_type(BlockWriter::type_record("SpanRecord", 40, members));
    for (name, _) in EVENTS {
        let members = vec![
            reference("thread_span_desc", 0),
            reference("thread_span_location", 0),
            reference("span_desc", 0),
            reference("span_location", 0),
            reference("name", 8),
            reference("properties", 16),
            member("time", "i64", 24, 8),
            member("span_id", "u64", 32, 8),
            member("parent_span_id", "u64", 40, 8),
            member("depth", "u32", 48, 4),
        ];
        writer.event_type(BlockWriter::type_record(name, 56, members));
    }
    let named = |id: u64, name: &str| [&id.to_le_bytes()[..], &BlockWriter::coded_text(name)[..]].concat();
    for (id, name) in [(1, "game"), (2, "src/game.rs"), (3, "level")] {
        writer.dependency(text, &named(id, name));
    }
    writer.dependency(location, &[4_u64, 1, 2, 40].map(u64::to_le_bytes).concat());
    // of each name in turns that the block has a part of: the text, a place with that name, a property with that value
    let id_of = |name: u64| 10 + 3 * name;
    let turns = events.start / EVENTS.len()..events.end.div_ceil(EVENTS.len());
    for name in 4 * turns.start as u64..4 * turns.end as u64 {
        let id = id_of(name);
        writer.dependency(text, &named(id, &format!("call {name}")));
        writer.dependency(place, &[id + 1, 1, 2, name, id].map(u64::to_le_bytes).concat());
        let pair = [3, id].map(u64::to_le_bytes).concat();
        writer.dependency(set, &[&(id + 2).to_le_bytes()[..], &1_u32.to_le_bytes()[..], &pair[..]].concat());
    }
    for i in events {
        let (turn, type_) = ((i / EVENTS.len()) as u64, i % EVENTS.len());
        let name = 4 * turn + EVENTS[type_].1;
        let id = id_of(name);
        let place = if EVENTS[type_].0.contains("Named") { 4 } else { id + 1 };
        let words = [place, id, id + 2, 1000 * i as u64, name + 1, 4 * turn, name % 3];
        writer.event(type_ as u8, &words.map(u64::to_le_bytes).concat());
    }
    writer
}
