//! Fields of the event that native clients send a picture with: they serialize it by hand.

use belvedere_view::prelude::*;

register_event_layouts! {
    EventLayout::new(
        "ImageEvent",
        &[EventField::i64("time"), EventField::text("name"), EventField::text("format"), EventField::blob("data")],
    ),
}
