//! The promises of all view sets, for this one, and what SQL says of pictures.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    images: Subject { view_set: "images", registrations: crate::registrations, sample: super::pictures },
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

async fn number(lake: &belvedere_core::Lake, sql: &str) -> Result<i64, belvedere_core::query::QueryError> {
    use belvedere_core::arrow::array::AsArray;
    use belvedere_core::arrow::datatypes::Int64Type;
    Ok(lake.sql(sql).await?[0].column(0).as_primitive::<Int64Type>().value(0))
}
