//! What is sent in a simulation, and the views over it: numbered ticks, decoded block by block, along streams and by SQL.

use crate::FakeProcess;
use crate::ticks::{TICK_STATS, TICKS};
use belvedere_model::ProcessInfo;
use belvedere_model::StreamParts;
use belvedere_model::time::SECOND;
use belvedere_model::transit::{EventField, EventWriter};
use belvedere_model::wire::BlockRequest;
use belvedere_view::prelude::*;
use belvedere_view::{Item, Registration};
use uuid::Uuid;

use crate::random::Random;

columns! {
    COLUMNS:
    TIME = Column::time("time", "when it ticked").event_time(),
    NUMBER = Column::int64("number", "its number"),
    PLACE = Column::int64("place", "how many ticks of its stream were read before"),
}

/// The ticks of a process, read along its streams.
static CHAINED_TICKS: Registration = Registration::new(
    "third-party",
    "0.1.0",
    Item::ViewSet(
        ViewSet::new("chained_ticks")
            .about("Numbered ticks with their places")
            .columns(COLUMNS)
            .instances(Instances::PerProcess)
            .depends_on(&["processes", "streams", "blocks"])
            .blocks(BlockSource::transit_stateful("tick", &ChainedDecoder))
            .example("SELECT * FROM view_instance('chained_ticks', '<process id>')")
            .complete(),
    ),
);

#[derive(Debug)]
struct ChainedDecoder;

impl StatefulDecoder for ChainedDecoder {
    type State = i64;

    fn decode(
        &self,
        block: &BlockReader<'_>,
        state: &mut i64,
        rows: &mut Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let ticks = block.events("Tick")?;
        let count = ticks.len();
        rows.put(&TIME, ticks.times("time")?)?;
        rows.put(&NUMBER, ticks.i64("number")?)?;
        rows.put(&PLACE, (*state..).take(count).collect::<Vec<i64>>())?;
        *state += count as i64;
        Ok(count)
    }

    fn open(&self, _state: &i64, _is_final: bool, _rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        Ok(0)
    }
}

/// The views of a simulation.
pub(super) fn registrations() -> Vec<&'static Registration> {
    vec![&TICKS, &TICK_STATS, &CHAINED_TICKS]
}

/// A block, and what is known of its rows.
#[derive(Debug)]
pub(super) struct SentBlock {
    pub(super) request: BlockRequest,
    pub(super) process: usize,
    pub(super) stream: usize,
    pub(super) rows: usize,
}

/// All that is sent in a simulation. The numbers of the ticks of block `b` are `NUMBERS * b` and those that follow.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) processes: Vec<ProcessInfo>,
    pub(super) streams: Vec<StreamParts>,
    pub(super) blocks: Vec<SentBlock>,
}

/// Numbers that a block has for itself.
pub(super) const NUMBERS: usize = 10;

impl Programs {
    /// A few programs with a few streams each.
    pub(super) fn new(random: &mut Random) -> Self {
        let mut programs = Self { processes: Vec::new(), streams: Vec::new(), blocks: Vec::new() };
        for process in 0..1 + random.below(3) {
            let mut program = FakeProcess::new(&format!("program {process} of {}", random.next()));
            let mut rows = Vec::new();
            for _ in 0..1 + random.below(2) {
                let blocks: Vec<_> = (0..3 + random.below(8))
                    .map(|_| {
                        let block = programs.blocks.len() + rows.len();
                        rows.push(1 + random.below(4));
                        // each block has ten seconds for itself, so that statistics of ten seconds are those of a block
                        let begin = 10 * SECOND * (block as i64 + 1);
                        let count = rows.last().copied().unwrap_or_default();
                        (begin, begin + count as i64, ticks(begin, block, count))
                    })
                    .collect();
                program.stream("tick", blocks);
            }
            let first = programs.streams.len();
            programs.streams.extend(program.streams().iter().cloned());
            for (request, rows) in program.blocks().zip(rows) {
                let id = request.info.stream_id;
                let stream = programs.streams.iter().position(|s| s.stream_id == id).unwrap_or(first);
                programs.blocks.push(SentBlock { request, process, stream, rows });
            }
            programs.processes.push(program.process);
        }
        programs
    }

    pub(super) fn process_id(&self, process: usize) -> Uuid {
        self.processes[process].process_id
    }
}

fn ticks(begin: i64, block: usize, count: usize) -> EventWriter {
    let mut events = EventWriter::new();
    let tick = events.event_type("Tick", &[EventField::i64("time"), EventField::i64("number")]);
    for i in 0..count {
        events.event(tick, (begin + i as i64, (block * NUMBERS + i) as i64));
    }
    events
}
