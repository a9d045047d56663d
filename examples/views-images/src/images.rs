//! `images`: pictures that a process sent, one row each.
//!
//! A view set of the first kind: a decoder, from blocks to rows. Partitions, caching, merging, pruning and docs come
//! from core.

use belvedere_core::arrow::array::{ArrayRef, BinaryBuilder};
use belvedere_view::prelude::*;
use std::sync::Arc;

register_view_set! {
    ViewSet {
        name: "images",
        about: "Pictures that a process sent, screenshots mostly",
        columns: &[
            Column::process_id(),
            Column::stream_id(),
            Column::block_id(),
            Column::time("time", "when it was taken").event_time(),
            Column::utf8("name", "name given by the sender"),
            Column::utf8("format", "how the picture is encoded: png, jpg"),
            Column::int64("size", "bytes of the encoded picture"),
            Column::binary("data", "the encoded picture"),
        ],
        instances: Instances::PerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("image", &ImageDecoder)),
        version: 1,
        example: "SELECT time, name, image_size(data) AS size FROM view_instance('images', '<process id>') ORDER BY time",
    }
}

#[derive(Debug)]
struct ImageDecoder;

impl BlockDecoder for ImageDecoder {
    fn columns(&self) -> &'static [&'static str] {
        &["time", "name", "format", "size", "data"]
    }

    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        // a stream that never announced the event has none
        let Some(image) = transit.event("ImageEvent") else { return Ok(0) };
        let (time, data) = (image.i64("time")?, image.bytes("data")?);
        let (name, format) = (image.text("name")?, image.text("format")?);
        let (mut times, mut sizes, mut pictures) = (Vec::new(), Vec::new(), BinaryBuilder::new());
        let mut names = TextColumn::new(transit, rows.text_limit());
        let mut formats = TextColumn::new(transit, rows.text_limit());
        for event in transit.events() {
            let event = event?;
            if event.type_index != image.index() {
                continue;
            }
            times.push(clock.time_of(time.get(&event)?));
            names.push_text(name.get(&event)?)?;
            formats.push_text(format.get(&event)?)?;
            let bytes = data.get(&event)?;
            sizes.push(bytes.len() as i64);
            if rows.wants("data") {
                pictures.append_value(bytes);
            }
        }
        let count = times.len();
        rows.put("time", times)?;
        rows.put("size", sizes)?;
        if rows.wants("name") {
            rows.put("name", names.finish()?)?;
        }
        if rows.wants("format") {
            rows.put("format", formats.finish()?)?;
        }
        if rows.wants("data") {
            rows.put("data", Arc::new(pictures.finish()) as ArrayRef)?;
        }
        Ok(count)
    }
}
