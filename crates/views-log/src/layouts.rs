//! Fields of the log events that native clients serialize by hand: those with a text in them.

use belvedere_view::prelude::*;

register_event_layouts! {
    EventLayout::new(
        "LogStringEvent",
        &[EventField::reference("desc"), EventField::i64("time"), EventField::bare_text("msg")],
    ),
    EventLayout::new(
        "LogStringEventV2",
        &[EventField::reference("desc"), EventField::i64("time"), EventField::text("msg")],
    ),
    EventLayout::new(
        "LogStringInteropEventV2",
        &[
            EventField::i64("time"),
            EventField::u32("level"),
            EventField::embedded_reference("target", "StringId"),
            EventField::bare_text("msg"),
        ],
    ),
    EventLayout::new(
        "LogStringInteropEventV3",
        &[
            EventField::i64("time"),
            EventField::u8("level"),
            EventField::embedded_reference("target", "StaticStringRef"),
            EventField::text("msg"),
        ],
    ),
    EventLayout::new(
        "TaggedLogInteropEvent",
        &[
            EventField::i64("time"),
            EventField::u8("level"),
            EventField::embedded_reference("target", "StaticStringRef"),
            EventField::reference("properties"),
            EventField::text("msg"),
        ],
    ),
    EventLayout::new(
        "TaggedLogString",
        &[
            EventField::reference("desc"),
            EventField::reference("properties"),
            EventField::i64("time"),
            EventField::text("msg"),
        ],
    ),
}
