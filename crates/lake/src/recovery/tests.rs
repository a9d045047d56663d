use super::*;
use crate::record::append;
use crate::tests::{announcement, block, block_of};
use crate::{BlockFilter, Database, ExpiredBlocks, LakeConnection, LakeOptions};
use futures::future::join_all;
use sqlx::{Connection, SqliteConnection};
use std::fs::File;
use std::path::Path;
use std::time::SystemTime;
use uuid::Uuid;

const DAY: &str = "records/2026-01-31";

/// An object as a server leaves it that was killed: a process, a stream and so many blocks.
fn write_object(directory: &Path, name: &str, blocks: u128) -> Vec<u8> {
    let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
    let mut entries = vec![Entry::Process(process), Entry::Stream(stream)];
    entries.extend((0..blocks).map(|i| Entry::Block(block(Uuid::from_u128(100 + i), 8))));
    let mut bytes = MAGIC.to_vec();
    for entry in &entries {
        append(&mut bytes, entry).unwrap();
    }
    std::fs::create_dir_all(directory.join(DAY)).unwrap();
    std::fs::write(directory.join(DAY).join(name), &bytes).unwrap();
    bytes
}

/// How many blocks opening read back, and how many there are then.
async fn open(directory: &Path) -> (u64, usize) {
    let options = LakeOptions::directory(directory);
    let lake = LakeConnection::open(&options).await.unwrap();
    let all = lake.catalog().blocks(&BlockFilter::default(), 0, 100_000).await.unwrap();
    lake.close().await;
    (options.progress.blocks(), all.len())
}

async fn unseal(directory: &Path) {
    let url = format!("sqlite://{}", directory.join("catalog.sqlite").display());
    let mut catalog = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE objects SET sealed = 0").execute(&mut catalog).await.unwrap();
}

#[tokio::test]
async fn recovery_that_was_killed_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = write_object(directory.path(), "a.blv", 5000);
    let database = Database::Sqlite(directory.path().join("catalog.sqlite"));
    let catalog = Catalog::open(&database, true).await.unwrap();
    let (part, failures) = next_part(&mut Records::new(bytes.into(), 0));
    assert!(failures.is_empty());
    let part = Commit { object_key: format!("{DAY}/a.blv"), is_new_object: true, ..part.unwrap() };
    let first = part.blocks.len();
    catalog.commit(&part).await.unwrap();
    catalog.close().await;
    drop(catalog);
    assert_eq!(open(directory.path()).await, (5000 - first as u64, 5000));
    // it is marked as complete now
    assert_eq!(open(directory.path()).await, (0, 5000));
}

#[tokio::test]
async fn after_a_mere_kill_hardly_anything_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = LakeConnection::open(&options).await.unwrap();
    let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
    lake.insert(vec![Entry::Process(process), Entry::Stream(stream)], None).await.unwrap();
    let blocks = (0..10_000).map(|i| lake.insert_block(block(Uuid::from_u128(100 + i), 400)));
    join_all(blocks).await.into_iter().for_each(|inserted| inserted.unwrap());
    lake.close().await;
    unseal(directory.path()).await;
    let (read, all) = open(directory.path()).await;
    assert_eq!(all, 10_000);
    assert!(read < 5000, "{read} blocks were read back");
}

#[tokio::test]
async fn a_block_that_was_sent_again_does_not_come_back_when_retention_has_taken_it() {
    // the second request is a group, or a large one that becomes visible in parts
    for count in [1, 300] {
        let directory = tempfile::tempdir().unwrap();
        let options = LakeOptions::directory(directory.path());
        let entries: Vec<Entry> = (0..count)
            .flat_map(|i| {
                let (process_id, stream_id) = (Uuid::from_u128(1000 + i), Uuid::from_u128(2000 + i));
                let (process, stream) = announcement(process_id, stream_id);
                let block = block_of(Uuid::from_u128(3000 + i), process_id, stream_id, 10);
                [Entry::Process(process), Entry::Stream(stream), Entry::Block(block)]
            })
            .collect();
        let lake = LakeConnection::open(&options).await.unwrap();
        lake.insert(entries.clone(), None).await.unwrap();
        lake.close().await;
        let lake = LakeConnection::open(&options).await.unwrap();
        lake.insert(entries.clone(), None).await.unwrap();
        let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
        let other = Entry::Block(block(Uuid::from_u128(7), 10));
        lake.insert(vec![Entry::Process(process), Entry::Stream(stream), other], None).await.unwrap();
        let all = i64::MAX;
        let which = ExpiredBlocks { up_to: all, cutoff: all, beyond_size: 0, faults_before: all };
        let deleted = lake.catalog().delete_expired_blocks(which, 0).await.unwrap();
        assert_eq!(deleted, count as u64, "those of the object that is complete");
        lake.close().await;
        // as if the server had been killed
        unseal(directory.path()).await;
        assert_eq!(open(directory.path()).await.1, 1);
    }
}

#[tokio::test]
async fn a_torn_tail_costs_nothing_before_it_wherever_recovery_begins() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = write_object(directory.path(), "a.blv", 10);
    bytes.extend([17, 0, 0, 0, 1, 2, 3]);
    std::fs::write(directory.path().join(DAY).join("a.blv"), &bytes).unwrap();
    assert_eq!(open(directory.path()).await, (10, 10));
    unseal(directory.path()).await;
    assert_eq!(open(directory.path()).await, (0, 10));
}

#[tokio::test]
async fn files_that_never_got_a_record_are_deleted_unless_they_are_young() {
    let directory = tempfile::tempdir().unwrap();
    let day = directory.path().join(DAY);
    write_object(directory.path(), "good.blv", 3);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
    for (name, content, age) in [
        ("empty.blv", &b""[..], Some(long_ago)),
        ("magic.blv", &MAGIC[..], Some(long_ago)),
        ("begun.blv#0", &MAGIC[..], None),
        ("young.blv", &MAGIC[..], None),
    ] {
        std::fs::write(day.join(name), content).unwrap();
        if let Some(modified) = age {
            File::options().write(true).open(day.join(name)).unwrap().set_modified(modified).unwrap();
        }
    }
    // one that a live writer has begun
    std::fs::write(day.join("live.blv#0"), MAGIC).unwrap();
    let live = File::open(day.join("live.blv#0")).unwrap();
    live.lock().unwrap();
    assert_eq!(open(directory.path()).await, (3, 3));
    let mut left: Vec<String> = std::fs::read_dir(&day)
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["good.blv", "live.blv#0", "young.blv"]);
}

#[tokio::test]
async fn a_flipped_byte_costs_its_record_until_the_object_is_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let whole = write_object(directory.path(), "a.blv", 40);
    let file = directory.path().join(DAY).join("a.blv");
    // where the blocks begin: what is before them is announced once
    let first = whole.len() - 40 * (whole.len() - write_object(directory.path(), "b.blv", 39).len());
    std::fs::remove_file(directory.path().join(DAY).join("b.blv")).unwrap();
    for place in (first..whole.len()).step_by((whole.len() - first) / 23) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&file, damaged).unwrap();
        let is_last = place >= whole.len() - (whole.len() - first) / 40;
        assert_eq!(open(directory.path()).await.1, 39, "byte {place}");
        std::fs::write(&file, &whole).unwrap();
        // the end of an object may be a torn write, which nobody puts back
        assert_eq!(open(directory.path()).await.1, if is_last { 39 } else { 40 }, "byte {place}");
        assert_eq!(open(directory.path()).await.0, 0);
        for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = std::fs::remove_file(directory.path().join(file));
        }
    }
}

#[tokio::test]
async fn the_end_of_an_object_is_damaged_and_not_torn_if_the_catalog_has_blocks_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let whole = write_object(directory.path(), "a.blv", 5);
    let file = directory.path().join(DAY).join("a.blv");
    let url = format!("sqlite://{}", directory.path().join("catalog.sqlite").display());
    let ask = async |sql: &'static str| {
        let mut catalog = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut catalog).await.unwrap()
    };
    assert_eq!(open(directory.path()).await, (5, 5));
    let mut flipped = whole.clone();
    flipped[whole.len() - 2] ^= 4;
    for damaged in [&flipped[..], &whole[..whole.len() - 3]] {
        // as after a kill: the catalog has all blocks, and has not noted it yet
        ask("UPDATE objects SET sealed = 0, recovered = 0 RETURNING 0").await;
        std::fs::write(&file, damaged).unwrap();
        for _ in 0..2 {
            assert_eq!(open(directory.path()).await.1, 5);
            assert_eq!(ask("SELECT sealed FROM objects").await, 0, "it is read again");
        }
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(open(directory.path()).await.1, 5);
        assert_eq!(ask("SELECT sealed FROM objects").await, 1);
    }
}

#[tokio::test]
async fn an_object_that_does_not_begin_like_one_has_its_records_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = write_object(directory.path(), "a.blv", 5);
    bytes[3] ^= 1;
    std::fs::write(directory.path().join(DAY).join("a.blv"), bytes).unwrap();
    assert_eq!(open(directory.path()).await.1, 5);
}
