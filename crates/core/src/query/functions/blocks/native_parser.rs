//! The objects of native blocks.

use belvedere_model::TRANSIT_FORMAT;
use belvedere_view::BlockParserRegistration;
use belvedere_view::decoder::{BlockReader, DecodeError, ParsedObjects};

belvedere_view::register_block_parser! {
    BlockParserRegistration::new(TRANSIT_FORMAT, parse)
}

fn parse(block: &BlockReader<'_>, objects: &mut ParsedObjects<'_>) -> Result<(), DecodeError> {
    let limit = block.buffer_limit();
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
