//! A third party's view set, registered by value, over blocks made by hand.

use super::{QueryContext, QueryError};
use crate::assembly::{Assembly, Functions, SqlFunction};
use crate::fixture::{block, insert, lake, lake_at, lake_with, number, process};
use crate::{Lake, LakeConfig};
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use belvedere_lake::LakeOptions;
use belvedere_lake::access::{Caller, Identity, Right};
use belvedere_model::time::{SECOND, TimeRange};
use belvedere_view::{Item, Registration};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Volatility, create_udaf};
use futures::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use std::sync::Arc;
use uuid::Uuid;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever clocks say, a range and a WHERE give exactly the rows in it: no block is left out too early.
    #[test]
    fn pruning_never_loses_a_row(
        blocks in proptest::collection::vec(proptest::collection::vec(-50_i64..5_000, 1..8), 1..12),
        early in proptest::collection::vec(any::<bool>(), 12),
        bounds in proptest::collection::vec((0_i64..5_000, 0_i64..5_000), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let lake = lake().await;
            let frequency = 1_000;
            for (ticks, early) in blocks.iter().zip(&early) {
                let id = Uuid::new_v4();
                let ticks: Vec<(i64, i64)> = ticks.iter().map(|t| (*t, *t)).collect();
                let (stream, request) = block(id, Uuid::new_v4(), &ticks, frequency);
                if *early {
                    // the block comes before anything is known of its process
                    lake.connection().insert_block(request.clone()).await.unwrap();
                }
                insert(&lake, process(id, frequency), (stream, request)).await;
            }
            for (a, b) in bounds {
                let (begin, end) = (a.min(b), a.max(b));
                let expected = blocks.iter().flatten().filter(|t| **t >= begin && **t <= end).count() as i64;
                let time = |tick: i64| 1_000 * SECOND + tick * SECOND / frequency;
                let range = TimeRange { begin: Some(time(begin)), end: Some(time(end)) };
                assert_eq!(number(&lake, "SELECT count(*) FROM ticks", range).await, expected);
                let condition = format!(
                    "SELECT count(*) FROM ticks WHERE time >= arrow_cast({}, 'Timestamp(Nanosecond, None)') \
                     AND arrow_cast({}, 'Timestamp(Nanosecond, None)') >= time",
                    time(begin), time(end)
                );
                assert_eq!(number(&lake, &condition, TimeRange::ALL).await, expected);
                let upper = TimeRange { begin: None, end: Some(time(end)) };
                let expected = blocks.iter().flatten().filter(|t| **t <= end).count() as i64;
                assert_eq!(number(&lake, "SELECT count(number) FROM ticks", upper).await, expected);
            }
        });
    }
}

#[tokio::test]
async fn a_list_of_blocks_that_is_longer_than_a_page_is_read_to_its_end() {
    let lake = lake().await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    let count = i64::from(crate::scan::BLOCKS_OF_A_PAGE) * 2 + 7;
    let inserts = (0..count).map(|i| {
        let lake = lake.clone();
        async move { insert(&lake, process(id, 1_000), block(id, stream, &[(i, i)], 1_000)).await }
    });
    futures::stream::iter(inserts).buffer_unordered(64).collect::<Vec<_>>().await;
    let sums = lake.sql("SELECT count(*), sum(number), count(DISTINCT number) FROM ticks").await.unwrap();
    let value = |i: usize| sums[0].column(i).as_primitive::<Int64Type>().value(0);
    assert_eq!((value(0), value(1), value(2)), (count, count * (count - 1) / 2, count));
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, count);
    // a table that is read twice in one plan is read as a whole each time
    let twice = "SELECT count(*) FROM (SELECT number FROM ticks UNION ALL SELECT number FROM ticks)";
    assert_eq!(number(&lake, twice, TimeRange::ALL).await, 2 * count);
    let recursive = "WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL \
                     SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM ticks) AND n < 2) SELECT count(*) FROM r";
    assert_eq!(number(&lake, recursive, TimeRange::ALL).await, 3);
}

#[tokio::test]
async fn a_query_that_is_dropped_half_way_leaves_the_lake_as_it_was() {
    let lake = lake().await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for i in 0..40 {
        insert(&lake, process(id, 1_000), block(id, stream, &[(i, i)], 1_000)).await;
    }
    for _ in 0..20 {
        let mut result = lake.query("SELECT * FROM ticks", TimeRange::ALL).await.unwrap();
        assert!(result.rows.next().await.unwrap().is_ok());
    }
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 40);
}

#[tokio::test]
async fn a_decoder_that_panics_costs_its_block() {
    let lake = lake().await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for numbers in [[(1, 1), (2, 2)], [(3, 3), (4, -666)]] {
        insert(&lake, process(id, 1_000), block(id, stream, &numbers, 1_000)).await;
    }
    let result = lake.query("SELECT number FROM ticks", TimeRange::ALL).await.unwrap();
    let report = result.report.clone();
    let rows: Vec<_> = result.rows.try_collect().await.unwrap();
    assert_eq!(rows.iter().map(|r| r.num_rows()).sum::<usize>(), 2);
    assert_eq!((report.blocks(), report.fault_count()), (2, 1));
    assert!(report.faults()[0].reason.contains("panicked"));
    assert_eq!(number(&lake, "SELECT count(*) FROM block_faults()", TimeRange::ALL).await, 1);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_fails_alone_and_says_so() {
    let lake = lake_with(LakeConfig { memory_bytes: 1 << 20, ..LakeConfig::default() }).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    let many: Vec<(i64, i64)> = (0..200_000).map(|i| (i, i)).collect();
    insert(&lake, process(id, 1_000), block(id, stream, &many, 1_000)).await;
    let error = lake.sql("SELECT * FROM ticks ORDER BY number DESC").await.unwrap_err();
    assert!(matches!(error, super::QueryError::Resources(_)), "{error:?}");
    assert_eq!(number(&lake, "SELECT count(*) FROM processes", TimeRange::ALL).await, 1);
}

#[tokio::test]
async fn a_query_that_spills_more_than_it_may_fails_alone_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spilled = directory.path().join("made/for/that");
    let config = LakeConfig {
        memory_bytes: 32 << 20,
        spill_bytes: 1 << 20,
        spill_directory: Some(spilled.clone()),
        ..LakeConfig::default()
    };
    let lake = lake_with(config.clone()).await;
    let sorted = "SELECT CAST(max(n) AS BIGINT) FROM (SELECT row_number() OVER (ORDER BY value % 1013, value) AS n \
                  FROM generate_series(1, 2000000))";
    let error = lake.sql(sorted).await.unwrap_err();
    assert!(
        matches!(&error, super::QueryError::Resources(why) if why.contains("disk space for spilling")),
        "{error:?}"
    );
    assert_eq!(number(&lake, "SELECT count(*) FROM generate_series(1, 10)", TimeRange::ALL).await, 10);
    let files =
        |at: &std::path::Path| std::fs::read_dir(at).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let of_lake = files(&spilled);
    assert_eq!(of_lake.len(), 1);
    // what was being written when it failed goes when its task is gone
    while !files(&of_lake[0]).is_empty() {
        tokio::task::yield_now().await;
    }
    drop(lake);
    // it is the limit that was in the way
    let lake = lake_with(LakeConfig { spill_bytes: 1 << 30, ..config }).await;
    assert_eq!(number(&lake, sorted, TimeRange::ALL).await, 2_000_000);
}

#[tokio::test]
async fn a_block_that_would_decode_to_too_much_is_a_fault() {
    let lake = lake_with(LakeConfig { block_bytes: 1000, ..LakeConfig::default() }).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    let many: Vec<(i64, i64)> = (0..5_000).map(|i| (i, i)).collect();
    insert(&lake, process(id, 1_000), block(id, stream, &many, 1_000)).await;
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 0);
    assert_eq!(number(&lake, "SELECT count(*) FROM block_faults()", TimeRange::ALL).await, 1);
}

#[tokio::test]
async fn a_query_for_one_process_reads_only_its_blocks() {
    let lake = lake().await;
    let ids: Vec<Uuid> = (0..10).map(|_| Uuid::new_v4()).collect();
    for id in &ids {
        insert(&lake, process(*id, 1_000), block(*id, Uuid::new_v4(), &[(5, 5)], 1_000)).await;
    }
    let read = async |sql: String, range: TimeRange| {
        let result = lake.query(&sql, range).await.unwrap();
        let report = result.report.clone();
        result.rows.try_collect::<Vec<_>>().await.unwrap();
        report.blocks()
    };
    assert_eq!(read("SELECT * FROM ticks".to_owned(), TimeRange::ALL).await, 10);
    let one = ids[3];
    assert_eq!(read(format!("SELECT * FROM ticks WHERE process_id = '{one}'"), TimeRange::ALL).await, 1);
    assert_eq!(read(format!("SELECT * FROM view_instance('ticks', '{one}')"), TimeRange::ALL).await, 1);
    let future = TimeRange { begin: Some(2_000 * SECOND), end: None };
    assert_eq!(read("SELECT * FROM ticks".to_owned(), future).await, 0);
    let past = "SELECT * FROM ticks WHERE time < timestamp '1970-01-01T00:10:00'";
    assert_eq!(read(past.to_owned(), TimeRange::ALL).await, 0);
}

#[tokio::test]
async fn a_catalog_that_fails_is_a_failure_of_the_lake_whatever_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    let lake = lake_at(&LakeOptions::directory(directory.path()), LakeConfig::default()).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    insert(&lake, process(id, 1_000), block(id, stream, &[(1, 1)], 1_000)).await;
    lake.connection().close().await;
    for sql in [
        "SELECT * FROM processes",
        "SELECT * FROM streams",
        "SELECT * FROM blocks",
        "SELECT * FROM ticks",
        "SELECT * FROM tick_stats",
        "SELECT * FROM block_faults()",
        "SELECT * FROM list_partitions()",
        "SELECT * FROM list_query_denials()",
        "SELECT * FROM materialize_partitions('ticks', '2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z', 86400)",
        "SELECT * FROM retire_partitions('ticks', 'global', '2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z')",
        &format!("SELECT * FROM view_instance('ticks', '{id}')"),
        &format!("SELECT * FROM parse_block('{id}')"),
        &format!("SELECT get_payload('{id}', '{id}', '{id}')"),
        "SELECT retire_partition_by_file('a')",
    ] {
        let error = lake.sql(sql).await.unwrap_err();
        assert!(matches!(error, QueryError::Internal(_)), "{sql}: {error:?}");
    }
    // and a mistake stays one
    let unknown =
        "SELECT * FROM retire_partitions('tocks', 'global', '2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z')";
    let error = lake.sql(unknown).await.unwrap_err();
    assert!(matches!(&error, QueryError::Sql(text) if text.contains("tocks not found")), "{error:?}");
}

/// A third party's aggregate that not everybody may use.
static ERASE: Registration = Registration::new(
    "zoo",
    "1.0.0",
    Item::Extension(&Functions::new(&[SqlFunction::aggregate("erase(n)", |_| {
        create_udaf(
            "erase",
            vec![DataType::Int64],
            Arc::new(DataType::Int64),
            Volatility::Volatile,
            Arc::new(|_| Err(DataFusionError::Plan("it ran".to_owned()))),
            Arc::new(vec![DataType::Int64]),
        )
    })
    .about("a test")
    .needs(Right::Administer)])),
);

#[tokio::test]
async fn an_aggregate_is_refused_to_those_who_lack_the_right_that_it_needs() {
    let assembly = Assembly::new(crate::registrations().into_iter().chain([&ERASE])).unwrap();
    let lake = Lake::assemble(&LakeOptions::in_memory(), assembly, LakeConfig::default()).await.unwrap();
    let context = |rights: &str| -> QueryContext {
        let rights = rights.parse().unwrap();
        let caller = Caller::new(Identity::Anybody, "somebody", rights);
        lake.context(TimeRange::ALL).asked_by(Arc::new(caller))
    };
    for sql in ["SELECT erase(1)", "SELECT erase(1) OVER ()", "SELECT ERASE(DISTINCT 1) FROM processes"] {
        let session = context("read").session().unwrap();
        assert!(session.sql(sql).await.is_err(), "{sql}");
        let session = context("admin").session().unwrap();
        assert!(session.sql(sql).await.is_ok(), "{sql}");
    }
    let error = context("read").session().unwrap().sql("SELECT erase(1)").await.unwrap_err();
    let error = QueryError::from(error);
    assert!(matches!(&error, QueryError::Rights(text) if text.contains("'admin'")), "{error:?}");
}
