//! A model: whatever is done in whatever order, answers are those of a plain list.

use super::merge::due;
use super::{Keep, Retention};
use crate::fixture::{block, insert, lake, lake_at, lake_with, number, process};
use crate::lake::Progress;
use crate::scan::Instance;
use crate::{Lake, LakeConfig};
use belvedere_lake::{LakeOptions, NewPartition, PartitionRecord};
use belvedere_model::SeqRange;
use belvedere_model::time::{SECOND, TimeRange};
use futures::TryStreamExt;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Lakes that a test is to be run on: in memory, and on PostgreSQL where there is one.
async fn backends() -> Vec<Lake> {
    let mut lakes = vec![lake().await];
    if let Some(url) = belvedere_testkit::postgres_database() {
        let database = belvedere_lake::Database::Postgres(url);
        let options = LakeOptions { database, ..LakeOptions::in_memory() };
        lakes.push(lake_at(&options, LakeConfig::default()).await);
    }
    lakes
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// A block of process `.0` comes with these ticks; of its stream or process nothing has been heard if `.2`.
    Ingest(usize, Vec<i64>, bool),
    /// What was sent last is sent again.
    Repeat,
    /// The process of a block that came too early is announced.
    Announce(usize),
    /// Everything is brought up to date, by one or by two at once.
    Maintain(bool),
    /// The partitions of a process' instance are made for some of its blocks.
    JustInTime(usize, i64, i64),
    /// What can be merged is.
    Merge,
    /// Some of the partitions are retired.
    Retire(u8),
}

const PROCESSES: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ticks = prop::collection::vec(0_i64..60_000, 1..6);
    let step = prop_oneof![
        5 => (0..PROCESSES, ticks, prop::bool::weighted(0.2)).prop_map(|(p, t, early)| Step::Ingest(p, t, early)),
        1 => Just(Step::Repeat),
        1 => (0..PROCESSES).prop_map(Step::Announce),
        2 => any::<bool>().prop_map(Step::Maintain),
        2 => (0..PROCESSES, 1_i64..20, 1_i64..20).prop_map(|(p, a, b)| Step::JustInTime(p, a.min(b), a.max(b))),
        2 => Just(Step::Merge),
        1 => any::<u8>().prop_map(Step::Retire),
    ];
    prop::collection::vec(step, 1..24)
}

/// What was sent of a process: ids of its streams, whether it was announced, and its rows.
struct Sent {
    id: Uuid,
    is_announced: bool,
    visible: Vec<i64>,
    waiting: Vec<i64>,
}

fn instances(lake: &Lake, processes: &[Sent]) -> Vec<Instance> {
    let context = lake.context(TimeRange::ALL);
    let factory = context.factory();
    let mut ids = vec![("ticks", "global".to_owned()), ("tick_stats", "global".to_owned())];
    ids.extend(processes.iter().map(|p| ("ticks", p.id.to_string())));
    ids.iter().map(|(set, id)| factory.make_view(set, id).unwrap().instance().unwrap().clone()).collect()
}

async fn agree(lake: &Lake, processes: &[Sent]) {
    let everything: Vec<i64> = processes.iter().flat_map(|p| p.visible.iter().copied()).collect();
    let facts = "count(*) + 1000000 * COALESCE(sum(number), 0)";
    let expected = |rows: &[i64]| rows.len() as i64 + 1_000_000 * rows.iter().sum::<i64>();
    let found = number(lake, &format!("SELECT {facts} FROM ticks"), TimeRange::ALL).await;
    assert_eq!(found, expected(&everything), "all ticks");
    let ticks =
        number(lake, "SELECT CAST(COALESCE(sum(ticks), 0) AS BIGINT) FROM tick_stats", TimeRange::ALL).await;
    assert_eq!(ticks, everything.len() as i64, "ticks in statistics");
    let bins: std::collections::BTreeSet<(Uuid, i64)> =
        processes.iter().flat_map(|p| p.visible.iter().map(|t| (p.id, t / 10_000))).collect();
    let rows = number(lake, "SELECT count(*) FROM tick_stats", TimeRange::ALL).await;
    assert_eq!(rows, bins.len() as i64, "rows of statistics");
    // a range of time: ticks are milliseconds
    let time = |tick: i64| 1_000 * SECOND + tick * SECOND / 1_000;
    let range = TimeRange { begin: Some(time(20_000)), end: Some(time(40_000)) };
    let within: Vec<i64> = everything.iter().copied().filter(|t| (20_000..=40_000).contains(t)).collect();
    assert_eq!(
        number(lake, &format!("SELECT {facts} FROM ticks"), range).await,
        expected(&within),
        "in a range"
    );
    for process in processes.iter().filter(|p| p.is_announced) {
        let one = format!("SELECT {facts} FROM view_instance('ticks', '{}')", process.id);
        assert_eq!(number(lake, &one, TimeRange::ALL).await, expected(&process.visible), "of one process");
    }
}

async fn run(lake: &Lake, steps: &[Step]) {
    let mut processes: Vec<Sent> = (0..PROCESSES)
        .map(|_| Sent { id: Uuid::new_v4(), is_announced: false, visible: Vec::new(), waiting: Vec::new() })
        .collect();
    let connection = lake.connection();
    let builder = || lake.partition_builder();
    let mut last = None;
    for step in steps {
        match step {
            Step::Ingest(p, ticks, is_early) => {
                let sent = &mut processes[*p];
                let numbered: Vec<(i64, i64)> = ticks.iter().map(|t| (*t, *t)).collect();
                let (stream, request) = block(sent.id, Uuid::new_v4(), &numbered, 1_000);
                connection.insert_stream(stream.into()).await.unwrap();
                connection.insert_block(request.clone()).await.unwrap();
                sent.waiting.extend(ticks);
                if !is_early {
                    connection.insert_process(process(sent.id, 1_000)).await.unwrap();
                    sent.is_announced = true;
                }
                if sent.is_announced {
                    sent.visible.append(&mut sent.waiting);
                }
                last = Some(request);
            }
            Step::Repeat => {
                if let Some(request) = &last {
                    connection.insert_block(request.clone()).await.unwrap();
                }
            }
            Step::Announce(p) => {
                let sent = &mut processes[*p];
                connection.insert_process(process(sent.id, 1_000)).await.unwrap();
                sent.is_announced = true;
                sent.visible.append(&mut sent.waiting);
            }
            Step::Maintain(by_two) => {
                let keep = Retention::default();
                let (one, other) = (lake.maintain_once(&keep, &|_| ()), async {
                    if *by_two { lake.maintain_once(&keep, &|_| ()).await } else { Ok(0) }
                });
                let (one, other) = tokio::join!(one, other);
                assert_eq!((one.unwrap(), other.unwrap()), (0, 0));
            }
            Step::JustInTime(p, begin, end) => {
                let instance = &instances(lake, &processes)[2 + p];
                let last = connection.catalog().last_seq().await.unwrap();
                let range = SeqRange::new((*begin).min(last), (*end).min(last));
                if !range.is_empty() && last > 0 {
                    builder().fill(instance, range, &mut |_| ()).await.unwrap();
                }
            }
            Step::Merge => {
                for instance in instances(lake, &processes) {
                    builder().merge_due(&instance, i64::MAX, &mut |_| ()).await.unwrap();
                }
            }
            Step::Retire(which) => {
                let all = connection.catalog().partitions(None, 0, 1000).await.unwrap();
                let ids: Vec<i64> =
                    all.iter().map(|p| p.partition_id).filter(|id| id % 3 == i64::from(which % 3)).collect();
                connection.catalog().retire(&ids, belvedere_model::time::now()).await.unwrap();
            }
        }
        agree(lake, &processes).await;
    }
    // what nothing refers to any more is gone, what is left is whole
    builder().sweep().await.unwrap();
    let report = lake.check(100, false).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_acknowledged_block_is_in_every_answer_once_whatever_is_done_meanwhile(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            for lake in backends().await {
                run(&lake, &steps).await;
                lake.close().await;
            }
        });
    }

    #[test]
    fn what_is_merged_follows_each_other_and_was_received_in_one_minute_hour_or_day(
        received in prop::collection::vec((0_i64..200_000, 0_i64..4_000, any::<bool>(), 0_i64..3), 0..40),
        now in 0_i64..300_000,
    ) {
        let mut seq = 1;
        let mut partitions = Vec::new();
        for (i, (begin, length, has_rows, gap)) in received.iter().enumerate() {
            seq += gap / 2;
            partitions.push(partition(i as i64, SeqRange::new(seq, seq + 4), (*begin, begin + length), *has_rows));
            seq += 5;
        }
        for group in due(&partitions, true, now * SECOND) {
            prop_assert!(group.len() > 1);
            prop_assert!(group.windows(2).all(|w| w[0].content.seqs.end + 1 == w[1].content.seqs.begin));
            let begin = group.iter().map(|p| p.content.insert_begin).min().unwrap() / SECOND;
            let end = group.iter().map(|p| p.content.insert_end).max().unwrap() / SECOND;
            let is_one = |width: i64| begin / width == end / width && (begin / width + 1) * width <= now;
            prop_assert!(is_one(60) || is_one(3_600) || is_one(86_400));
        }
    }
}

fn partition(id: i64, seqs: SeqRange, received: (i64, i64), has_rows: bool) -> PartitionRecord {
    let rows = i64::from(has_rows);
    PartitionRecord {
        partition_id: id,
        content: NewPartition {
            token: Uuid::new_v4(),
            view_set: "ticks".to_owned(),
            instance: "global".to_owned(),
            schema_hash: vec![1],
            seqs,
            insert_begin: received.0 * SECOND,
            insert_end: received.1 * SECOND,
            events: has_rows.then_some((received.0, received.1)),
            block_count: 1,
            object_count: 1,
            fault_count: 0,
            row_count: rows,
            file_key: has_rows.then(|| id.to_string()),
            file_size: rows * 1000,
            sums: None,
            sort_order: vec!["time".to_owned()],
            process_ids: None,
            is_last_copy: false,
            ignored_count: 0,
            chain: None,
        },
        updated: 0,
        is_file_lost: false,
    }
}

/// Senders, materializers and askers at once: each answer has all that was acknowledged before the question, and
/// nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_are_whole_while_senders_and_materializers_are_at_work() {
    for lake in backends().await {
        let acknowledged = Arc::new(AtomicI64::new(0));
        let sent = Arc::new(AtomicI64::new(0));
        let senders = (0..3).map(|s| {
            let (lake, acknowledged, sent) = (lake.clone(), acknowledged.clone(), sent.clone());
            tokio::spawn(async move {
                let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
                for i in 0..25 {
                    sent.fetch_add(2, Ordering::SeqCst);
                    let at = i * 500 + s;
                    let ticks = [(at, at), (at + 1, at + 1)];
                    insert(&lake, process(id, 1_000), block(id, stream, &ticks, 1_000)).await;
                    acknowledged.fetch_add(2, Ordering::SeqCst);
                }
            })
        });
        let senders: Vec<_> = senders.collect();
        let keepers: Vec<_> = (0..2)
            .map(|_| {
                let lake = lake.clone();
                tokio::spawn(async move {
                    loop {
                        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
                        let context = lake.context(TimeRange::ALL);
                        let factory = context.factory();
                        for set in ["ticks", "tick_stats"] {
                            let view = factory.get_global_view(set).unwrap();
                            let builder = lake.partition_builder();
                            builder.merge_due(view.instance().unwrap(), i64::MAX, &mut |_| ()).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        let sql = "SELECT (SELECT count(*) FROM ticks) * 1000000 + COALESCE((SELECT sum(ticks) FROM tick_stats), 0)";
        while !senders.iter().all(|s| s.is_finished()) {
            let before = acknowledged.load(Ordering::SeqCst);
            let both = number(&lake, sql, TimeRange::ALL).await;
            let after = sent.load(Ordering::SeqCst);
            let (rows, counted) = (both / 1_000_000, both % 1_000_000);
            assert_eq!(rows, counted, "one query sees one state of the lake");
            assert!((before..=after).contains(&rows), "{rows} rows, {before} acknowledged, {after} sent");
        }
        for keeper in keepers {
            keeper.abort();
            let _ = keeper.await;
        }
        assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 150);
        assert!(lake.check(100, false).await.unwrap().is_clean());
        lake.close().await;
    }
}

async fn filled(blocks: i64) -> Lake {
    filled_with(blocks, LakeConfig::default()).await
}

async fn filled_with(blocks: i64, config: LakeConfig) -> Lake {
    let lake = lake_with(config).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for i in 0..blocks {
        insert(&lake, process(id, 1_000), block(id, stream, &[(i * 1_000, i)], 1_000)).await;
    }
    lake
}

#[tokio::test]
async fn what_is_kept_forever_outlives_its_blocks_and_what_is_not_covered_keeps_them() {
    let lake = filled_with(5, LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() }).await;
    let blocks_go =
        Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
    // no partition has the rows yet
    assert_eq!(lake.what_would_expire(&blocks_go).await.unwrap(), []);
    let expired = std::sync::Mutex::new(Vec::new());
    let note = |progress| {
        if let Progress::Expired(e) = progress {
            expired.lock().unwrap().push((e.what, e.count));
        }
    };
    lake.maintain_once(&Retention::default(), &note).await.unwrap();
    let would = lake.what_would_expire(&blocks_go).await.unwrap();
    assert_eq!((would[0].count, would[0].is_dry_run), (5, true));
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 5);
    lake.maintain_once(&blocks_go, &note).await.unwrap();
    assert_eq!(expired.lock().unwrap().drain(..).collect::<Vec<_>>(), [("blocks".to_owned(), 5)]);
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 0);
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 5);
    // and what comes then is added to it
    let id = Uuid::new_v4();
    insert(&lake, process(id, 1_000), block(id, Uuid::new_v4(), &[(1, 1)], 1_000)).await;
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 6);
    // rows that can't be made again are not thrown away by mistake
    let again = "SELECT * FROM regenerate_partitions('ticks', '2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z', 2524608000)";
    let error = lake.sql(again).await.unwrap_err().to_string();
    assert!(error.contains("5 of the 5 blocks") && error.contains("can't be rebuilt"), "{error}");
    // a view set that nobody named goes with everything
    let all_go = Retention { views: Keep { age: Some(Duration::ZERO), bytes: None }, ..blocks_go };
    lake.maintain_once(&all_go, &note).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 0);
    assert_eq!(number(&lake, "SELECT count(*) FROM list_partitions()", TimeRange::ALL).await, 0);
    // it was announced once, and may still send
    assert_eq!(number(&lake, "SELECT count(*) FROM processes", TimeRange::ALL).await, 2);
}

#[tokio::test]
async fn a_block_that_retention_took_doubles_no_row_when_it_is_sent_again_and_is_new_when_its_rows_are_gone()
{
    let config = || LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() };
    let mut lakes = vec![lake_with(config()).await];
    if let Some(url) = belvedere_testkit::postgres_database() {
        let database = belvedere_lake::Database::Postgres(url);
        lakes.push(lake_at(&LakeOptions { database, ..LakeOptions::in_memory() }, config()).await);
    }
    for lake in lakes {
        let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
        let sent: Vec<_> = (0..4).map(|i| block(id, stream, &[(i * 1_000, i)], 1_000)).collect();
        for block in &sent {
            insert(&lake, process(id, 1_000), block.clone()).await;
        }
        let blocks_go =
            Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
        let count =
            async |what: &str| number(&lake, &format!("SELECT count(*) FROM {what}"), TimeRange::ALL).await;
        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
        assert_eq!((count("blocks").await, count("ticks").await), (0, 4));
        // alone and beside new ones, before and after maintenance, and more than once
        for round in 0..3 {
            lake.connection().insert_block(sent[0].1.clone()).await.unwrap();
            let new = block(id, stream, &[(9_000 + round, 9)], 1_000);
            let again =
                [&sent[1], &new, &sent[2], &sent[2]].map(|b| lake.connection().insert_block(b.1.clone()));
            futures::future::join_all(again).await.into_iter().for_each(|taken| taken.unwrap());
            assert_eq!((count("blocks").await, count("ticks").await), (1, 5 + round));
            lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
            assert_eq!((count("blocks").await, count("ticks").await), (0, 5 + round));
        }
        // nobody knows their rows any more
        let all_go = Retention { views: Keep { age: Some(Duration::ZERO), bytes: None }, ..blocks_go };
        lake.maintain_once(&all_go, &|_| ()).await.unwrap();
        assert_eq!((count("blocks").await, count("ticks").await), (0, 0));
        for _ in 0..2 {
            lake.connection().insert_block(sent[0].1.clone()).await.unwrap();
            assert_eq!((count("blocks").await, count("ticks").await), (1, 1));
        }
        lake.close().await;
    }
}

#[tokio::test]
async fn blocks_stay_while_somebody_may_read_them_in_the_place_of_a_new_partition() {
    let lake = filled(5).await;
    let blocks_go =
        Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
    lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 5);
}

#[tokio::test]
async fn who_goes_away_in_the_middle_of_a_change_leaves_no_transaction_open() {
    let directory = tempfile::tempdir().unwrap();
    let lake = lake_at(&LakeOptions::directory(directory.path()), LakeConfig::default()).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for i in 0..30 {
        insert(&lake, process(id, 1_000), block(id, stream, &[(i, i)], 1_000)).await;
        let context = lake.context(TimeRange::ALL);
        let factory = context.factory();
        let instance = factory.get_global_view("ticks").unwrap().instance().unwrap().clone();
        let builder = lake.partition_builder();
        builder.fill(&instance, SeqRange::new(1, i + 1), &mut |_| ()).await.unwrap();
        let partitions = builder.partitions(&instance).await.unwrap();
        let ids: Vec<i64> = partitions.iter().map(|p| p.partition_id).collect();
        // begun, then dropped
        let retire = builder.catalog().retire(&ids, 0);
        let _ = tokio::time::timeout(Duration::from_micros(i as u64 * 10), retire).await;
    }
    // what is acknowledged now is seen by others now
    insert(&lake, process(id, 1_000), block(id, stream, &[(99, 99)], 1_000)).await;
    let other = lake_at(&LakeOptions::directory(directory.path()), LakeConfig::default()).await;
    assert_eq!(number(&other, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 31);
    assert!(other.check(100, false).await.unwrap().is_clean());
}

#[tokio::test]
async fn the_latest_partitions_stay_when_there_are_too_many_bytes_of_them() {
    let lake = filled(1).await;
    for i in 0..4 {
        let id = Uuid::new_v4();
        insert(&lake, process(id, 1_000), block(id, Uuid::new_v4(), &[(i, i)], 1_000)).await;
        let context = lake.context(TimeRange::ALL);
        let factory = context.factory();
        let instance = factory.get_global_view("ticks").unwrap().instance().unwrap().clone();
        lake.partition_builder().fill(&instance, SeqRange::new(1, 2 + i), &mut |_| ()).await.unwrap();
    }
    let sizes = "SELECT CAST(sum(file_size) AS BIGINT) FROM list_partitions()";
    let bytes = number(&lake, sizes, TimeRange::ALL).await;
    let limit = Keep { age: None, bytes: Some(bytes as u64 / 2) };
    let retention = Retention { named: [("ticks".to_owned(), limit)].into(), ..Retention::default() };
    let builder = lake.partition_builder();
    let expired = builder.expire(&retention, false).await.unwrap();
    assert_eq!((expired[0].what.as_str(), expired[0].count), ("ticks", 2));
    assert!(number(&lake, sizes, TimeRange::ALL).await <= bytes / 2);
    assert_eq!(number(&lake, "SELECT min(begin_seq) FROM list_partitions()", TimeRange::ALL).await, 4);
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 5);
}

#[tokio::test]
async fn files_that_were_replaced_are_kept_for_their_readers_and_orphans_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let config = LakeConfig { grace: Duration::from_secs(3600), ..LakeConfig::default() };
    let lake = lake_at(&LakeOptions::directory(directory.path()), config).await;
    let id = Uuid::new_v4();
    insert(&lake, process(id, 1_000), block(id, Uuid::new_v4(), &[(1, 1)], 1_000)).await;
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    let store = lake.connection().store().clone();
    let files = async || -> Vec<String> {
        let files: Vec<_> = store.list(Some(&"partitions".into())).try_collect().await.unwrap();
        files.iter().map(|f| f.location.to_string()).collect()
    };
    assert_eq!(files().await.len(), 2);
    let retire = "SELECT count(*) FROM retire_partitions('ticks', 'global', '2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z')";
    assert_eq!(number(&lake, retire, TimeRange::ALL).await, 1);
    let builder = lake.partition_builder();
    assert_eq!(builder.sweep().await.unwrap(), 0);
    assert_eq!(files().await.len(), 2);
    // a crash between writing and publishing, and one in the middle of writing, both an hour and more ago
    let day = directory.path().join("partitions/ticks/global/2026-01-01");
    std::fs::create_dir_all(&day).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH
        + Duration::from_nanos(belvedere_model::time::now() as u64 - 2 * 3600 * SECOND as u64);
    for name in ["12-00-00_1-1_0.parquet", "12-00-00_1-1_1.parquet#1", "12-00-00_1-1_2.parquet"] {
        let file = std::fs::File::create(day.join(name)).unwrap();
        // somebody may just be about to publish the last one
        if !name.contains("_2") {
            file.set_modified(long_ago).unwrap();
        }
    }
    let report = lake.check(10, false).await.unwrap();
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].text.contains("12-00-00_1-1_0.parquet"));
    assert_eq!(builder.sweep().await.unwrap(), 2);
    assert_eq!(std::fs::read_dir(&day).unwrap().count(), 1);
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 1);
}

#[tokio::test]
async fn a_damaged_partition_is_found_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let lake = lake_at(&LakeOptions::directory(directory.path()), LakeConfig::default()).await;
    let id = Uuid::new_v4();
    for i in 0..3 {
        insert(&lake, process(id, 1_000), block(id, Uuid::new_v4(), &[(i, i)], 1_000)).await;
        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    }
    let partitions = lake.connection().catalog().partitions(Some("ticks"), 0, 10).await.unwrap();
    let file = |i: usize| directory.path().join(partitions[i].content.file_key.as_deref().unwrap());
    // cut short, gone, and the rows of another one
    std::fs::File::options().write(true).open(file(0)).unwrap().set_len(10).unwrap();
    std::fs::remove_file(file(1)).unwrap();
    let wrong = NewPartition {
        seqs: SeqRange::new(100, 100),
        token: Uuid::new_v4(),
        ..partitions[2].content.clone()
    };
    assert!(lake.connection().catalog().publish(&wrong, &[], 0).await.unwrap());
    let report = lake.check(10, false).await.unwrap();
    assert_eq!(report.findings.len(), 2, "{report:?}");
    assert!(report.findings.iter().all(|f| f.can_be_repaired && !f.is_repaired));
    let retired =
        lake.connection().catalog().partitions(Some("ticks"), partitions[2].partition_id, 10).await.unwrap();
    lake.connection().catalog().retire(&[retired[0].partition_id], i64::MAX).await.unwrap();
    assert!(lake.check(10, true).await.unwrap().is_clean());
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 3);
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    assert!(lake.check(10, false).await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn what_a_query_decoded_of_a_process_is_kept_for_the_next_one() {
    let lake = lake_with(LakeConfig::default()).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    // numbers that don't compress
    let mut number_of = 88_172_645_463_325_252_u64;
    for b in 0..4_i64 {
        let ticks: Vec<(i64, i64)> = (0..60_000)
            .map(|i| {
                number_of ^= number_of << 13;
                number_of ^= number_of >> 7;
                number_of ^= number_of << 17;
                (b * 60_000 + i, number_of as i64)
            })
            .collect();
        insert(&lake, process(id, 1_000), block(id, stream, &ticks, 1_000)).await;
    }
    let sql = format!("SELECT count(*), max(number) FROM view_instance('ticks', '{id}')");
    let scan = async |sql: &str| {
        let result = lake.query(sql, TimeRange::ALL).await.unwrap();
        let report = result.report.clone();
        let rows: Vec<_> = result.rows.try_collect().await.unwrap();
        (rows, report.scans()[0].clone())
    };
    // to ask how it would be answered is no work, and leaves no note
    let (plan, _) = scan(&format!("EXPLAIN {sql}")).await;
    let text = arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    assert!(text.contains("0 of 0 partitions (0 bytes of files), 4 blocks to decode"), "{text}");
    lake.build_requested(&|_| ()).await;
    let (first, before) = scan(&sql).await;
    assert_eq!((before.partitions, before.blocks), (0, 4));
    lake.build_requested(&|_| ()).await;
    let (second, after) = scan(&sql).await;
    assert_eq!((after.partitions, after.blocks), (1, 0));
    assert_eq!(first, second);
    // nobody asked for the global table
    assert_eq!(number(&lake, "SELECT count(number) FROM ticks", TimeRange::ALL).await, 240_000);
    assert_eq!(number(&lake, "SELECT count(*) FROM list_partitions()", TimeRange::ALL).await, 1);
}
