//! A very short game, whose players write notes. It sends them to a Belvedere server: `game http://127.0.0.1:9000`.
//!
//! A program sends three kinds of requests, in any order: who it is (a process), what kind of events come from it (a
//! stream), and events (blocks). Each is one POST, and a 200 says that what was sent is kept. A program that is not
//! sure whether a request arrived sends it again.

use belvedere_model::transit::BlockWriter;
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, StreamParts, TRANSIT_FORMAT, time};
use std::error::Error;
use uuid::Uuid;

struct Note {
    /// Nanoseconds since the game was started.
    time: i64,
    position: [f64; 2],
    level: &'static str,
    player: &'static str,
    text: &'static str,
}

const NOTES: [Note; 3] = [
    Note {
        time: 1_000,
        position: [3.5, 8.0],
        level: "Caves",
        player: "Ada",
        text: "I can walk through this wall",
    },
    Note { time: 2_000, position: [4.0, 8.25], level: "Caves", player: "Grace", text: "Too dark here" },
    Note {
        time: 3_000, position: [120.0, -1.5], level: "Harbor", player: "Ada", text: "Schönes Schiff! ⛵"
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:9000".to_owned());
    let send = |what: &str, body: &[u8]| {
        ureq::post(format!("{url}/ingestion/insert_{what}"))
            .content_type("application/octet-stream")
            .send(body)
    };

    let process = ProcessInfo {
        process_id: Uuid::new_v4(),
        exe: "trail".to_owned(),
        // ticks of the clock that events have: here they are nanoseconds, counted from the start
        tsc_frequency: 1_000_000_000,
        start_time: time::now(),
        start_ticks: 0,
        ..ProcessInfo::default()
    };
    send("process", &process.encode())?;

    let block = write(&NOTES);
    let (dependencies_metadata, objects_metadata) = block.metadata();
    let stream_id = Uuid::new_v4();
    let stream = StreamParts {
        stream_id,
        process_id: process.process_id,
        dependencies_metadata,
        objects_metadata,
        // by its tag and format a table knows that the stream is for it
        tags: vec!["notes".to_owned()],
        format: TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    send("stream", &StreamInfo::encode(&stream.into())?)?;

    let (begin, end) = (NOTES[0].time, NOTES[NOTES.len() - 1].time);
    let info = BlockInfo {
        block_id: Uuid::new_v4(),
        stream_id,
        process_id: process.process_id,
        begin_time: process.start_time + begin,
        begin_ticks: begin,
        end_time: process.start_time + end,
        end_ticks: end,
        nb_objects: block.count(),
        // number of the block's first event among those of the stream
        object_offset: 0,
        ..BlockInfo::default()
    };
    send("block", BlockRequest::encode(info, &block.payload()).body())?;

    println!("{}", process.process_id);
    Ok(())
}

/// A block with these notes.
fn write(notes: &[Note]) -> BlockWriter {
    let mut block = BlockWriter::new();
    // size 0: the stream says no more about the event than its name, and that its size varies
    let kind = block.event_type(BlockWriter::type_record("PlayerNoteEvent", 0, vec![]));
    for note in notes {
        // the fields of `views_notes::layouts`, one behind the other
        let mut event = note.time.to_le_bytes().to_vec();
        event.extend(note.position.map(f64::to_le_bytes).concat());
        for text in [note.level, note.player, note.text] {
            event.extend(BlockWriter::coded_text(text));
        }
        block.event(kind, &event);
    }
    block
}
