//! The promises of every view set, for this one.

use belvedere_model::transit::BlockWriter;
use belvedere_testkit::FakeProcess;

belvedere_testkit::conformance! {
    player_notes: Subject { view_set: "player_notes", registrations: crate::registrations, sample: super::notes },
}

/// A game in which somebody wrote a note every microsecond, in two blocks.
fn notes(count: usize) -> FakeProcess {
    let blocks = [0..count / 2, count / 2..count].map(|notes| {
        let mut writer = BlockWriter::new();
        let note = writer.event_type(BlockWriter::type_record("PlayerNoteEvent", 0, vec![]));
        for i in notes.clone() {
            let (time, x) = ((1000 * i as i64).to_le_bytes(), (i as f64).to_le_bytes());
            let [level, player, text] = ["Caves", "Ada", &format!("note {i}")].map(BlockWriter::coded_text);
            writer.event(note, &[&time[..], &x, &x, &level, &player, &text].concat());
        }
        (1000 * notes.start as i64, 1000 * notes.end as i64, writer)
    });
    let mut game = FakeProcess::new("game");
    game.stream("notes", blocks.iter().map(|(begin, end, writer)| (*begin, *end, writer)));
    game
}
