//! What players wrote down while they played: the view set `player_notes`.
//!
//! A game sends a `PlayerNoteEvent` for each note, on a stream with the tag `notes`. The event has texts in it, so its
//! size varies, and the stream can't describe its fields: [`layouts`] does. [`player_notes`] says what the table looks
//! like, and how its rows are read from the events. [`notes_page`] shows them in the web application.
//!
//! Linked in by `use views_notes as _;`.

pub mod layouts;
pub mod notes_page;
pub mod player_notes;

use belvedere_view::Registration;

/// What this crate registers, as plain values.
pub fn registrations() -> Vec<&'static Registration> {
    let mut all = vec![&player_notes::REGISTRATION, &notes_page::PAGE];
    all.extend(layouts::EVENT_LAYOUTS);
    all
}

#[cfg(test)]
mod tests;
