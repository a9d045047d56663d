//! A small third party: numbered ticks, and statistics of them.

use belvedere_core::assembly::Assembly;
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::{LakeConnection, LakeError, LakeOptions};
use belvedere_model::time::SECOND;
use belvedere_model::transit::{BlockWriter, EventField, EventWriter};
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockInfo, ProcessInfo, StreamParts, TRANSIT_FORMAT};
use belvedere_view::prelude::*;
use belvedere_view::{Item, Registration};
use uuid::Uuid;

columns! {
    COLUMNS:
    PROCESS_ID = Column::process_id(),
    TIME = Column::time("time", "when it ticked").event_time(),
    NUMBER = Column::int64("number", "its number"),
    INSERT_TIME = Column::insert_time(),
}

/// A third party's view set that is decoded from blocks.
pub static TICKS: Registration = third_party(
    ViewSet::new("ticks")
        .about("Numbered ticks")
        .columns(COLUMNS)
        .instances(Instances::GlobalAndPerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("tick", &TickDecoder))
        .example("SELECT count(*) FROM ticks"),
);

/// A third party's view set that is SQL over another.
pub static TICK_STATS: Registration = third_party(
    ViewSet::new("tick_stats")
        .about("Ticks by ten seconds")
        .columns(
            const {
                &[
                    Column::time("bin", "beginning of the ten seconds").event_time(),
                    Column::label("process_id", "process that ticked"),
                    Column::int64("ticks", "how often"),
                    Column::int64("greatest", "the greatest number"),
                ]
            },
        )
        .depends_on(&["ticks"])
        .sql(
            SqlSource::new(
                "SELECT date_bin(INTERVAL '10 seconds', time) AS bin, process_id, count(*) AS ticks, \
                 max(number) AS greatest FROM ticks GROUP BY 1, 2",
            )
            .merge(
                "SELECT bin, process_id, sum(ticks) AS ticks, max(greatest) AS greatest \
                 FROM partials GROUP BY bin, process_id",
            )
            .sort(&["bin", "process_id"]),
        )
        .example("SELECT bin, sum(ticks) FROM tick_stats GROUP BY bin"),
);

const fn third_party(set: ViewSet) -> Registration {
    Registration::new("third-party", "0.1.0", Item::ViewSet(set.complete()))
}

#[derive(Debug)]
struct TickDecoder;

impl BlockDecoder for TickDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let ticks = block.events("Tick")?;
        let numbers = ticks.i64("number")?;
        assert!(!numbers.contains(&-666), "a decoder with a mistake");
        rows.put(&TIME, ticks.times("time")?)?;
        rows.put(&NUMBER, numbers)?;
        Ok(ticks.len())
    }
}

/// A process whose clock ticks that often a second; it started at tick 77, 1,000 seconds after the epoch.
pub fn process(id: Uuid, tsc_frequency: i64) -> ProcessInfo {
    ProcessInfo {
        process_id: id,
        exe: "clock".to_owned(),
        username: String::new(),
        realname: String::new(),
        computer: String::new(),
        distro: String::new(),
        cpu_brand: String::new(),
        tsc_frequency,
        start_time: 1_000 * SECOND,
        start_ticks: 77,
        parent_process_id: None,
        properties: Vec::new(),
        insert_time: 0,
    }
}

/// A block of ticks; `(ticks since the start of the process, number)`.
pub fn block(
    process_id: Uuid,
    stream_id: Uuid,
    ticks: &[(i64, i64)],
    frequency: i64,
) -> (StreamParts, BlockRequest) {
    let mut events = EventWriter::new();
    let tick = events.event_type("Tick", &[EventField::i64("time"), EventField::i64("number")]);
    for (time, number) in ticks {
        events.event(tick, (time + 77, *number));
    }
    let writer: &BlockWriter = events.as_ref();
    let (dependencies_metadata, objects_metadata) = writer.metadata();
    let (begin, end) = (
        ticks.iter().map(|t| t.0).min().unwrap_or_default(),
        ticks.iter().map(|t| t.0).max().unwrap_or_default(),
    );
    let time_of = |ticks: i64| 1_000 * SECOND + (ticks as f64 * (1e9 / frequency as f64)).round() as i64;
    let info = BlockInfo {
        block_id: Uuid::new_v4(),
        stream_id,
        process_id,
        begin_time: time_of(begin),
        begin_ticks: begin,
        end_time: time_of(end),
        end_ticks: end,
        nb_objects: writer.count(),
        object_offset: 0,
        payload_size: 0,
        insert_time: 0,
    };
    let stream = StreamParts {
        stream_id,
        process_id,
        dependencies_metadata,
        objects_metadata,
        tags: vec!["tick".to_owned()],
        format: TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    (stream, BlockRequest::encode(info, &writer.payload()))
}

/// Sends a process and a block of it to a lake.
pub async fn insert(
    lake: &LakeConnection,
    process: ProcessInfo,
    (stream, block): (StreamParts, BlockRequest),
) -> Result<(), LakeError> {
    lake.insert_process(process).await?;
    lake.insert_stream(stream.into()).await?;
    lake.insert_block(block).await
}

/// A lake in memory with the view sets of core and of this module.
pub async fn lake(config: LakeConfig) -> Result<Lake, belvedere_core::Error> {
    let registrations = belvedere_core::registrations().into_iter().chain([&TICKS, &TICK_STATS]);
    Lake::assemble(&LakeOptions::in_memory(), Assembly::new(registrations)?, config).await
}
