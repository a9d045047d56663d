//! `player_notes`: one row for each note.

use belvedere_view::prelude::*;

columns! {
    pub(crate) COLUMNS:
    // filled by Belvedere, from what the block comes with
    PROCESS_ID = Column::process_id(),
    EXE = Column::exe(),
    // filled by the decoder; this is the time that a query's --begin and --end refer to
    TIME = Column::time("time", "when the note was written").event_time(),
    LEVEL = Column::utf8("level", "level of the game that the player was in"),
    X = Column::float64("x", "where the player stood, in meters from the west end of the level"),
    Y = Column::float64("y", "where the player stood, in meters from its south end"),
    PLAYER = Column::utf8("player", "name of the player"),
    NOTE = Column::utf8("note", "what the player wrote"),
}

register_view_set! {
    ViewSet::new("player_notes")
        .about("What players wrote down while they played, and where they were")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("notes", &NoteDecoder))
        .version(1)
        .example("SELECT level, count(*) AS notes FROM player_notes GROUP BY level ORDER BY notes DESC")
}

#[derive(Debug)]
struct NoteDecoder;

impl BlockDecoder for NoteDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        // a stream may have events of other types, or have none of these
        let notes = block.events("PlayerNoteEvent")?;
        rows.put(&TIME, notes.times("time")?)?;
        rows.put(&LEVEL, notes.texts("level")?)?;
        rows.put(&X, notes.f64("x")?)?;
        rows.put(&Y, notes.f64("y")?)?;
        rows.put(&PLAYER, notes.texts("player")?)?;
        rows.put(&NOTE, notes.texts("note")?)?;
        Ok(notes.len())
    }
}
