//! Decoders as view crates write them, over blocks as programs send them.

use super::{DecodeOptions, Decoded, decode_block};
use crate::prelude::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType};
use belvedere_model::jsonb::Jsonb;
use belvedere_model::transit::{BlockWriter, EventWriter};
use belvedere_model::{BlockInfo, BlockRecord, ProcessInfo, StreamInfo, StreamParts};
use std::sync::Arc;

columns! {
    COLUMNS:
    TIME = Column::time("time", "when it ticked").event_time(),
    NUMBER = Column::int64("number", "how many ticks came before"),
    NAME = Column::label("name", "what the tick is called"),
    SET = Column::jsonb("set", "its properties"),
    OWN = Column::jsonb("own", "made here"),
}

static TICKS: ViewSet = ViewSet::new("ticks")
    .about("Ticks")
    .columns(COLUMNS)
    .blocks(BlockSource::transit("tick", &TickDecoder))
    .example("SELECT * FROM ticks")
    .complete();

#[derive(Debug)]
struct TickDecoder;

impl BlockDecoder for TickDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let ticks = block.events("Tick")?;
        rows.put(&TIME, ticks.times("time")?)?;
        rows.put(&NUMBER, ticks.i64("number")?)?;
        rows.put(&NAME, ticks.labels("name")?)?;
        rows.put(&SET, ticks.properties("set")?)?;
        rows.put_with(&OWN, || Ok(vec![Jsonb::encode_texts([("a", "b")]); ticks.len()]))?;
        Ok(ticks.len())
    }
}

/// Puts what the view set does not have.
#[derive(Debug)]
struct Lost;

impl BlockDecoder for Lost {
    fn decode(&self, _: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        rows.put(&Column::of_another_crate("size", ColumnType::Int64), Vec::<i64>::new())?;
        Ok(0)
    }
}

fn decode(
    events: &EventWriter,
    decoder: &dyn BlockDecoder,
    projection: &[usize],
) -> Result<Decoded, DecodeError> {
    let block: &BlockWriter = events.as_ref();
    let (dependencies_metadata, objects_metadata) = block.metadata();
    let stream = StreamParts { dependencies_metadata, objects_metadata, ..StreamParts::default() };
    let record = BlockRecord {
        seq: 1,
        info: BlockInfo::default(),
        stream: Arc::new(StreamInfo::from(stream)),
        process: Arc::new(ProcessInfo { tsc_frequency: 1_000_000_000, ..ProcessInfo::default() }),
        object_key: String::new(),
        payload_offset: 0,
    };
    let payload = block.payload().encode();
    let schema = Arc::new(TICKS.engine_schema().project(projection).unwrap());
    decode_block(&TICKS, decoder, &record, payload.into(), projection, schema, &DecodeOptions::default())
}

fn ticks() -> EventWriter {
    let mut events = EventWriter::new();
    let other = events.event_type("Tock", &[EventField::i64("time")]);
    let members = [
        EventField::i64("time"),
        EventField::i64("number"),
        EventField::reference("name"),
        EventField::reference("set"),
    ];
    let tick = events.event_type("Tick", &members);
    for i in 0..3 {
        let name = events.text(if i == 1 { "odd" } else { "even" });
        let set = events.properties(&[("user", "Ada")]);
        events.event(other, (100 * i,));
        events.event(tick, (1000 * i, i, name, set));
    }
    events
}

#[test]
fn events_of_one_type_become_rows_column_by_column() {
    let (rows, ignored) = decode(&ticks(), &TickDecoder, &[0, 1, 2, 3, 4]).unwrap().into_parts();
    assert!(ignored.is_empty());
    assert_eq!(rows.column(0).as_primitive::<TimestampNanosecondType>().values(), &[0, 1000, 2000]);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[0, 1, 2]);
    let names = rows.column(2).as_dictionary::<Int32Type>();
    let names: Vec<_> = names.downcast_dict::<arrow_array::StringArray>().unwrap().into_iter().collect();
    assert_eq!(names, [Some("even"), Some("odd"), Some("even")]);
    for (column, json) in [(3, r#"{"user":"Ada"}"#), (4, r#"{"a":"b"}"#)] {
        let objects = rows.column(column).as_dictionary::<Int32Type>();
        let objects = objects.downcast_dict::<arrow_array::BinaryArray>().unwrap();
        let texts: Vec<_> =
            objects.into_iter().map(|o| Jsonb::new(o.unwrap()).unwrap().to_string()).collect();
        assert_eq!(texts, [json; 3]);
    }
    let alone = decode(&ticks(), &TickDecoder, &[1]).unwrap().into_rows();
    assert_eq!(alone.column(0), rows.column(1));
}

#[test]
fn a_stream_that_never_announced_the_type_has_no_such_events() {
    let mut events = EventWriter::new();
    let other = events.event_type("Tock", &[EventField::i64("time")]);
    events.event(other, (1,));
    assert_eq!(decode(&events, &TickDecoder, &[0, 2]).unwrap().rows().num_rows(), 0);
}

#[test]
fn a_column_that_the_view_set_does_not_have_is_a_mistake() {
    let error = decode(&ticks(), &Lost, &[0]).unwrap_err();
    assert_eq!(error, DecodeError::mistake("there is no column 'size'"));
}
