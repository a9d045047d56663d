//! Rows of every type, with all odd values.

use crate::assembly::Assembly;
use crate::partitions::Retention;
use crate::{Lake, LakeConfig};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, UInt32Array};
use arrow::array::{Float64Builder, ListBuilder, TimestampNanosecondArray};
use belvedere_lake::LakeOptions;
use belvedere_testkit::ticks::{block, insert, process};
use belvedere_view::prelude::*;
use belvedere_view::{Item, Registration};
use std::sync::Arc;
use uuid::Uuid;

columns! {
    COLUMNS:
    TIME = Column::time("time", "when it was").event_time(),
    ID = Column::int64("id", "different in each row"),
    K = Column::label("k", "one of few"),
    F = Column::float64("f", "a number with a fraction").nullable(),
    G = Column::float64("g", "another one, never NULL"),
    I = Column::int64("i", "a whole number").nullable(),
    N = Column::int32("n", "a smaller one"),
    U = Column::uint32("u", "one without a sign").nullable(),
    B = Column::boolean("b", "true or false").nullable(),
    S = Column::utf8("s", "a text").nullable(),
    T = Column::time("t", "a time").nullable(),
    L = Column::float64_list("l", "numbers"),
}

static SAMPLES: Registration = Registration::new(
    "tests",
    "0.1.0",
    Item::ViewSet(
        ViewSet::new("samples")
            .about("Rows of every type")
            .columns(COLUMNS)
            .depends_on(&["processes", "streams", "blocks"])
            .blocks(BlockSource::transit("tick", &SampleDecoder))
            .example("SELECT count(*) FROM samples")
            .complete(),
    ),
);

/// NaN with a sign is what processors make of ∞ − ∞.
const MINUS_NAN: f64 = f64::from_bits(0xfff8_0000_0000_0000);

const FRACTIONS: &[Option<f64>] = &[
    Some(60.0),
    Some(30.0),
    Some(f64::NAN),
    None,
    Some(58.0),
    Some(-0.0),
    Some(f64::INFINITY),
    Some(0.0),
    Some(MINUS_NAN),
    Some(-1.5),
    Some(f64::NEG_INFINITY),
    Some(59.0),
    Some(1e-3),
];
const TEXTS: &[Option<&str>] = &[Some("b"), None, Some(""), Some("a"), Some("B"), Some("aa"), Some("1")];

/// Rows: enough that every group has every value somewhere, and one group has few.
const ROWS: i64 = 60;

struct Sample {
    k: &'static str,
    f: Option<f64>,
    g: f64,
    i: Option<i64>,
    n: i32,
    u: Option<u32>,
    b: Option<bool>,
    s: Option<&'static str>,
    /// Nanoseconds, of whole microseconds.
    t: Option<i64>,
}

/// What a row has follows from its number.
fn sample(id: i64) -> Sample {
    // any order of values in which neighbors do not go together
    let pick = |salt: u64, count: usize| {
        let mixed = (id as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 33) as usize % count
    };
    // a group of one row, and one of NULL and NaN alone
    let k = match id {
        7 => "one",
        8..=12 => "odd",
        _ => ["a", "b", "c"][pick(1, 3)],
    };
    let f = match id {
        8 | 10 => None,
        9 => Some(f64::NAN),
        11 => Some(MINUS_NAN),
        12 => None,
        _ => FRACTIONS[pick(2, FRACTIONS.len())],
    };
    Sample {
        k,
        f,
        g: FRACTIONS[pick(3, FRACTIONS.len())].unwrap_or(7.25),
        i: (pick(4, 5) > 0).then(|| pick(5, 9) as i64 - 4),
        n: pick(6, 7) as i32 - 3,
        u: (pick(7, 5) > 0).then(|| pick(8, 6) as u32),
        b: (pick(9, 4) > 0).then(|| pick(10, 2) == 1),
        s: TEXTS[pick(11, TEXTS.len())],
        t: (pick(12, 5) > 0).then(|| 1_600_000_000_000_000_000 + pick(13, 8) as i64 * 1_234_567_000),
    }
}

#[derive(Debug)]
struct SampleDecoder;

impl BlockDecoder for SampleDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let ticks = block.events("Tick")?;
        let ids = ticks.i64("number")?;
        let all: Vec<Sample> = ids.iter().map(|id| sample(*id)).collect();
        rows.put(&TIME, ticks.times("time")?)?;
        rows.put(&K, Arc::new(StringArray::from_iter_values(all.iter().map(|s| s.k))) as ArrayRef)?;
        rows.put(&F, Arc::new(Float64Array::from_iter(all.iter().map(|s| s.f))) as ArrayRef)?;
        rows.put(&G, all.iter().map(|s| s.g).collect::<Vec<_>>())?;
        rows.put(&I, Arc::new(Int64Array::from_iter(all.iter().map(|s| s.i))) as ArrayRef)?;
        rows.put(&N, Arc::new(Int32Array::from_iter_values(all.iter().map(|s| s.n))) as ArrayRef)?;
        rows.put(&U, Arc::new(UInt32Array::from_iter(all.iter().map(|s| s.u))) as ArrayRef)?;
        rows.put(&B, Arc::new(BooleanArray::from_iter(all.iter().map(|s| s.b))) as ArrayRef)?;
        rows.put(&S, Arc::new(StringArray::from_iter(all.iter().map(|s| s.s))) as ArrayRef)?;
        let times = TimestampNanosecondArray::from_iter(all.iter().map(|s| s.t)).with_timezone("+00:00");
        rows.put(&T, Arc::new(times) as ArrayRef)?;
        let mut lists = ListBuilder::new(Float64Builder::new());
        for sample in &all {
            lists.append_value([sample.f, Some(sample.g)]);
        }
        rows.put(&L, Arc::new(lists.finish()) as ArrayRef)?;
        rows.put(&ID, ids)?;
        Ok(ticks.len())
    }
}

/// The rows in no partition, in partitions, and in both.
pub(super) async fn lakes() -> Vec<(&'static str, Lake)> {
    let mut lakes = Vec::new();
    for (place, from_partitions) in [("live", 0), ("partitions", ROWS), ("mixed", ROWS / 2)] {
        let mut registrations = crate::registrations();
        registrations.push(&SAMPLES);
        let assembly = Assembly::new(registrations).unwrap();
        let lake = Lake::assemble(&LakeOptions::in_memory(), assembly, LakeConfig::default()).await.unwrap();
        let (id, stream) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ids: Vec<(i64, i64)> = (0..ROWS).map(|i| (i, i)).collect();
        for part in ids.chunks(10) {
            if part[0].0 == from_partitions {
                lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
            }
            insert(lake.connection(), process(id, 1_000), block(id, stream, part, 1_000)).await.unwrap();
        }
        if from_partitions == ROWS {
            lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        }
        lakes.push((place, lake));
    }
    lakes
}

/// A text that makes the same rows in PostgreSQL, with times as microseconds.
pub(super) fn postgres_table() -> String {
    fn or_null<T: std::fmt::Display>(value: Option<T>) -> String {
        value.map_or("NULL".to_owned(), |value| format!("'{value}'"))
    }
    let rows: Vec<String> = (0..ROWS)
        .map(|id| {
            let s = sample(id);
            let f = or_null(s.f);
            format!(
                "({id}, '{}', {f}, '{}', {}, {}, {}, {}, {}, {}, ARRAY[{f}, '{}']::float8[])",
                s.k,
                s.g,
                or_null(s.i),
                s.n,
                or_null(s.u),
                or_null(s.b),
                or_null(s.s),
                or_null(s.t.map(|t| t / 1000)),
                s.g
            )
        })
        .collect();
    format!(
        "CREATE TABLE samples (id bigint, k text COLLATE \"C\", f float8, g float8, i bigint, n int, u bigint, b boolean, \
         s text COLLATE \"C\", t bigint, l float8[]);\n\
         INSERT INTO samples VALUES {};",
        rows.join(",\n")
    )
}
