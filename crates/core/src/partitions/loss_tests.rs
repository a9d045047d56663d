//! What is stored is damaged, taken away, and put back: rows are in the answer or said to be missing, and no repair makes it
//! worse.

use super::{Keep, Retention};
use crate::fixture::{block, insert, lake_at, number, process};
use crate::{Lake, LakeConfig};
use arrow::array::AsArray;
use belvedere_lake::{BlockFilter, Database, LakeOptions};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use futures::TryStreamExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

const COUNT: &str = "SELECT count(*) FROM ticks";
const STATS: &str = "SELECT CAST(COALESCE(sum(ticks), 0) AS BIGINT) FROM tick_stats";
const ALWAYS: &str = "'2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z'";

/// Lakes whose objects are files in a directory: with SQLite, and with PostgreSQL where there is one.
fn places() -> Vec<(tempfile::TempDir, LakeOptions)> {
    let place = || {
        let directory = tempfile::tempdir().unwrap();
        let options = LakeOptions::directory(directory.path());
        (directory, options)
    };
    let mut places = vec![place()];
    if let Some(url) = belvedere_testkit::postgres_database() {
        let (directory, options) = place();
        places.push((directory, LakeOptions { database: Database::Postgres(url), ..options }));
    }
    places
}

/// A lake of `blocks` blocks with two ticks each.
async fn filled(options: &LakeOptions, blocks: i64) -> Lake {
    let lake = lake_at(options, LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() }).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for i in 0..blocks {
        insert(&lake, process(id, 1_000), block(id, stream, &[(i, i), (i, i)], 1_000)).await;
    }
    lake
}

async fn count(lake: &Lake) -> (i64, i64) {
    (number(lake, COUNT, TimeRange::ALL).await, number(lake, STATS, TimeRange::ALL).await)
}

/// Rows of an answer, and blocks that it says are missing.
async fn count_and_faults(lake: &Lake) -> (i64, u64) {
    let result = lake.query(COUNT, TimeRange::ALL).await.unwrap();
    let report = result.report.clone();
    let rows: Vec<_> = result.rows.try_collect().await.unwrap();
    let count = rows[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
    (count, report.fault_count())
}

async fn texts(lake: &Lake, sql: &str) -> String {
    let rows = lake.sql(sql).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string()
}

async fn maintain(lake: &Lake) -> u64 {
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap()
}

/// The file with the payload of the block of that number, and where the payload is in it.
async fn payload_of(lake: &Lake, root: &Path, seq: i64) -> (PathBuf, usize, usize) {
    let filter = BlockFilter { seqs: SeqRange::new(seq, seq), ..BlockFilter::default() };
    let block = lake.connection().catalog().blocks(&filter, 0, 1).await.unwrap().remove(0);
    (root.join(&block.object_key), block.payload_offset as usize, block.info.payload_size as usize)
}

#[tokio::test]
async fn the_last_copy_of_rows_is_never_thrown_away_unless_the_loss_is_accepted() {
    type Damage = fn(Vec<u8>, usize, usize) -> Option<Vec<u8>>;
    let damages: [Damage; 3] = [
        |_, _, _| None,
        |mut bytes, offset, size| {
            bytes.truncate(offset + size / 2);
            Some(bytes)
        },
        |mut bytes, offset, size| {
            bytes[offset + size / 2] ^= 4;
            Some(bytes)
        },
    ];
    for damage in damages {
        for (directory, options) in places() {
            let lake = filled(&options, 4).await;
            assert_eq!(maintain(&lake).await, 0);
            assert_eq!(count(&lake).await, (8, 8));
            let (file, offset, size) = payload_of(&lake, directory.path(), 3).await;
            match damage(std::fs::read(&file).unwrap(), offset, size) {
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            for _ in 0..2 {
                let report = lake.check_and_tell(None, true, false, &|_, _| ()).await.unwrap();
                assert!(!report.is_clean());
                let told = report.findings.iter().any(|f| f.text.contains("last copy of its rows"));
                assert!(told, "{:?}", report.findings);
                assert_eq!(count(&lake).await, (8, 8), "after a repair");
            }
            for set in ["ticks", "tick_stats"] {
                let retire = format!("SELECT * FROM retire_partitions('{set}', 'global', {ALWAYS})");
                let told = texts(&lake, &retire).await;
                assert!(told.contains("last copy of its rows") && !told.contains("retired"), "{told}");
                let again = format!("SELECT * FROM regenerate_partitions('{set}', {ALWAYS}, 2524608000)");
                let told = lake.sql(&again).await.unwrap_err().to_string();
                assert!(told.contains("last copy of its rows"), "{told}");
                let by_file = "SELECT retire_partition_by_file(file_path) FROM list_partitions() WHERE file_path IS NOT NULL";
                assert!(!texts(&lake, by_file).await.contains("SUCCESS"));
                let kept = lake.instance_partitions(set, "global").unwrap();
                kept.merge().await.unwrap();
                assert_eq!(kept.retire().await.unwrap(), 0, "it is marked");
            }
            assert_eq!(maintain(&lake).await, 0);
            assert_eq!(count(&lake).await, (8, 8));
            // what is accepted is lost, and said to be missing
            lake.check_and_tell(None, true, true, &|_, _| ()).await.unwrap();
            let (rows, faults) = count_and_faults(&lake).await;
            assert_eq!(rows as u64 + 2 * faults, 8);
            assert!(faults > 0);
            lake.close().await;
        }
    }
}

#[tokio::test]
async fn blocks_that_are_away_for_a_while_are_in_no_partition_and_are_not_deleted() {
    for (directory, options) in places() {
        let lake = filled(&options, 20).await;
        let (here, away) = (directory.path().join("records"), directory.path().join("away"));
        let blocks_go =
            Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
        // so that the object is complete, and could go
        lake.close().await;
        let config = LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() };
        let lake = lake_at(&options, config).await;
        std::fs::rename(&here, &away).unwrap();
        assert!(lake.maintain_once(&blocks_go, &|_| ()).await.unwrap() > 0);
        assert_eq!(count_and_faults(&lake).await, (0, 20));
        assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 20);
        std::fs::rename(&away, &here).unwrap();
        assert_eq!(count_and_faults(&lake).await, (40, 0));
        assert_eq!(maintain(&lake).await, 0);
        assert_eq!(count(&lake).await, (40, 40));
        assert_eq!(number(&lake, "SELECT count(*) FROM block_faults()", TimeRange::ALL).await, 0);
        // now their rows are in files
        assert_eq!(lake.maintain_once(&blocks_go, &|_| ()).await.unwrap(), 0);
        assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 0);
        assert_eq!(count_and_faults(&lake).await, (40, 0));
        lake.close().await;
    }
}

#[tokio::test]
async fn one_block_that_is_not_there_keeps_the_others_from_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = filled(&options, 2).await;
    let (gone, ..) = payload_of(&lake, directory.path(), 1).await;
    lake.close().await;
    let lake = filled(&options, 3).await;
    let whole = std::fs::read(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    assert!(maintain(&lake).await > 0);
    assert_eq!(count_and_faults(&lake).await, (6, 2));
    let partitions = lake.instance_partitions("ticks", "global").unwrap().list().await.unwrap();
    assert_eq!(
        partitions.iter().map(|p| (p.content.seqs, p.content.row_count)).collect::<Vec<_>>(),
        [(SeqRange::new(3, 5), 6)]
    );
    std::fs::write(&gone, whole).unwrap();
    assert_eq!(maintain(&lake).await, 0);
    assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((10, 10), (10, 0)));
    lake.close().await;
}

#[tokio::test]
async fn a_partition_that_lacks_rows_is_made_again_as_soon_as_their_block_can_be_read() {
    for (_directory, options) in places() {
        let lake = filled(&options, 3).await;
        assert_eq!(maintain(&lake).await, 0);
        let catalog = lake.connection().catalog();
        // as an earlier version left it: the store was away while it was made
        for partition in catalog.partitions(None, 0, 10).await.unwrap() {
            let mut lacking = partition.content.clone();
            (lacking.token, lacking.row_count, lacking.file_key) = (Uuid::new_v4(), 0, None);
            (lacking.file_size, lacking.events, lacking.fault_count) = (0, None, 3);
            assert!(catalog.publish(&lacking, &[partition.partition_id], 0).await.unwrap());
        }
        for block in catalog.blocks(&BlockFilter::default(), 0, 10).await.unwrap() {
            let id = block.info.block_id;
            assert!(lake.connection().record_fault(id, "ticks", "it is missing", true).await);
        }
        assert_eq!(count_and_faults(&lake).await, (0, 3));
        assert_eq!(maintain(&lake).await, 0);
        assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((6, 6), (6, 0)));
        lake.close().await;
    }
}

#[tokio::test]
async fn a_block_that_is_proven_to_be_damaged_costs_its_rows_once_and_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = filled(&options, 3).await;
    let (file, offset, size) = payload_of(&lake, directory.path(), 2).await;
    lake.close().await;
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[offset + size - 1] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let lake = lake_at(&options, LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() }).await;
    let blocks_go =
        Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
    for _ in 0..2 {
        assert_eq!(lake.maintain_once(&blocks_go, &|_| ()).await.unwrap(), 0);
    }
    assert_eq!(count_and_faults(&lake).await, (4, 1));
    // its rows are in no file: only those of the others are
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 1);
    // where the rows themselves would go by now, it does too
    let all_go = Retention { views: Keep { age: Some(Duration::ZERO), bytes: None }, ..blocks_go };
    lake.maintain_once(&all_go, &|_| ()).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 0);
    lake.close().await;
}

#[tokio::test]
async fn a_check_finds_any_byte_of_an_object_that_changed_and_names_the_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = filled(&options, 3).await;
    let (file, offset, size) = payload_of(&lake, directory.path(), 3).await;
    let whole = std::fs::read(&file).unwrap();
    let check = async || lake.check_and_tell(None, false, false, &|_, _| ()).await.unwrap();
    let clean = check().await;
    // the process and the stream were sent three times
    assert_eq!((clean.findings.len(), clean.records), (0, 9));
    for place in (0..whole.len()).step_by(7).chain([offset, offset + size - 1]) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&file, damaged).unwrap();
        let report = check().await;
        assert!(!report.is_clean(), "byte {place}");
        let names_block = report.findings.iter().any(|f| f.text.contains("the rows of 1 blocks are lost"));
        assert!(names_block || !(offset..offset + size).contains(&place), "{:?}", report.findings);
    }
    std::fs::write(&file, &whole[..offset + 1]).unwrap();
    assert!(check().await.findings[0].text.contains("it ends at byte"));
    std::fs::write(&file, whole).unwrap();
    assert!(check().await.is_clean());
    lake.close().await;
}

#[tokio::test]
async fn a_partition_whose_file_is_gone_or_cut_costs_a_query_no_row_and_is_made_again() {
    for (directory, options) in places() {
        let lake = filled(&options, 3).await;
        assert_eq!(maintain(&lake).await, 0);
        assert_eq!(count_and_faults(&lake).await, (6, 0));
        for is_gone in [true, false] {
            let partitions = lake.connection().catalog().partitions(None, 0, 10).await.unwrap();
            assert_eq!(partitions.len(), 2);
            for partition in &partitions {
                let file = directory.path().join(partition.content.file_key.as_deref().unwrap());
                match is_gone {
                    true => std::fs::remove_file(&file).unwrap(),
                    false => std::fs::File::options().write(true).open(&file).unwrap().set_len(9).unwrap(),
                }
            }
            assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((6, 6), (6, 0)));
            assert_eq!(maintain(&lake).await, 0);
            let again = lake.connection().catalog().partitions(None, 0, 10).await.unwrap();
            assert!(again.len() == 2 && again[0].partition_id > partitions[1].partition_id, "{again:?}");
            assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((6, 6), (6, 0)));
        }
        lake.close().await;
    }
}

/// The same lake as if its catalog had been lost: an empty one with the same objects.
fn with_lost_catalog(directory: &Path, options: &LakeOptions) -> LakeOptions {
    let mut options = options.clone();
    match &options.database {
        Database::Postgres(_) => {
            options.database = Database::Postgres(belvedere_testkit::postgres_database().unwrap());
        }
        _ => {
            for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
                let _ = std::fs::remove_file(directory.join(file));
            }
        }
    }
    options
}

#[tokio::test]
async fn a_lost_catalog_is_made_again_with_the_blocks_and_the_partitions_that_were_kept() {
    for (directory, options) in places() {
        let config = || LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() };
        // announced once, in an object that retention deletes
        let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
        let lake = lake_at(&options, config()).await;
        insert(&lake, process(id, 1_000), block(id, stream, &[(1, 1), (2, 2)], 1_000)).await;
        lake.connection().insert_block(block(id, stream, &[(3, 3)], 1_000).1).await.unwrap();
        assert_eq!(maintain(&lake).await, 0);
        lake.close().await;
        let lake = lake_at(&options, config()).await;
        lake.connection().insert_block(block(id, stream, &[(4, 4)], 1_000).1).await.unwrap();
        let blocks_go =
            Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
        lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
        lake.connection().insert_block(block(id, stream, &[(5, 5)], 1_000).1).await.unwrap();
        let blocks = "SELECT count(*) FROM blocks";
        let files = || std::fs::read_dir(directory.path().join("records")).unwrap();
        let objects =
            files().map(|day| std::fs::read_dir(day.unwrap().path()).unwrap().count()).sum::<usize>();
        assert_eq!((objects, number(&lake, blocks, TimeRange::ALL).await), (1, 2));
        assert_eq!(count_and_faults(&lake).await, (5, 0));
        lake.close().await;
        drop(lake);
        let options = with_lost_catalog(directory.path(), &options);
        for _ in 0..2 {
            let lake = lake_at(&options, config()).await;
            assert_eq!(number(&lake, blocks, TimeRange::ALL).await, 2);
            assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((5, 5), (5, 0)));
            assert_eq!(maintain(&lake).await, 0);
            assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((5, 5), (5, 0)));
            let report = lake.check_and_tell(None, false, false, &|_, _| ()).await.unwrap();
            assert!(report.is_clean(), "{:?}", report.findings);
            lake.close().await;
        }
        let lake = lake_at(&options, config()).await;
        lake.connection().insert_block(block(id, stream, &[(6, 6)], 1_000).1).await.unwrap();
        assert_eq!(maintain(&lake).await, 0);
        assert_eq!(count(&lake).await, (6, 6));
        lake.close().await;
    }
}

#[tokio::test]
async fn retention_keeps_the_blocks_of_a_partition_whose_file_was_lost() {
    for (directory, options) in places() {
        let lake = filled(&options, 3).await;
        assert_eq!(maintain(&lake).await, 0);
        // so that the object is complete, and could go
        lake.close().await;
        let config = LakeConfig { grace: Duration::ZERO, ..LakeConfig::default() };
        let lake = lake_at(&options, config).await;
        let partitions = lake.connection().catalog().partitions(None, 0, 10).await.unwrap();
        // nobody has asked, so nobody knows
        std::fs::remove_file(directory.path().join(partitions[0].content.file_key.as_deref().unwrap()))
            .unwrap();
        let blocks_go =
            Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
        // who only asks changes nothing
        lake.partition_builder().expire(&blocks_go, true).await.unwrap();
        assert_eq!(lake.connection().catalog().partitions_with_lost_files(10).await.unwrap(), []);
        assert_eq!(lake.maintain_once(&blocks_go, &|_| ()).await.unwrap(), 0);
        assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((6, 6), (6, 0)));
        assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 3);
        // now its rows are in a file again
        assert_eq!(lake.maintain_once(&blocks_go, &|_| ()).await.unwrap(), 0);
        assert_eq!(number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await, 0);
        assert_eq!((count(&lake).await, count_and_faults(&lake).await), ((6, 6), (6, 0)));
        lake.close().await;
    }
}
