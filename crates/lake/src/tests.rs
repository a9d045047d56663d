//! The way into the lake, without a server.

use super::{BlockFilter, LakeConnection, LakeOptions};
use belvedere_model::transit::compress;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{BlockInfo, ProcessInfo, StreamInfo, StreamParts};
use futures::future::join_all;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) fn block(block_id: Uuid, size: usize) -> BlockRequest {
    block_of(block_id, Uuid::from_u128(1), Uuid::from_u128(2), size)
}

pub(crate) fn block_of(block_id: Uuid, process_id: Uuid, stream_id: Uuid, size: usize) -> BlockRequest {
    let info = BlockInfo {
        block_id,
        stream_id,
        process_id,
        begin_time: 0,
        begin_ticks: 0,
        end_time: 1,
        end_ticks: 1,
        nb_objects: 0,
        object_offset: 0,
        payload_size: 0,
        insert_time: 0,
    };
    let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
    BlockRequest::encode(
        info,
        &PayloadParts { dependencies: compress(&[]).into(), objects: compress(&bytes).into() },
    )
}

/// A process and a stream with these ids.
pub(crate) fn announcement(process_id: Uuid, stream_id: Uuid) -> (Arc<ProcessInfo>, Arc<StreamInfo>) {
    let process = ProcessInfo {
        process_id,
        exe: "exe".to_owned(),
        username: String::new(),
        realname: String::new(),
        computer: String::new(),
        distro: String::new(),
        cpu_brand: String::new(),
        tsc_frequency: 0,
        start_time: 5,
        start_ticks: 6,
        parent_process_id: None,
        properties: vec![("k".to_owned(), "v".to_owned())],
        insert_time: 0,
    };
    let stream = StreamParts {
        stream_id,
        process_id,
        dependencies_metadata: belvedere_model::wire::TypeRecord::encode_all(&[]).into(),
        objects_metadata: belvedere_model::wire::TypeRecord::encode_all(&[]).into(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        format: "something/v1".to_owned(),
        ..StreamParts::default()
    };
    (Arc::new(process), Arc::new(stream.into()))
}

async fn announce(lake: &LakeConnection) {
    let (process, stream) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
    let process = ProcessInfo::decode(&process.encode()).unwrap();
    lake.insert_process(process).await.unwrap();
    lake.insert_stream(Arc::unwrap_or_clone(stream)).await.unwrap();
}

#[tokio::test]
async fn requests_that_wait_together_share_one_object_and_their_payloads_come_back() {
    let directory = tempfile::tempdir().unwrap();
    for options in [LakeOptions::in_memory(), LakeOptions::directory(directory.path())] {
        let lake = LakeConnection::open(&options).await.unwrap();
        announce(&lake).await;
        let blocks: Vec<BlockRequest> =
            (0..200).map(|i| block(Uuid::from_u128(100 + i), 10 * i as usize)).collect();
        for outcome in join_all(blocks.iter().map(|b| lake.insert_block(b.clone()))).await {
            outcome.unwrap();
        }
        let stored = lake.catalog().blocks(&BlockFilter::default(), 0, 1000).await.unwrap();
        assert_eq!(stored.len(), 200);
        for record in &stored {
            let sent = blocks.iter().find(|b| b.info.block_id == record.info.block_id).unwrap();
            assert_eq!(lake.payload(record).await.unwrap(), sent.payload());
        }
        let objects: std::collections::BTreeSet<&str> =
            stored.iter().map(|b| b.object_key.as_str()).collect();
        assert!(objects.len() < 100, "{} objects for 200 blocks", objects.len());
        assert!(stored.is_sorted_by(|a, b| a.seq < b.seq && a.info.insert_time <= b.info.insert_time));
        lake.close().await;
    }
}

#[tokio::test]
async fn a_stream_of_another_format_keeps_it_when_the_catalogue_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = LakeConnection::open(&options).await.unwrap();
    announce(&lake).await;
    lake.insert_block(block(Uuid::from_u128(3), 10)).await.unwrap();
    lake.close().await;
    drop(lake);
    for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(directory.path().join(file));
    }
    let lake = LakeConnection::open(&options).await.unwrap();
    let stream = lake.catalog().stream(Uuid::from_u128(2)).await.unwrap().unwrap();
    assert_eq!(stream.format, "something/v1");
    assert_eq!(stream.tags, ["a", "b"]);
    let process = lake.catalog().process(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(process.properties, [("k".to_owned(), "v".to_owned())]);
    let filter = BlockFilter {
        tags: Some(vec!["b".to_owned(), "c".to_owned()]),
        formats: Some(vec!["something/v1".to_owned()]),
        ..BlockFilter::default()
    };
    assert_eq!(lake.catalog().blocks(&filter, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_sender_that_goes_away_does_not_cost_the_others_their_group() {
    let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
    announce(&lake).await;
    let waiting: Vec<_> = (0..50)
        .map(|i| {
            let lake = Arc::clone(&lake);
            tokio::spawn(async move { lake.insert_block(block(Uuid::from_u128(100 + i), 5)).await })
        })
        .collect();
    for (i, task) in waiting.into_iter().enumerate() {
        if i % 2 == 0 {
            task.abort();
        } else {
            task.await.unwrap().unwrap();
        }
    }
    let stored = lake.catalog().blocks(&BlockFilter::default(), 0, 1000).await.unwrap();
    assert!(stored.len() >= 25);
    lake.close().await;
    assert!(lake.insert_block(block(Uuid::from_u128(1), 5)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_in_memory_outlives_readers_that_go_away() {
    let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
    announce(&lake).await;
    lake.insert_block(block(Uuid::from_u128(3), 10)).await.unwrap();
    for round in 0..200_u32 {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let lake = Arc::clone(&lake);
                tokio::spawn(async move {
                    loop {
                        lake.catalog().blocks(&BlockFilter::default(), 0, 10).await.unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..round % 30 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lake.catalog().blocks(&BlockFilter::default(), 0, 10).await.unwrap().len(), 1);
        for reader in readers {
            reader.abort();
        }
    }
}

#[tokio::test]
async fn two_connections_on_one_directory_are_one_lake() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let (a, b) =
        (LakeConnection::open(&options).await.unwrap(), LakeConnection::open(&options).await.unwrap());
    announce(&a).await;
    let inserts = (0..60).map(|i| {
        let lake = if i % 2 == 0 { &a } else { &b };
        // every block is sent to both
        let other = if i % 2 == 0 { &b } else { &a };
        async move {
            lake.insert_block(block(Uuid::from_u128(100 + i), 5)).await.unwrap();
            other.insert_block(block(Uuid::from_u128(100 + i), 5)).await.unwrap();
        }
    });
    join_all(inserts).await;
    for lake in [&a, &b] {
        assert_eq!(lake.catalog().blocks(&BlockFilter::default(), 0, 1000).await.unwrap().len(), 60);
    }
}

/// A lake in that directory with one block of 1000 bytes, and where its object is.
async fn lake_with_a_block(
    directory: &std::path::Path,
) -> (Arc<LakeConnection>, belvedere_model::BlockRecord, std::path::PathBuf) {
    let lake = LakeConnection::open(&LakeOptions::directory(directory)).await.unwrap();
    announce(&lake).await;
    lake.insert_block(block(Uuid::from_u128(3), 1000)).await.unwrap();
    let record = lake.catalog().blocks(&BlockFilter::default(), 0, 1).await.unwrap().remove(0);
    let file = directory.join(&record.object_key);
    (lake, record, file)
}

#[tokio::test]
async fn a_payload_that_is_gone_or_cut_is_missing_and_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let (lake, record, file) = lake_with_a_block(directory.path()).await;
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 8, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let error = lake.payload(&record).await.unwrap_err();
        let is_cut = matches!(error, super::LakeError::Missing(_));
        // without its last byte the payload is there, but nothing proves that it is right
        assert!(is_cut || length == whole.len() - 1, "{length}: {error:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = lake.payload(&record).await.unwrap_err();
    assert!(matches!(error, super::LakeError::Missing(_)), "{error:?}");
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(lake.payload(&record).await.unwrap(), block(Uuid::from_u128(3), 1000).payload());
}

#[tokio::test]
async fn any_bit_of_a_block_that_changed_is_found_when_its_payload_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (lake, record, file) = lake_with_a_block(directory.path()).await;
    let whole = std::fs::read(&file).unwrap();
    let begin = whole.windows(9).rposition(|w| w[0] == 3 && w[1..] == record.info.insert_time.to_le_bytes());
    let begin = begin.unwrap() - 8;
    for place in begin..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&file, &damaged).unwrap();
        let error = lake.payload(&record).await.unwrap_err();
        assert!(matches!(error, super::LakeError::Corrupt(_)), "byte {place}: {error:?}");
    }
}

#[tokio::test]
async fn a_payload_is_read_whatever_else_is_in_its_envelope() {
    let filler = |key: &[u8; 4], size: u32| {
        let mut item = vec![0x64];
        item.extend(key);
        item.push(0x5a);
        item.extend(size.to_be_bytes());
        // looks like the kind of a record everywhere
        item.resize(item.len() + size as usize, 3);
        item
    };
    for size in [10, 900, 5_000, 200_000] {
        let plain = block(Uuid::from_u128(3), 100);
        // a map of 12 instead of 10 entries
        let body = [&[0xac][..], &filler(b"more", size), &plain.body()[1..], &filler(b"rest", size)].concat();
        let request = BlockRequest::decode(body.into()).unwrap();
        let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        announce(&lake).await;
        lake.insert_block(request).await.unwrap();
        let record = lake.catalog().blocks(&BlockFilter::default(), 0, 1).await.unwrap().remove(0);
        assert_eq!(lake.payload(&record).await.unwrap(), plain.payload(), "{size}");
    }
}

#[tokio::test]
async fn a_check_of_the_catalog_finds_damaged_pages_and_rows_that_refer_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = LakeConnection::open(&options).await.unwrap();
    announce(&lake).await;
    for outcome in join_all((0..300).map(|i| lake.insert_block(block(Uuid::from_u128(100 + i), 10)))).await {
        outcome.unwrap();
    }
    assert_eq!(lake.catalog().damage().await.unwrap(), [""; 0]);
    lake.close().await;
    drop(lake);
    let file = directory.path().join("catalog.sqlite");
    let whole = std::fs::read(&file).unwrap();
    // the kind of each page; the first one begins with the header of the file
    for place in (4096..whole.len()).step_by(4096) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xf0;
        std::fs::write(&file, damaged).unwrap();
        // that it can't be opened says it too
        if let Ok(lake) = LakeConnection::open(&options).await {
            let damage = lake.catalog().damage().await;
            assert!(damage.is_err() || damage.is_ok_and(|damage| !damage.is_empty()), "page at {place}");
            lake.close().await;
        }
        for log in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = std::fs::remove_file(directory.path().join(log));
        }
    }
    std::fs::write(&file, whole).unwrap();
    use sqlx::Connection;
    let mut catalog = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query("DELETE FROM streams").execute(&mut catalog).await.unwrap();
    catalog.close().await.unwrap();
    let lake = LakeConnection::open(&options).await.unwrap();
    let damage = lake.catalog().damage().await.unwrap();
    assert!(damage.iter().any(|d| d.contains("300 rows of blocks have a stream_id")), "{damage:?}");
    lake.close().await;
}
