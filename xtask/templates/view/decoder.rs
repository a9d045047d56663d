//! From blocks of native clients to rows: one for each `{{Set}}Event`.

use crate::{{set}}::{LABEL, NUMBER, TIME};
use belvedere_view::prelude::*;

/// Decodes blocks with `{{Set}}Event`s.
#[derive(Debug)]
pub(crate) struct {{Set}}Decoder;

impl BlockDecoder for {{Set}}Decoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        // an event that can't be read is an error: it costs the block's rows, not the query
        let events = block.events("{{Set}}Event")?;
        // a line for each column that core does not fill: a double is `events.f64("weight")?`
        rows.put(&TIME, events.times("time")?)?;
        rows.put(&NUMBER, events.i64("number")?)?;
        rows.put(&LABEL, events.labels("label")?)?;
        Ok(events.len())
    }
}
