//! The page `Notes` of the web application.

use belvedere_view::prelude::*;

register_page! {
    Page::new("notes", "Notes", "What players wrote, newest first")
        .needs(&["player_notes"])
        .module("notes.js", include_str!("../web/notes.js"))
}
