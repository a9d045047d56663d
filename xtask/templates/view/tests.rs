//! What a program sends, and what SQL shows of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use belvedere_core::Lake;
use belvedere_core::arrow::util::pretty::pretty_format_batches;
use belvedere_testkit::FakeProcess;
use belvedere_model::transit::{EventField, EventWriter};
use std::ops::Range;

// what every view set promises, damaged and reordered blocks included: each promise a test
belvedere_testkit::conformance! {
    {{set}}: Subject { view_set: "{{set}}", registrations: crate::registrations, sample: program },
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_a_row() {
    let lake = Lake::in_memory().await.unwrap();
    program(4).send_to(lake.connection()).await.unwrap();
    let sql = "SELECT time, number, label FROM {{set}} WHERE number > 10 ORDER BY time";
    let rows = lake.sql(sql).await.unwrap();
    let expected = [
        "+--------------------------+--------+---------+",
        "| time                     | number | label   |",
        "+--------------------------+--------+---------+",
        "| 2026-01-01T00:00:00.002Z | 20     | label 2 |",
        "| 2026-01-01T00:00:00.003Z | 30     | label 3 |",
        "+--------------------------+--------+---------+",
    ];
    assert_eq!(pretty_format_batches(&rows).unwrap().to_string(), expected.join("\n"));
    lake.close().await;
}

/// A program that sent so many events, one each millisecond, in two blocks. The promises ask for a text of its own in
/// each event, and for the same program whenever it is the same number.
fn program(count: usize) -> FakeProcess {
    let mut program = FakeProcess::new("sender of {{set}}");
    let blocks = [0..count / 2, count / 2..count];
    let sent = blocks.map(|events| (time(events.start), time(events.end), block(events)));
    program.stream("{{set}}", sent);
    program
}

/// Nanoseconds since the program's start.
fn time(event: usize) -> i64 {
    1_000_000 * event as i64
}

/// A block as a native client lays it out, which declares the members of its events.
fn block(events: Range<usize>) -> EventWriter {
    let mut writer = EventWriter::new();
    let members = [EventField::i64("time"), EventField::i64("number"), EventField::reference("label")];
    let kind = writer.event_type("{{Set}}Event", &members);
    for i in events {
        let label = writer.text(&format!("label {i}"));
        writer.event(kind, (time(i), 10 * i, label));
    }
    writer
}
