use super::*;
use crate::tests::{announcement, block, block_of};
use crate::{BlockFilter, LakeConnection, LakeOptions};
use std::task::Poll;
use uuid::Uuid;

/// Processes and streams of their own with a block each.
fn resources(count: u128) -> Vec<Entry> {
    let mut entries = Vec::new();
    for i in 0..count {
        let (process_id, stream_id) = (Uuid::from_u128(1_000_000 + i), Uuid::from_u128(2_000_000 + i));
        let (process, stream) = announcement(process_id, stream_id);
        let block = block_of(Uuid::from_u128(3_000_000 + i), process_id, stream_id, 10);
        entries.extend([Entry::Process(process), Entry::Stream(stream), Entry::Block(block)]);
    }
    entries
}

#[tokio::test]
async fn small_requests_don_t_wait_for_the_whole_of_a_large_one() {
    let directory = tempfile::tempdir().unwrap();
    for options in [LakeOptions::in_memory(), LakeOptions::directory(directory.path())] {
        let lake = LakeConnection::open(&options).await.unwrap();
        let mut large = Box::pin(lake.insert(resources(3000), None));
        let is_under_way = async || lake.catalog().has_block(Uuid::from_u128(3_000_000)).await.unwrap();
        while !is_under_way().await {
            assert!(futures::poll!(&mut large).is_pending());
            tokio::task::yield_now().await;
        }
        for i in 0..3 {
            lake.insert(resources(i + 1), None).await.unwrap();
            assert!(futures::poll!(&mut large).is_pending(), "it was answered before a small one");
        }
        large.await.unwrap();
        let stored = lake.catalog().blocks(&BlockFilter::default(), 0, 10_000).await.unwrap();
        assert_eq!(stored.len(), 3000);
        for record in stored.iter().step_by(500) {
            assert_eq!(lake.payload(record).await.unwrap(), block(record.info.block_id, 10).payload());
        }
        // and again
        lake.insert(resources(3000), None).await.unwrap();
        assert_eq!(lake.catalog().blocks(&BlockFilter::default(), 0, 10_000).await.unwrap().len(), 3000);
        lake.close().await;
    }
}

#[tokio::test]
async fn closing_waits_for_large_requests_and_their_objects_are_read_back_when_the_catalog_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let options = LakeOptions::directory(directory.path());
    let lake = LakeConnection::open(&options).await.unwrap();
    let mut large = Box::pin(lake.insert(resources(2000), None));
    while !lake.catalog().has_block(Uuid::from_u128(3_000_000)).await.unwrap() {
        assert!(futures::poll!(&mut large).is_pending());
        tokio::task::yield_now().await;
    }
    lake.close().await;
    assert!(matches!(futures::poll!(large), Poll::Ready(Ok(()))));
    drop(lake);
    for file in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(directory.path().join(file));
    }
    let lake = LakeConnection::open(&options).await.unwrap();
    assert_eq!(lake.catalog().blocks(&BlockFilter::default(), 0, 10_000).await.unwrap().len(), 2000);
    let stream = lake.catalog().stream(Uuid::from_u128(2_000_007)).await.unwrap().unwrap();
    assert_eq!(stream.tags, ["a", "b"]);
}

#[tokio::test]
async fn blocks_become_visible_with_what_they_wait_for_and_tags_of_a_second_announcement_don_t_count() {
    let lake = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
    let entries = resources(3);
    let blocks = entries.iter().filter(|e| matches!(e, Entry::Block(_))).cloned().collect();
    lake.insert(blocks, None).await.unwrap();
    let visible = async || lake.catalog().blocks(&BlockFilter::default(), 0, 10).await.unwrap().len();
    for (i, entry) in entries.into_iter().enumerate() {
        lake.insert(vec![entry.clone(), entry], None).await.unwrap();
        assert_eq!(visible().await, i.div_ceil(3));
    }
    let (_, first) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
    let mut second = Arc::unwrap_or_clone(first.clone());
    second.tags = vec!["c".to_owned()];
    let second = Entry::Stream(Arc::new(second));
    lake.insert(vec![Entry::Stream(first), second.clone()], None).await.unwrap();
    lake.insert(vec![second], None).await.unwrap();
    let (process, _) = announcement(Uuid::from_u128(1), Uuid::from_u128(2));
    lake.insert(vec![Entry::Process(process), Entry::Block(block(Uuid::from_u128(9), 1))], None)
        .await
        .unwrap();
    let with = |tag: &str| BlockFilter { tags: Some(vec![tag.to_owned()]), ..BlockFilter::default() };
    assert_eq!(lake.catalog().blocks(&with("a"), 0, 10).await.unwrap().len(), 4);
    assert_eq!(lake.catalog().blocks(&with("c"), 0, 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn nothing_is_acknowledged_after_the_directory_of_the_lake_was_taken_away() {
    type TakeAway = fn(&std::path::Path, &std::path::Path);
    let ways: [TakeAway; 4] = [
        |lake, _| std::fs::remove_dir_all(lake).unwrap(),
        |lake, elsewhere| std::fs::rename(lake, elsewhere).unwrap(),
        // as a volume that is no longer mounted
        |lake, elsewhere| {
            std::fs::rename(lake, elsewhere).unwrap();
            std::fs::create_dir(lake).unwrap();
        },
        |lake, _| std::fs::remove_dir_all(lake.join("records")).unwrap(),
    ];
    for (i, take_away) in ways.into_iter().enumerate() {
        for is_elsewhere in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().join("lake");
            let mut options = LakeOptions::directory(&root);
            if is_elsewhere {
                options.database = crate::Database::Sqlite(directory.path().join("catalog.sqlite"));
            }
            let lake = LakeConnection::open(&options).await.unwrap();
            lake.insert(resources(2), None).await.unwrap();
            take_away(&root, &directory.path().join("elsewhere"));
            let next = block(Uuid::from_u128(7), 10);
            match lake.insert_block(next.clone()).await {
                // only the records went: new ones are kept, and found
                Ok(()) if i == 3 => {
                    let written = std::fs::read_dir(root.join("records")).unwrap().count();
                    assert_eq!(written, 1);
                }
                Ok(()) => panic!("way {i} was not noticed (database elsewhere: {is_elsewhere})"),
                Err(e) => {
                    assert!(e.to_string().contains("taken away") || e.to_string().contains("gone"), "{e}")
                }
            }
        }
    }
}
