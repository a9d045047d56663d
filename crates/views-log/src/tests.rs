//! The promises of all view sets, for these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;

belvedere_testkit::conformance! {
    log_entries: Subject { view_set: "log_entries", registrations: crate::registrations, sample: logs },
    log_stats: Subject { view_set: "log_stats", registrations: crate::registrations, sample: logs },
}

/// Messages through a logging bridge, each with a target of its own; every third with properties.
fn logs(count: usize) -> FakeProcess {
    let blocks: Vec<(i64, i64, BlockWriter)> = (0..2)
        .map(|block| {
            let of_block = count / 2 * block..if block == 0 { count / 2 } else { count };
            let time = |i: usize| 50_000_000 * i as i64;
            let (begin, end) = (time(of_block.start), time(of_block.end));
            (begin, end, messages(of_block.map(|i| (time(i), i))))
        })
        .collect();
    let mut program = FakeProcess::new("talker");
    program.process.properties = vec![("shift".to_owned(), "night".to_owned())];
    program.stream("log", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    program
}

fn messages(of: impl Iterator<Item = (i64, usize)>) -> BlockWriter {
    let mut writer = BlockWriter::new();
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    let set = writer.dependency_type(BlockWriter::type_record("PropertySetDependency", 0, vec![]));
    let pair = vec![BlockWriter::reference("name", 0), BlockWriter::reference("value", 8)];
    writer.dependency_type(BlockWriter::type_record("Property", 16, pair));
    writer.event_type(BlockWriter::reference_type("StaticStringRef"));
    let plain = writer.event_type(BlockWriter::type_record("LogStringInteropEventV3", 0, vec![]));
    let tagged = writer.event_type(BlockWriter::type_record("TaggedLogInteropEvent", 0, vec![]));
    let mut name =
        |id: u64, value: &str| writer.dependency(text, &[&id.to_le_bytes(), value.as_bytes()].concat());
    name(1, "user");
    name(2, "Ada");
    // id 3: one pair, of 1 and 2
    writer.dependency(
        set,
        &[&3_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &[1_u64, 2].map(u64::to_le_bytes).concat()]
            .concat(),
    );
    for (time, i) in of {
        let target = 10 + i as u64;
        writer.dependency(text, &[&target.to_le_bytes()[..], format!("shop::aisle_{i}").as_bytes()].concat());
        let begin = [&time.to_le_bytes()[..], &[1 + (i % 6) as u8], &target.to_le_bytes()].concat();
        let message = BlockWriter::coded_text(&format!("message {i}"));
        match i % 3 {
            0 => writer.event(tagged, &[&begin[..], &3_u64.to_le_bytes(), &message].concat()),
            _ => writer.event(plain, &[begin, message].concat()),
        }
    }
    writer
}
