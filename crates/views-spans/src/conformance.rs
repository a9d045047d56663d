//! The promises of all view sets, for these.

use belvedere_model::transit::{EventField, EventWriter};
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
    program.stream("cpu", blocks);
    for stream in program.streams_mut() {
        stream.properties = [("thread-name", "main"), ("thread-id", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    }
    program
}

fn block(events: Range<usize>) -> EventWriter {
    let [target, file, name, properties] =
        ["target", "file", "name", "properties"].map(EventField::reference);
    let [time, span_id, parent, depth] = [
        EventField::i64("time"),
        EventField::i64("span_id"),
        EventField::i64("parent_span_id"),
        EventField::u32("depth"),
    ];
    let mut writer = EventWriter::new();
    let location = writer.record_type("SpanLocationRecord", &[target, file, EventField::u32("line")]);
    let place = writer.record_type("SpanRecord", &[target, file, EventField::u32("line"), name]);
    let types = EVENTS.map(|(event, _)| {
        let place = match (event.contains("Async"), event.contains("Named")) {
            (false, false) => "thread_span_desc",
            (false, true) => "thread_span_location",
            (true, false) => "span_desc",
            (true, true) => "span_location",
        };
        // more members than the event has do no harm: they are found by their names
        let members = [EventField::reference(place), name, properties, time, span_id, parent, depth];
        writer.event_type(event, &members)
    });
    let (game, source, level) = (writer.text("game"), writer.text("src/game.rs"), "level");
    let shared = writer.record(location, (game, source, 40));
    for i in events {
        let (turn, event) = (i / EVENTS.len(), i % EVENTS.len());
        let number = 4 * turn as u64 + EVENTS[event].1;
        let called = format!("call {number}");
        let name = writer.text(&called);
        let place = if EVENTS[event].0.contains("Named") {
            shared
        } else {
            writer.record(place, (game, source, number, name))
        };
        let set = writer.properties(&[(level, called.as_str())]);
        writer.event(types[event], (place, name, set, 1000 * i, number + 1, 4 * turn, number % 3));
    }
    writer
}
