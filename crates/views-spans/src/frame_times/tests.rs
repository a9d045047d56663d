//! The promises of all view sets, for `frame_times`, and what its columns say.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    frame_times: Subject { view_set: "frame_times", registrations: crate::registrations, sample: super::frames },
}

/// The two halves of so many events, each with its number's range.
fn halves(count: usize) -> [Range<u64>; 2] {
    let (half, all) = (count as u64 / 2, count as u64);
    [0..half, half..all]
}

/// A thread that did something with another name in each frame.
fn frames(count: usize) -> FakeProcess {
    let blocks = halves(count).map(|frames| {
        let mut writer = BlockWriter::new();
        let (member, reference) = (BlockWriter::member, BlockWriter::reference);
        let text = writer.dependency_type(BlockWriter::type_record("StaticStringDependency", 0, vec![]));
        let members = vec![
            member("id", "u64", 0, 8),
            reference("target", 8),
            reference("file", 16),
            reference("name", 24),
            member("line", "u32", 32, 4),
        ];
        let place = writer.dependency_type(BlockWriter::type_record("SpanRecord", 40, members));
        let [begin, end] = ["BeginThreadSpanEvent", "EndThreadSpanEvent"].map(|name| {
            let members = vec![reference("thread_span_desc", 0), member("time", "i64", 8, 8)];
            writer.event_type(BlockWriter::type_record(name, 16, members))
        });
        for i in frames.clone() {
            let (name, site) = (2 * i + 2, 2 * i + 3);
            let spelled = BlockWriter::coded_text(&format!("frame {i}"));
            writer.dependency(text, &[&name.to_le_bytes()[..], &spelled].concat());
            writer.dependency(place, &[site, name, name, name, 7].map(u64::to_le_bytes).concat());
            writer.event(begin, &[site, 16_000 * i].map(u64::to_le_bytes).concat());
            writer.event(end, &[site, 16_000 * i + 10_000].map(u64::to_le_bytes).concat());
        }
        (16_000 * frames.start as i64, 16_000 * frames.end as i64, writer)
    });
    let mut program = FakeProcess::new("game");
    program.stream("cpu", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    program
}

#[test]
fn frames_take_as_long_as_their_spans() {
    belvedere_testkit::conformance::run(async {
        let lake = belvedere_core::Lake::in_memory().await?;
        let program = frames(5);
        program.send_to(lake.connection()).await?;
        let sql = format!(
            "SELECT count(*) FROM view_instance('frame_times', '{}') \
             WHERE milliseconds = 0.01 AND (gap = 0.006 OR name = 'frame 0')",
            program.streams()[0].stream_id
        );
        assert_eq!(number(&lake, &sql).await?, 5);
        lake.close().await;
        Ok(())
    });
}

async fn number(lake: &belvedere_core::Lake, sql: &str) -> Result<i64, belvedere_core::query::QueryError> {
    use belvedere_core::arrow::array::AsArray;
    use belvedere_core::arrow::datatypes::Int64Type;
    Ok(lake.sql(sql).await?[0].column(0).as_primitive::<Int64Type>().value(0))
}
