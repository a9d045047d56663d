//! Files of partitions are damaged anywhere: answers are right, or errors.

use super::{Keep, Retention};
use crate::fixture::{block, insert, lake_at, number, process};
use crate::{Lake, LakeConfig};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use belvedere_lake::{LakeOptions, PartitionRecord};
use belvedere_model::time::TimeRange;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Numbers that can't be compressed.
fn scattered(i: i64) -> i64 {
    let x = i.wrapping_mul(0x1e37_79b9_7f4a_7c15);
    (x ^ (x >> 29)).wrapping_mul(0x3f58_476d_1ce4_e5b9) >> 8
}

/// A lake that keeps nothing of files in memory, with three blocks of so many ticks each.
async fn filled(directory: &Path, ticks: i64) -> Lake {
    let config = LakeConfig {
        grace: Duration::ZERO,
        content_cache_bytes: 0,
        footer_cache_bytes: 0,
        ..LakeConfig::default()
    };
    let lake = lake_at(&LakeOptions::directory(directory), config).await;
    let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
    for part in 0..3 {
        let ticks: Vec<(i64, i64)> = (ticks * part..ticks * (part + 1)).map(|i| (i, scattered(i))).collect();
        insert(&lake, process(id, 1_000), block(id, stream, &ticks, 1_000)).await;
    }
    assert_eq!(lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap(), 0);
    lake
}

/// The one partition of ticks, and where its file is.
async fn partition(lake: &Lake, directory: &Path) -> (PartitionRecord, PathBuf) {
    let partition = lake.instance_partitions("ticks", "global").unwrap().list().await.unwrap().remove(0);
    let file = directory.join(partition.content.file_key.as_deref().unwrap());
    (partition, file)
}

/// All that there is of ticks, asked in several ways.
async fn answers(lake: &Lake) -> Vec<Result<Vec<i64>, String>> {
    let mut answers = Vec::new();
    for sql in [
        "SELECT number FROM ticks",
        "SELECT number FROM ticks WHERE number > 7 ORDER BY time DESC",
        "SELECT sum(extract(MILLISECOND FROM time) + number % 1000)::BIGINT FROM ticks",
        "SELECT count(*) FROM ticks WHERE process_id = 'nobody'",
    ] {
        answers.push(match lake.sql(sql).await {
            Ok(batches) => {
                let column = |batch: &arrow::array::RecordBatch| {
                    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
                };
                let mut values: Vec<i64> = batches.iter().flat_map(column).collect();
                if !sql.contains("ORDER") {
                    values.sort_unstable();
                }
                Ok(values)
            }
            Err(e) => Err(e.to_string()),
        });
    }
    answers
}

/// So many places all over a file, with its first and its last bytes.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by((length / count).max(1)).chain(length - 12..length)
}

fn with_flip(whole: &[u8], place: usize) -> Vec<u8> {
    let mut damaged = whole.to_vec();
    damaged[place] ^= 1 << (place % 8);
    damaged
}

#[tokio::test]
async fn a_flipped_bit_of_a_partition_costs_no_row_while_its_blocks_are_there_and_it_is_made_again() {
    // of one chunk, and of several
    for (ticks, count) in [(30, 190), (10_000, 12)] {
        let directory = tempfile::tempdir().unwrap();
        let lake = filled(directory.path(), ticks).await;
        let expected = answers(&lake).await;
        assert!(expected.iter().all(Result::is_ok), "{expected:?}");
        let (first, file) = partition(&lake, directory.path()).await;
        let whole = std::fs::read(&file).unwrap();
        for place in places(whole.len(), count) {
            std::fs::write(&file, with_flip(&whole, place)).unwrap();
            assert_eq!(answers(&lake).await, expected, "byte {place}");
            std::fs::write(&file, &whole).unwrap();
            lake.connection().catalog().mark_file_lost(first.partition_id, false).await.unwrap();
        }
        let (again, _) = partition(&lake, directory.path()).await;
        assert_eq!(again, first, "nothing but queries came by");
        std::fs::write(&file, with_flip(&whole, 10)).unwrap();
        assert_eq!(answers(&lake).await, expected);
        assert_eq!(lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap(), 0);
        let (again, _) = partition(&lake, directory.path()).await;
        assert!(again.partition_id > first.partition_id);
        assert_eq!(answers(&lake).await, expected);
        lake.close().await;
    }
}

#[tokio::test]
async fn a_flipped_bit_of_a_partition_whose_blocks_are_gone_is_said_and_gives_no_other_rows() {
    let directory = tempfile::tempdir().unwrap();
    let lake = filled(directory.path(), 30).await;
    let blocks_go =
        Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
    lake.close().await;
    let lake = filled(directory.path(), 1).await;
    lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
    let (_, file) = partition(&lake, directory.path()).await;
    let expected = answers(&lake).await;
    let whole = std::fs::read(&file).unwrap();
    let mut errors = 0;
    for place in places(whole.len(), 60) {
        std::fs::write(&file, with_flip(&whole, place)).unwrap();
        for (answer, expected) in answers(&lake).await.into_iter().zip(&expected) {
            match answer {
                Err(e) => {
                    assert!(e.contains("is damaged") && e.contains("backup"), "{e}");
                    errors += 1;
                }
                right => assert_eq!(right, *expected, "byte {place}"),
            }
        }
    }
    assert!(errors > 60, "{errors}");
    std::fs::write(&file, whole).unwrap();
    assert_eq!(answers(&lake).await, expected);
    lake.close().await;
}

#[tokio::test]
async fn a_check_finds_any_flipped_bit_of_a_partition_and_a_repair_makes_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let lake = filled(directory.path(), 30).await;
    let (first, file) = partition(&lake, directory.path()).await;
    let whole = std::fs::read(&file).unwrap();
    let check = async |repair| lake.check_and_tell(None, repair, false, &|_, _| ()).await.unwrap();
    for place in places(whole.len(), 40) {
        std::fs::write(&file, with_flip(&whole, place)).unwrap();
        let report = check(false).await;
        let told = report.findings.iter().any(|f| f.text.contains("the file is damaged: the checksum"));
        assert!(told && report.findings.len() == 1, "byte {place}: {:?}", report.findings);
    }
    assert!(check(true).await.is_clean());
    assert_eq!(lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap(), 0);
    assert!(check(false).await.findings.is_empty());
    assert!(partition(&lake, directory.path()).await.0.partition_id > first.partition_id);
    assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 90);
    lake.close().await;
}

#[tokio::test]
async fn a_partition_of_an_earlier_version_has_no_checksums_and_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let lake = filled(directory.path(), 30).await;
    let expected = answers(&lake).await;
    let (first, _) = partition(&lake, directory.path()).await;
    assert!(first.content.sums.is_some());
    let mut earlier = first.content.clone();
    (earlier.token, earlier.sums) = (Uuid::new_v4(), None);
    assert!(lake.connection().catalog().publish(&earlier, &[first.partition_id], i64::MAX).await.unwrap());
    assert_eq!(partition(&lake, directory.path()).await.0.content.sums, None);
    assert_eq!(answers(&lake).await, expected);
    assert!(lake.check_and_tell(None, false, false, &|_, _| ()).await.unwrap().is_clean());
    lake.close().await;
}

#[tokio::test]
async fn retention_deletes_no_block_whose_rows_are_in_a_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path(), 30).await.close().await;
    let lake = filled(directory.path(), 1).await;
    let expected = answers(&lake).await;
    let (first, file) = partition(&lake, directory.path()).await;
    std::fs::write(&file, with_flip(&std::fs::read(&file).unwrap(), 20)).unwrap();
    let blocks_go =
        Retention { blocks: Keep { age: Some(Duration::ZERO), bytes: None }, ..Retention::default() };
    let blocks = async || number(&lake, "SELECT count(*) FROM blocks", TimeRange::ALL).await;
    lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
    assert_eq!((blocks().await, answers(&lake).await), (6, expected.clone()));
    lake.maintain_once(&blocks_go, &|_| ()).await.unwrap();
    // those that were sent last are in an object that still grows
    assert_eq!((blocks().await, answers(&lake).await), (3, expected));
    assert!(partition(&lake, directory.path()).await.0.partition_id > first.partition_id);
    lake.close().await;
}
