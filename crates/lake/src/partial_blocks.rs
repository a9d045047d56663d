//! Blocks that arrive in two parts: the announcement and the payload. Replication sends them so, as rows of two tables.
//!
//! A part is stored as an object of its own until the other one arrives, in whatever order and at whatever server; then
//! both become a block like any other. Each part is durable before its sender gets an answer. A part whose other part
//! never comes is in no query's answer, and is deleted after a week.

use super::{Cause, LakeConnection, LakeError};
use belvedere_model::BlockInfo;
use belvedere_model::wire::{BlockRequest, PayloadParts, WireError};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::borrow::Cow;
use std::time::SystemTime;
use uuid::Uuid;

// the name is older than this module's; lakes on disk have it
const FOLDER: &str = "halves";

/// One of the two parts of a block.
#[derive(Debug, Clone, Copy)]
enum PartialBlock {
    Announcement,
    Payload,
}

impl PartialBlock {
    fn key(self, block_id: Uuid) -> String {
        let kind = match self {
            Self::Announcement => "block",
            Self::Payload => "payload",
        };
        format!("{FOLDER}/{block_id}.{kind}")
    }
}

impl LakeConnection {
    /// Adds the announcement of a block. The block becomes visible when its payload arrives. Does nothing if the block exists.
    pub async fn insert_announcement(&self, block: BlockInfo) -> Result<(), LakeError> {
        let block_id = block.block_id;
        let nothing = PayloadParts { dependencies: Cow::Borrowed(&[]), objects: Cow::Borrowed(&[]) };
        let body = BlockRequest::encode(block, &nothing).body().clone();
        self.put_partial(PartialBlock::Announcement, block_id, body).await
    }

    /// Adds the payload of a block: a CBOR map of `dependencies` and `objects`. See
    /// [`LakeConnection::insert_announcement`].
    pub async fn insert_payload(&self, block_id: Uuid, payload: Bytes) -> Result<(), LakeError> {
        self.put_partial(PartialBlock::Payload, block_id, payload).await
    }

    async fn put_partial(&self, part: PartialBlock, block_id: Uuid, bytes: Bytes) -> Result<(), LakeError> {
        // a part that is sent again would wait for a part that came already
        if self.catalog().has_block(block_id).await? {
            return Ok(());
        }
        let key = part.key(block_id);
        self.store().put(&key.as_str().into(), PutPayload::from(bytes)).await?;
        self.make_durable(&key).await?;
        // whoever stores the second part finds both. If both are stored at once, both find both, and the block is inserted
        // twice, which changes nothing
        let (Some(announcement), Some(payload)) = (
            self.partial(PartialBlock::Announcement, block_id).await?,
            self.partial(PartialBlock::Payload, block_id).await?,
        ) else {
            return Ok(());
        };
        let damaged =
            |e: WireError| LakeError::Corrupt(Cause::new(format!("part of block {block_id}: {e}"), e));
        let info = BlockRequest::decode(announcement).map_err(damaged)?.info;
        let parts = PayloadParts::split(&payload).map_err(damaged)?;
        self.insert_block(BlockRequest::encode(info, &parts)).await?;
        self.delete(&[PartialBlock::Announcement.key(block_id), PartialBlock::Payload.key(block_id)]).await
    }

    /// Deletes parts that arrived before `before` and still wait. Returns how many.
    pub async fn delete_partial_blocks(&self, before: SystemTime) -> Result<u64, LakeError> {
        let before = chrono::DateTime::<chrono::Utc>::from(before);
        let parts: Vec<_> = self
            .store()
            .list(Some(&FOLDER.into()))
            .try_filter(|part| std::future::ready(part.last_modified < before))
            .map_ok(|part| part.location.to_string())
            .try_collect()
            .await?;
        self.delete(&parts).await?;
        Ok(parts.len() as u64)
    }

    async fn partial(&self, part: PartialBlock, block_id: Uuid) -> Result<Option<Bytes>, LakeError> {
        match self.store().get(&part.key(block_id).as_str().into()).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockFilter, LakeOptions};
    use std::time::Duration;

    #[tokio::test]
    async fn a_part_of_a_block_that_exists_is_not_stored_again() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let block_id = Uuid::new_v4();
        let request = crate::tests::block(block_id, 16);
        let payload = request.payload();
        // its stream is unknown: the block is not visible, but it exists
        for _ in 0..2 {
            connection.insert_payload(block_id, payload.clone()).await.unwrap();
            connection.insert_announcement(request.info.clone()).await.unwrap();
            assert!(connection.catalog().has_block(block_id).await.unwrap());
            assert_eq!(connection.catalog().waiting_blocks().await.unwrap(), 1);
            let parts: Vec<_> = connection.store().list(Some(&FOLDER.into())).try_collect().await.unwrap();
            assert!(parts.is_empty(), "{parts:?}");
        }
        assert!(!connection.catalog().has_block(Uuid::from_u128(7)).await.unwrap());
    }

    #[tokio::test]
    async fn a_part_that_waited_too_long_is_deleted_and_one_that_did_not_still_waits() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let payload = Bytes::from_static(&[0xa2, 0x6c]);
        let waiting = Uuid::from_u128(7);
        connection.insert_payload(waiting, payload).await.unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(belvedere_model::time::now() as u64);
        assert_eq!(connection.delete_partial_blocks(now - Duration::from_secs(60)).await.unwrap(), 0);
        assert!(connection.partial(PartialBlock::Payload, waiting).await.unwrap().is_some());
        assert_eq!(connection.delete_partial_blocks(now + Duration::from_secs(60)).await.unwrap(), 1);
        assert!(connection.partial(PartialBlock::Payload, waiting).await.unwrap().is_none());
        assert!(connection.catalog().blocks(&BlockFilter::default(), 0, 1).await.unwrap().is_empty());
    }
}
