//! The fields of the event, in the order in which the game writes them.
//!
//! Fields of fixed size come first, then texts. Another event type would be one more line here.

use belvedere_view::prelude::*;

register_event_layouts! {
    EventLayout::new(
        "PlayerNoteEvent",
        &[
            EventField::i64("time"),
            EventField::f64("x"),
            EventField::f64("y"),
            EventField::text("level"),
            EventField::text("player"),
            EventField::text("note"),
        ],
    ),
}
