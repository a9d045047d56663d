//! Random programs: whatever they call, wherever their events are cut into blocks, in whatever order these come, and
//! whatever is kept of them, the spans are those of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use belvedere_core::arrow::array::{AsArray, RecordBatch};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Int64Type};
use belvedere_core::assembly::Assembly;
use belvedere_core::lake::{Keep, Retention};
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::LakeOptions;
use belvedere_model::time::{SECOND, TimeRange};
use belvedere_model::transit::{BlockWriter, compress};
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{BlockInfo, ProcessInfo, StreamParts, TRANSIT_FORMAT};
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use futures::TryStreamExt;
use proptest::prelude::*;
use uuid::Uuid;

const START: i64 = 1_000 * SECOND;
const NAMES: [&str; 4] = ["update", "draw", "sort", "sort"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Begin(usize),
    End(usize),
    /// Of a type that nobody knows.
    Unknown,
}

/// A call and its tick: a nanosecond each.
type Event = (Call, i64);

/// Id, parent, depth, begin, end, name, is_complete.
type Span = (i64, i64, i64, i64, i64, String, bool);

/// What is done: kinds below 5 begin something, those below 9 end what is open, others end whatever they say.
fn events(program: &[(u8, usize, i64)]) -> Vec<Event> {
    let mut open = Vec::new();
    let mut tick = 100;
    let mut events = Vec::new();
    for (kind, name, pause) in program {
        tick += pause;
        let call = match (kind, open.last().copied()) {
            (0..5, _) => Call::Begin(*name),
            (5..9, Some(last)) => Call::End(last),
            (9, _) => Call::End(*name),
            _ => Call::Unknown,
        };
        match call {
            Call::Begin(name) => open.push(name),
            Call::End(name) => {
                if let Some(i) = open.iter().rposition(|o| *o == name) {
                    open.truncate(i);
                }
            }
            Call::Unknown => {}
        }
        events.push((call, tick));
    }
    events
}

/// The spans of events that follow each other, out of the definition. `end` is when the last block ends.
fn expected(events: &[Event], first: i64, begin: i64, end: i64, spans: &mut Vec<Span>) {
    let mut open: Vec<(i64, usize, i64, i64)> = Vec::new();
    let mut is_thread = false;
    let span = |depth: usize, (id, name, begin, parent): (i64, usize, i64, i64), end: i64, is_complete| {
        (id, parent, depth as i64 + 1, begin, end, NAMES[name].to_owned(), is_complete)
    };
    for (i, (call, tick)) in events.iter().enumerate() {
        match call {
            Call::Begin(name) => {
                is_thread = true;
                let parent = open.last().map_or(-1, |o| o.0);
                open.push((first + i as i64, *name, *tick, parent));
            }
            Call::End(name) => {
                is_thread = true;
                if let Some(at) = open.iter().rposition(|o| o.1 == *name) {
                    for depth in (at..open.len()).rev() {
                        let inner = open.pop().unwrap();
                        spans.push(span(depth, inner, *tick, depth == at));
                    }
                }
            }
            Call::Unknown => {}
        }
    }
    for (depth, inner) in open.into_iter().enumerate() {
        spans.push(span(depth, inner, end, false));
    }
    if is_thread {
        spans.push((-1, 0, 0, begin, end, "main-7".to_owned(), true));
    }
}

fn writer() -> (BlockWriter, [u8; 3]) {
    let mut writer = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let text = writer.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
    let members = vec![
        member("id", "u64", 0, 8),
        reference("name", 8),
        reference("target", 16),
        reference("file", 24),
        member("line", "u32", 32, 4),
    ];
    let place = writer.dependency_type(BlockWriter::type_record("SpanRecord", 40, members));
    let event = |name| {
        let members = vec![reference("thread_span_desc", 0), member("time", "i64", 8, 8)];
        BlockWriter::type_record(name, 16, members)
    };
    let types = ["BeginThreadSpanEvent", "EndThreadSpanEvent", "NewThreadEvent"]
        .map(|name| writer.event_type(event(name)));
    // addresses mean nothing outside of a block, and texts may be the same at different ones
    for (i, name) in NAMES.iter().enumerate() {
        let id = 0x1000 + i as u64 * 0x10;
        writer.dependency(text, &[&id.to_le_bytes()[..], name.as_bytes()].concat());
    }
    writer.dependency(text, &[&0x10_u64.to_le_bytes()[..], b"game"].concat());
    for i in 0..NAMES.len() as u64 {
        let words = [0x2000 + i * 0x40, 0x1000 + i * 0x10, 0x10, 0x10, i];
        writer.dependency(place, &words.map(u64::to_le_bytes).concat());
    }
    (writer, types)
}

struct Sent {
    process: ProcessInfo,
    stream: StreamParts,
    blocks: Vec<BlockRequest>,
}

/// A block of each piece between two cuts. Ticks per second are known or not.
fn sent(events: &[Event], cuts: &[usize], frequency: i64) -> Sent {
    let process = ProcessInfo {
        process_id: Uuid::new_v4(),
        exe: "game".to_owned(),
        tsc_frequency: frequency,
        start_time: START,
        ..ProcessInfo::default()
    };
    let (empty, _) = writer();
    let (dependencies_metadata, objects_metadata) = empty.metadata();
    let stream = StreamParts {
        stream_id: Uuid::new_v4(),
        process_id: process.process_id,
        dependencies_metadata,
        objects_metadata,
        tags: vec!["cpu".to_owned()],
        properties: vec![
            ("thread-name".to_owned(), "main".to_owned()),
            ("thread-id".to_owned(), "7".to_owned()),
        ],
        format: TRANSIT_FORMAT.to_owned(),
        insert_time: 0,
    };
    let mut blocks = Vec::new();
    for piece in cuts.windows(2) {
        let (mut writer, types) = writer();
        for (call, tick) in &events[piece[0]..piece[1]] {
            let (type_, name) = match call {
                Call::Begin(name) => (types[0], *name),
                Call::End(name) => (types[1], *name),
                Call::Unknown => (types[2], 0),
            };
            writer.event(type_, &[0x2000 + name as u64 * 0x40, *tick as u64].map(u64::to_le_bytes).concat());
        }
        let (begin_ticks, end_ticks) = bounds(events, piece[0], piece[1]);
        let info = BlockInfo {
            block_id: Uuid::new_v4(),
            stream_id: stream.stream_id,
            process_id: process.process_id,
            begin_time: START + begin_ticks,
            begin_ticks,
            end_time: START + end_ticks,
            end_ticks,
            nb_objects: (piece[1] - piece[0]) as i32,
            object_offset: piece[0] as i64,
            ..BlockInfo::default()
        };
        blocks.push(BlockRequest::encode(info, &writer.payload()));
    }
    Sent { process, stream, blocks }
}

fn bounds(events: &[Event], from: usize, to: usize) -> (i64, i64) {
    (events.get(from.wrapping_sub(1)).map_or(events[from].1, |e| e.1), events[to - 1].1)
}

async fn lake_at(options: &LakeOptions) -> Lake {
    let registrations = belvedere_core::registrations().into_iter().chain(crate::registrations());
    let assembly = Assembly::new(registrations).unwrap();
    Lake::assemble(options, assembly, LakeConfig::default()).await.unwrap()
}

async fn lake() -> Lake {
    lake_at(&LakeOptions::in_memory()).await
}

/// A lake in memory, and one on PostgreSQL where there is one.
async fn lakes() -> Vec<Lake> {
    let mut lakes = vec![lake().await];
    if let Some(url) = belvedere_testkit::postgres_database() {
        let database = url.parse().unwrap();
        lakes.push(lake_at(&LakeOptions { database, ..LakeOptions::in_memory() }).await);
    }
    lakes
}

async fn announce(lake: &Lake, sent: &Sent) {
    lake.connection().insert_process(sent.process.clone()).await.unwrap();
    lake.connection().insert_stream(sent.stream.clone().into()).await.unwrap();
}

fn number(batch: &RecordBatch, column: usize, row: usize) -> i64 {
    cast(batch.column(column), &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(row)
}

/// The rows of the stream, sorted.
async fn found(lake: &Lake, sent: &Sent) -> Vec<Span> {
    let sql = format!(
        "SELECT id, parent, depth, \"begin\", \"end\", name, is_complete FROM view_instance('thread_spans', '{}')",
        sent.stream.stream_id
    );
    let mut spans = Vec::new();
    for batch in lake.sql(&sql).await.unwrap() {
        for row in 0..batch.num_rows() {
            let n = |column| number(&batch, column, row);
            let name = batch.column(5).as_string::<i32>().value(row).to_owned();
            let is_complete = batch.column(6).as_boolean().value(row);
            spans.push((n(0), n(1), n(2), n(3) - START, n(4) - START, name, is_complete));
        }
    }
    spans.sort();
    spans
}

/// A program of up to 60 events, where it is cut into blocks, in which order they come, and which one does not.
type Case = (Vec<(u8, usize, i64)>, Vec<usize>, u64, usize);

fn cases() -> impl Strategy<Value = Case> {
    let event = (0_u8..11, 0..NAMES.len(), 0_i64..50);
    (prop::collection::vec(event, 1..60), prop::collection::vec(1_usize..60, 0..8), any::<u64>(), 0_usize..8)
}

fn cuts(events: &[Event], at: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = at.iter().copied().filter(|c| *c < events.len()).collect();
    cuts.extend([0, events.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Some order of so many things.
fn order(count: usize, mut seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (seed >> 33) as usize % (i + 1));
    }
    order
}

async fn run((program, at, seed, missing): Case) {
    let events = events(&program);
    let cuts = cuts(&events, &at);
    let sent = sent(&events, &cuts, SECOND);
    let count = sent.blocks.len();
    let missing = if count > 1 { missing % count } else { count };
    let lake = lake().await;
    announce(&lake, &sent).await;
    for i in order(count, seed) {
        if i != missing {
            lake.connection().insert_block(sent.blocks[i].clone()).await.unwrap();
        }
    }
    let id = sent.stream.stream_id.to_string();

    // the events of one block are not there: those before it and those behind it are two runs
    let mut without = Vec::new();
    for (from, to) in [(0, missing), (missing + 1, count)] {
        if from < to && to <= count {
            let (from, to) = (cuts[from], cuts[to]);
            let (begin, end) = (bounds(&events, from, from + 1).0, events[to - 1].1);
            expected(&events[from..to], from as i64, begin, end, &mut without);
        }
    }
    without.sort();
    assert_eq!(found(&lake, &sent).await, without, "without block {missing} of {count}");
    if missing < count {
        rows_do_not_depend_on_partitions(&lake, "thread_spans", &id).await.unwrap();
        assert_eq!(found(&lake, &sent).await, without, "from partitions, without block {missing}");
        // it comes late, when partitions have been made without it
        lake.connection().insert_block(sent.blocks[missing].clone()).await.unwrap();
    }
    let mut whole = Vec::new();
    let end = events.last().unwrap().1;
    expected(&events, 0, events[0].1, end, &mut whole);
    whole.sort();
    assert_eq!(found(&lake, &sent).await, whole, "healed");
    rows_do_not_depend_on_partitions(&lake, "thread_spans", &id).await.unwrap();
    assert_eq!(found(&lake, &sent).await, whole, "from partitions");
    let report = lake.check(100, false).await.unwrap();
    assert!(report.is_clean() && report.compared > 0, "{report:?}");
    lake.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn spans_do_not_depend_on_cuts_order_and_partitions_and_a_late_block_heals_them(case in cases()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(case));
    }
}

/// Begins of a program without pauses, and what answers say fits nothing.
async fn ignored(calls: &[Call]) -> (usize, u64) {
    let events: Vec<Event> = calls.iter().copied().zip((0..).map(|i| 100 + 10 * i)).collect();
    let sent = sent(&events, &[0, 3, events.len()], SECOND);
    let lake = lake().await;
    announce(&lake, &sent).await;
    for block in &sent.blocks {
        lake.connection().insert_block(block.clone()).await.unwrap();
    }
    let sql = format!("SELECT * FROM view_instance('thread_spans', '{}')", sent.stream.stream_id);
    let mut counts = Vec::new();
    for _ in 0..2 {
        let result = lake.query(&sql, TimeRange::ALL).await.unwrap();
        let rows: Vec<RecordBatch> = result.rows.try_collect().await.unwrap();
        let rows: usize = rows.iter().map(RecordBatch::num_rows).sum();
        counts.push((rows, result.report.ignored_events()));
        // the second time from a partition
        rows_do_not_depend_on_partitions(&lake, "thread_spans", &sent.stream.stream_id.to_string())
            .await
            .unwrap();
    }
    assert_eq!(counts[0], counts[1]);
    lake.close().await;
    counts[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_nothing_costs_itself_and_is_counted() {
    use Call::{Begin, End, Unknown};
    // update(draw(sort)) without the end of sort, an end of what never began, and something unknown
    let wrong = [Begin(0), Begin(1), Begin(2), End(1), End(0), End(1), Unknown, Begin(0), End(0)];
    assert_eq!(ignored(&wrong).await, (5, 3));
    let right = [Begin(0), Begin(1), Begin(2), End(2), End(1), End(0), Begin(0), End(0)];
    assert_eq!(ignored(&right).await, (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_cannot_be_read_is_like_a_missing_one_and_is_reported() {
    let program: Vec<(u8, usize, i64)> = (0..30).map(|i| ([1, 6, 2][i % 3], i % 4, 5)).collect();
    let events = events(&program);
    let cuts = [0, 10, 20, 30];
    let mut sent = sent(&events, &cuts, SECOND);
    let damaged = PayloadParts {
        dependencies: compress(&[]).into(),
        objects: compress(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 77]).into(),
    };
    sent.blocks[1] = BlockRequest::encode(sent.blocks[1].info.clone(), &damaged);
    let lake = lake().await;
    announce(&lake, &sent).await;
    for block in &sent.blocks {
        lake.connection().insert_block(block.clone()).await.unwrap();
    }
    let mut without = Vec::new();
    for (from, to) in [(0, 10), (20, 30)] {
        let (begin, end) = (bounds(&events, from, from + 1).0, events[to - 1].1);
        expected(&events[from..to], from as i64, begin, end, &mut without);
    }
    without.sort();
    let id = sent.stream.stream_id.to_string();
    for _ in 0..2 {
        assert_eq!(found(&lake, &sent).await, without);
        let sql = format!("SELECT count(*) FROM view_instance('thread_spans', '{id}')");
        let result = lake.query(&sql, TimeRange::ALL).await.unwrap();
        result.rows.try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(result.report.fault_count(), 1);
        rows_do_not_depend_on_partitions(&lake, "thread_spans", &id).await.unwrap();
    }
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_on_behind_partitions_whose_blocks_are_gone() {
    for lake in lakes().await {
        blocks_go(&lake).await;
        lake.close().await;
    }
}

async fn blocks_go(lake: &Lake) {
    let program: Vec<(u8, usize, i64)> = (0..30).map(|i| ([1, 2, 6][i % 3], i % 4, 5)).collect();
    let events = events(&program);
    let sent = sent(&events, &[0, 10, 20, 30], SECOND);
    announce(lake, &sent).await;
    let id = sent.stream.stream_id.to_string();
    for block in &sent.blocks[..2] {
        lake.connection().insert_block(block.clone()).await.unwrap();
    }
    // leaves its partitions behind
    rows_do_not_depend_on_partitions(lake, "thread_spans", &id).await.unwrap();
    let before = found(lake, &sent).await;
    let retention = Retention {
        blocks: Keep { age: Some(std::time::Duration::ZERO), bytes: None },
        ..Retention::default()
    };
    lake.maintain_once(&retention, &|_| ()).await.unwrap();
    let blocks = lake.sql("SELECT count(*) FROM blocks").await.unwrap();
    assert_eq!(number(&blocks[0], 0, 0), 0);
    assert_eq!(found(lake, &sent).await, before);
    lake.connection().insert_block(sent.blocks[2].clone()).await.unwrap();
    let mut whole = Vec::new();
    expected(&events, 0, events[0].1, events.last().unwrap().1, &mut whole);
    whole.sort();
    assert_eq!(found(lake, &sent).await, whole);
    // a block that is known already, under another name and late: what can't be made anew stays, and its events are there
    let payload = sent.blocks[0].payload();
    let parts = belvedere_model::wire::PayloadParts::split(&payload).unwrap();
    let late =
        BlockRequest::encode(BlockInfo { block_id: Uuid::new_v4(), ..sent.blocks[0].info.clone() }, &parts);
    lake.connection().insert_block(late).await.unwrap();
    let again = found(lake, &sent).await;
    assert!(again.len() > whole.len() && whole.iter().all(|span| again.contains(span)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_without_end_does_not_grow_without_bound() {
    let calls: Vec<Event> = (0..40_000).map(|i| (Call::Begin(i as usize % 4), i)).collect();
    let sent = sent(&calls, &[0, 30_000, 40_000], SECOND);
    let lake = lake().await;
    announce(&lake, &sent).await;
    for block in &sent.blocks {
        lake.connection().insert_block(block.clone()).await.unwrap();
    }
    let spans = found(&lake, &sent).await;
    assert_eq!(spans.len(), (16 << 10) + 1);
    lake.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_tick_rate_is_not_known_time_does_not_jump_between_blocks() {
    // two calls that nest, over and over, in blocks whose clocks were read a little late or early
    let mut calls = Vec::new();
    for i in 0..200 {
        let tick = 1_000_000 + i * 40_000;
        calls.extend([
            (Call::Begin(0), tick),
            (Call::Begin(1), tick + 10_000),
            (Call::End(1), tick + 20_000),
            (Call::End(0), tick + 30_000),
        ]);
    }
    let cuts: Vec<usize> = (0..=calls.len()).step_by(10).collect();
    let mut sent = sent(&calls, &cuts, 0);
    for (i, block) in sent.blocks.iter_mut().enumerate() {
        let late = [0, 9_000, -7_000, 3_000][i % 4];
        block.info.end_time += late;
        let payload = block.payload();
        let parts = belvedere_model::wire::PayloadParts::split(&payload).unwrap();
        *block = BlockRequest::encode(block.info.clone(), &parts);
    }
    let lake = lake().await;
    announce(&lake, &sent).await;
    for block in &sent.blocks {
        lake.connection().insert_block(block.clone()).await.unwrap();
    }
    let spans = found(&lake, &sent).await;
    assert_eq!(spans.len(), 401);
    let by_id: std::collections::HashMap<i64, &Span> = spans.iter().map(|s| (s.0, s)).collect();
    for span in spans.iter().filter(|s| s.0 >= 0) {
        let parent = by_id[&span.1];
        assert!(span.3 >= parent.3 && span.4 <= parent.4, "{span:?} is not within {parent:?}");
        let duration = span.4 - span.3;
        let whole = if span.5 == "update" { 30_000 } else { 10_000 };
        // a thousandth for the bend, the rest for what the clocks were off
        assert!((duration - whole).abs() <= whole / 50, "{span:?}");
    }
    lake.close().await;
}
