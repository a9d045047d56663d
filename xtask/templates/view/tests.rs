//! What a program sends, and what SQL shows of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use belvedere_core::Lake;
use belvedere_core::arrow::util::pretty::pretty_format_batches;
use belvedere_testkit::FakeProcess;
use belvedere_model::transit::BlockWriter;
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
    let blocks = [0..count / 2, count / 2..count].map(|events| (events.clone(), block(events)));
    let sent = blocks.iter().map(|(events, block)| (time(events.start), time(events.end), block));
    program.stream("{{set}}", sent);
    program
}

/// Nanoseconds since the program's start.
fn time(event: usize) -> i64 {
    1_000_000 * event as i64
}

/// A block as a native client lays it out: the structs of its events as they are in memory.
fn block(events: Range<usize>) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    let members = vec![
        BlockWriter::member("time", "i64", 0, 8),
        BlockWriter::member("number", "i64", 8, 8),
        BlockWriter::reference("label", 16),
    ];
    let kind = writer.event_type(BlockWriter::type_record("{{Set}}Event", 24, members));
    for i in events {
        // any number that no other text of the block has: clients take the text's address
        let id = i as u64;
        writer.dependency(text, &[&id.to_le_bytes()[..], format!("label {i}").as_bytes()].concat());
        let (time, number) = (time(i) as u64, 10 * i as u64);
        writer.event(kind, &[time, number, id].map(u64::to_le_bytes).concat());
    }
    writer
}
