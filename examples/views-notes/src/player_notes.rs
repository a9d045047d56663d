//! `player_notes`: one row for each note.

use belvedere_view::prelude::*;

register_view_set! {
    ViewSet {
        name: "player_notes",
        about: "What players wrote down while they played, and where they were",
        columns: &[
            // filled by Belvedere, from what the block comes with
            Column::process_id(),
            Column::exe(),
            // filled by the decoder; this is the time that a query's --begin and --end are about
            Column::time("time", "when the note was written").event_time(),
            Column::utf8("level", "level of the game that the player was in"),
            Column::float64("x", "where the player stood, in meters from the west end of the level"),
            Column::float64("y", "where the player stood, in meters from its south end"),
            Column::utf8("player", "name of the player"),
            Column::utf8("note", "what the player wrote"),
        ],
        instances: Instances::GlobalAndPerProcess,
        depends_on: &["processes", "streams", "blocks"],
        source: Source::Blocks(BlockSource::transit("notes", &NoteDecoder)),
        version: 1,
        example: "SELECT level, count(*) AS notes FROM player_notes GROUP BY level ORDER BY notes DESC",
    }
}

#[derive(Debug)]
struct NoteDecoder;

impl BlockDecoder for NoteDecoder {
    fn columns(&self) -> &'static [&'static str] {
        &["time", "level", "x", "y", "player", "note"]
    }

    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        // a stream that never announced the event has none
        let Some(kind) = transit.event("PlayerNoteEvent") else { return Ok(0) };
        // once a block: where in an event its fields stand
        let (time, x, y) = (kind.i64("time")?, kind.f64("x")?, kind.f64("y")?);
        let (level, player, note) = (kind.text("level")?, kind.text("player")?, kind.text("note")?);
        let (mut times, mut xs, mut ys) = (Vec::new(), Vec::new(), Vec::new());
        let mut texts = || TextColumn::new(transit, rows.text_limit());
        let (mut levels, mut players, mut notes) = (texts(), texts(), texts());
        for event in transit.events() {
            let event = event?;
            // a stream may have events of other types
            if event.type_index == kind.index() {
                times.push(clock.time_of(time.get(&event)?));
                xs.push(x.get(&event)?);
                ys.push(y.get(&event)?);
                levels.push_text(level.get(&event)?)?;
                players.push_text(player.get(&event)?)?;
                notes.push_text(note.get(&event)?)?;
            }
        }
        let count = times.len();
        rows.put("time", times)?;
        rows.put("x", xs)?;
        rows.put("y", ys)?;
        rows.put("level", levels.finish()?)?;
        rows.put("player", players.finish()?)?;
        rows.put("note", notes.finish()?)?;
        Ok(count)
    }
}
