//! The promises of all view sets, for these, and what SQL says of pictures.

use belvedere_testkit::FakeProcess;
use belvedere_view::Registration;
use belvedere_model::transit::BlockWriter;
use std::ops::Range;

belvedere_testkit::conformance! {
    // what else the crate registers depends on thread_spans
    images: Subject { view_set: "images", registrations: super::with_spans, sample: super::pictures },
    frame_times: Subject { view_set: "frame_times", registrations: super::with_spans, sample: super::frames },
}

fn with_spans() -> Vec<&'static Registration> {
    [crate::registrations(), belvedere_views_spans::registrations()].concat()
}

/// The two halves of so many events, each with its number's range.
fn halves(count: usize) -> [Range<u64>; 2] {
    let (half, all) = (count as u64 / 2, count as u64);
    [0..half, half..all]
}

/// A program that took a picture every microsecond.
fn pictures(count: usize) -> FakeProcess {
    let blocks = halves(count).map(|pictures| {
        let mut writer = BlockWriter::new();
        let image = writer.event_type(BlockWriter::type_record("ImageEvent", 0, vec![]));
        for i in pictures.clone() {
            writer.event(image, &picture(1000 * i, &format!("frame {i}"), &png(640, i as u32)));
        }
        (1000 * pictures.start as i64, 1000 * pictures.end as i64, writer)
    });
    let mut program = FakeProcess::new("painter");
    program.stream("image", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    program
}

/// An `ImageEvent` as the client library serializes it: time, name, format, data.
fn picture(time: u64, name: &str, data: &[u8]) -> Vec<u8> {
    let (name, format) = (BlockWriter::coded_text(name), BlockWriter::coded_text("png"));
    [&time.to_le_bytes()[..], &name, &format, &(data.len() as u32).to_le_bytes(), data].concat()
}

/// The beginning of a PNG.
fn png(width: u32, height: u32) -> Vec<u8> {
    let (width, height) = (width.to_be_bytes(), height.to_be_bytes());
    [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &width, &height, &[8, 6, 0, 0, 0]].concat()
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
fn a_picture_is_a_row_with_its_size() {
    belvedere_testkit::conformance::run(async {
        let lake = belvedere_core::Lake::in_memory().await?;
        let program = pictures(3);
        program.send_to(lake.connection()).await?;
        let sql = format!(
            "SELECT count(*) FROM view_instance('images', '{}') \
             WHERE name = 'frame 2' AND format = 'png' AND image_size(data) = '640x2' AND size = 29",
            program.process.process_id
        );
        assert_eq!(number(&lake, &sql).await?, 1);
        lake.close().await;
        Ok(())
    });
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
