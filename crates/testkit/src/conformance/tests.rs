//! The suite over core's own view sets and a third party's, and view sets that break promises, which it must find.

use super::*;
use crate::ticks::{TICK_STATS, TICKS};
use belvedere_model::transit::{EventField, EventWriter};
use belvedere_view::Item;
use belvedere_view::prelude::{
    BlockDecoder, BlockReader, Column, DecodeError, Instances, TextDictionary, columns,
};

fn third_party() -> Vec<&'static Registration> {
    vec![&TICKS, &TICK_STATS, &NAMED, &LATEST]
}

crate::conformance! {
    blocks: Subject { view_set: "blocks", registrations: third_party, sample: ticks },
    processes: Subject { view_set: "processes", registrations: third_party, sample: ticks },
    streams: Subject { view_set: "streams", registrations: third_party, sample: ticks },
    named_ticks: Subject { view_set: "named_ticks", registrations: third_party, sample: ticks },
    latest_ticks: Subject { view_set: "latest_ticks", registrations: third_party, sample: ticks },
}

/// Ticks with names, in two streams of three blocks each.
fn ticks(count: usize) -> FakeProcess {
    let mut program = FakeProcess::new("clock");
    program.process.properties = vec![("color".to_owned(), "green".to_owned())];
    for stream in 0..2_usize {
        let of_block = |block: usize| (0..count).filter(move |i| i % 2 == stream && i * 3 / count == block);
        let blocks = (0..3).map(|block| {
            let last = of_block(block).next_back().unwrap_or_default();
            let first = of_block(block).next().unwrap_or_default();
            (1000 * first as i64, 1000 * last as i64, named_ticks(of_block(block)))
        });
        program.stream("tick", blocks);
    }
    program
}

/// A block of ticks with these numbers.
fn named_ticks(numbers: impl Iterator<Item = usize>) -> EventWriter {
    let mut writer = EventWriter::new();
    let members = [EventField::i64("time"), EventField::i64("number"), EventField::reference("name")];
    let tick = writer.event_type("Tick", &members);
    for i in numbers {
        let name = writer.text(&format!("tick {i}"));
        writer.event(tick, (1000 * i, i, name));
    }
    writer
}

/// Of each process, by blocks.
static NAMED: Registration = named("named_ticks", 1, &NamedDecoder { mistake: Mistake::None });

/// A query over the ticks of one process.
static LATEST: Registration = Registration::new(
    "third-party",
    "0.1.0",
    Item::ViewSet(
        ViewSet::new("latest_ticks")
            .about("What ticked, and how long after the tick before")
            .columns(
                const {
                    &[
                        Column::time("time", "when it ticked").event_time(),
                        Column::utf8("name", "its name"),
                        Column::int64("behind", "number of the tick before; NULL for the first").nullable(),
                    ]
                },
            )
            .instances(Instances::PerProcess)
            .depends_on(&["named_ticks"])
            .query("SELECT time, name, lag(number) OVER (ORDER BY time) AS behind FROM named_ticks")
            .example("SELECT * FROM view_instance('latest_ticks', '<process id>')"),
    ),
);

columns! {
    COLUMNS:
    TIME = Column::time("time", "when it ticked").event_time(),
    NUMBER = Column::int64("number", "its number"),
    NAME = Column::label("name", "its name"),
    STREAM_ID = Column::stream_id(),
}

const fn named(name: &'static str, version: u32, decoder: &'static NamedDecoder) -> Registration {
    let set = ViewSet::new(name)
        .about("Ticks with names")
        .columns(COLUMNS)
        .instances(Instances::PerProcess)
        .depends_on(&["processes", "streams", "blocks"])
        .blocks(BlockSource::transit("tick", decoder))
        .version(version)
        .example("SELECT 'named_ticks'");
    Registration::new("third-party", "0.1.0", Item::ViewSet(set))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Rows depend on what the query wants.
    OfProjection,
    /// Damage makes it panic.
    Panic,
    /// It makes events up.
    OfNothing,
}

#[derive(Debug)]
struct NamedDecoder {
    mistake: Mistake,
}

impl BlockDecoder for NamedDecoder {
    fn decode(
        &self,
        block: &BlockReader<'_>,
        rows: &mut belvedere_view::decoder::Rows<'_>,
    ) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        let Some(tick) = transit.event("Tick") else { return Ok(0) };
        let (time, number, name) = (tick.i64("time")?, tick.i64("number")?, tick.reference("name")?);
        let mut texts = TextDictionary::new(transit.dependencies());
        let (mut times, mut numbers, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for event in transit.events() {
            let event = match event {
                Ok(event) => event,
                Err(e) => {
                    assert_ne!(self.mistake, Mistake::Panic);
                    return Err(e);
                }
            };
            times.push(clock.time_of(time.get(&event)?));
            let wanted = self.mistake != Mistake::OfProjection || rows.wants(&TIME);
            numbers.push(if wanted { number.get(&event)? } else { 0 });
            names.push(texts.key(transit.dependencies().find(name.get(&event)?)?)?);
        }
        if self.mistake == Mistake::OfNothing && times.is_empty() {
            times.push(crate::START);
            numbers.push(0);
            names.push(texts.literal("nothing"));
        }
        let count = times.len();
        rows.put(&TIME, times)?;
        rows.put(&NUMBER, numbers)?;
        rows.put(&NAME, texts.finish(names)?)?;
        Ok(count)
    }
}

macro_rules! broken {
    ($($static:ident: $mistake:ident, $name:literal;)*) => {$(
        static $static: Registration = named($name, 1, &NamedDecoder { mistake: Mistake::$mistake });
    )*};
}

broken! {
    OF_PROJECTION: OfProjection, "of_projection";
    PANICS: Panic, "panics";
    OF_NOTHING: OfNothing, "of_nothing";
}

fn broken() -> Vec<&'static Registration> {
    vec![&OF_PROJECTION, &PANICS, &OF_NOTHING]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_is_broken_is_found() {
    let of = |view_set| Subject { view_set, registrations: broken, sample: ticks };
    let error =
        a_column_alone_has_the_values_that_it_has_beside_others(&of("of_projection")).await.unwrap_err();
    assert!(error.to_string().contains("number alone is"), "{error:#}");
    let error = damaged_blocks_cost_their_own_rows(&of("panics")).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error:#}");
    let error = empty_blocks_give_no_rows(&of("of_nothing")).await.unwrap_err();
    assert!(error.to_string().contains("rows of empty blocks"), "{error:#}");
    let error = the_example_is_a_query_that_works(&of("panics")).await.unwrap_err();
    assert!(error.to_string().contains("does not show the view set"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_view_set_with_an_unchanged_version_is_found() {
    static NEXT: Registration = named("named_ticks", 2, &NamedDecoder { mistake: Mistake::OfNothing });
    static SILENT: Registration = named("named_ticks", 1, &NamedDecoder { mistake: Mistake::OfNothing });
    let subject =
        |registrations| Subject { view_set: "named_ticks", registrations, sample: with_an_empty_block };
    let directory = tempfile::tempdir().unwrap();
    let check = async |registrations, is_blessed| {
        schema::check(&subject(registrations), directory.path(), is_blessed).await.map_err(|e| e.to_string())
    };
    let missing = check(|| vec![&NAMED], false).await.unwrap_err();
    assert!(missing.contains("BELVEDERE_BLESS=1 cargo test writes it"), "{missing}");
    check(|| vec![&NAMED], true).await.unwrap();
    check(|| vec![&NAMED], false).await.unwrap();
    // blessing does not help: partitions would look valid
    let silent = check(|| vec![&SILENT], true).await.unwrap_err();
    assert!(
        silent.contains("the same blocks give other rows") && silent.contains("raise its `version`"),
        "{silent}"
    );
    let next = check(|| vec![&NEXT], false).await.unwrap_err();
    assert!(next.contains("is of another version"), "{next}");
    check(|| vec![&NEXT], true).await.unwrap();
    check(|| vec![&NEXT], false).await.unwrap();
}

fn with_an_empty_block(count: usize) -> FakeProcess {
    let mut program = ticks(count);
    program.stream("tick", [(0, 0, named_ticks(std::iter::empty()))]);
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_over_another_process_sees_that_ones_rows_only() {
    let subject = Subject { view_set: "latest_ticks", registrations: third_party, sample: ticks };
    let lake = subject.fed_with(&ticks(10)).await.unwrap();
    let other = ticks(4).renamed("other");
    other.send_to(lake.connection()).await.unwrap();
    let sql = format!("SELECT count(*) FROM view_instance('latest_ticks', '{}')", other.process.process_id);
    let count = texts(&batch(&lake, &sql, TimeRange::ALL).await.unwrap()).unwrap();
    assert_eq!(count.rows, [["4"]]);
    let message =
        lake.sql("SELECT * FROM view_instance('latest_ticks', 'global')").await.unwrap_err().to_string();
    assert!(
        message.contains("select a process with view_instance('latest_ticks', '<process id>')"),
        "{message}"
    );
}

#[tokio::test]
async fn ticks_and_their_statistics_are_the_same_however_they_are_kept() {
    let lake = crate::ticks::lake(LakeConfig::default()).await.unwrap();
    let (id, stream) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    for i in 0..12 {
        let block = crate::ticks::block(id, stream, &[(i * 1_000, i)], 1_000);
        crate::ticks::insert(lake.connection(), crate::ticks::process(id, 1_000), block).await.unwrap();
    }
    for (view_set, rows) in [("ticks", 12), ("tick_stats", 2)] {
        assert_eq!(rows_do_not_depend_on_partitions(&lake, view_set, "global").await.unwrap(), rows);
    }
}
