//! The promises of all view sets, for these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use belvedere_model::transit::{EventField, EventWriter};
use belvedere_testkit::FakeProcess;

belvedere_testkit::conformance! {
    log_entries: Subject { view_set: "log_entries", registrations: crate::registrations, sample: logs },
    log_stats: Subject { view_set: "log_stats", registrations: crate::registrations, sample: logs },
}

/// Messages through a logging bridge, each with a target of its own; every third with properties.
fn logs(count: usize) -> FakeProcess {
    let blocks = [0..count / 2, count / 2..count].map(|numbers| {
        let time = |i: usize| 50_000_000 * i as i64;
        (time(numbers.start), time(numbers.end), messages(numbers.map(|i| (time(i), i))))
    });
    let mut program = FakeProcess::new("talker");
    program.process.properties = vec![("shift".to_owned(), "night".to_owned())];
    program.stream("log", blocks);
    program
}

fn messages(of: impl Iterator<Item = (i64, usize)>) -> EventWriter {
    let (time, level, msg) = (EventField::i64("time"), EventField::u8("level"), EventField::text("msg"));
    let target = EventField::embedded_reference("target", "StaticStringRef");
    let properties = EventField::reference("properties");
    let mut writer = EventWriter::new();
    let plain = writer.event_type("LogStringInteropEventV3", &[time, level, target, msg]);
    let tagged = writer.event_type("TaggedLogInteropEvent", &[time, level, target, properties, msg]);
    let user = writer.properties(&[("user", "Ada")]);
    for (time, i) in of {
        let (level, target) = (1 + i % 6, writer.text(&format!("shop::aisle_{i}")));
        let message = format!("message {i}");
        if i % 3 == 0 {
            writer.event(tagged, (time, level, target, user, &message));
        } else {
            writer.event(plain, (time, level, target, &message));
        }
    }
    writer
}
