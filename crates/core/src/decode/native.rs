//! The objects of native blocks.

use super::{BlockReader, DecodeError, ParsedObjects};
use crate::model::TRANSIT_FORMAT;
use crate::registry::BlockParserRegistration;

crate::register_block_parser! {
    BlockParserRegistration { format: TRANSIT_FORMAT, parse }
}

fn parse(block: &BlockReader<'_>, objects: &mut ParsedObjects<'_>) -> Result<(), DecodeError> {
    let limit = block.limits().block_bytes;
    let transit = block.transit()?;
    let mut value = Vec::new();
    for (ordinal, event) in transit.events().enumerate() {
        value.clear();
        // what is no record has a number, and no row
        if let Some(type_name) = transit.event_to_jsonb(&event?, limit, &mut value)? {
            objects.push(ordinal, type_name, &value)?;
        }
    }
    Ok(())
}
