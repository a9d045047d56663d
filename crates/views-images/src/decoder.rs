//! Reads pictures from the events of a block.

use belvedere_view::arrow::array::{ArrayRef, BinaryBuilder};
use belvedere_view::prelude::*;
use std::sync::Arc;

/// Rows of `images` from blocks of native clients.
#[derive(Debug)]
pub(crate) struct ImageDecoder;

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
            // pictures are large, and most questions are about the rest
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
