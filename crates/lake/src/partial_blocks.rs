//! Blocks that come in two halves: what is said of them, and their payloads. Copies of other lakes are made so.
//!
//! A half is kept as an object of its own until the other half is there, whichever comes first and whatever process
//! takes it; then both become a block like any other. Each half is durable before its sender gets an answer. A half
//! whose other half does not come is in no query's answer, and is deleted after a week.

use super::{LakeConnection, LakeError};
use belvedere_model::BlockInfo;
use belvedere_model::wire::{self, PayloadParts, WireError};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::borrow::Cow;
use std::time::SystemTime;
use uuid::Uuid;

const FOLDER: &str = "halves";

/// Half a block.
#[derive(Debug, Clone, Copy)]
enum Half {
    Announcement,
    Payload,
}

impl Half {
    fn key(self, block_id: Uuid) -> String {
        let kind = match self {
            Self::Announcement => "block",
            Self::Payload => "payload",
        };
        format!("{FOLDER}/{block_id}.{kind}")
    }
}

impl LakeConnection {
    /// Adds what is said of a block. It becomes visible when its payload is there; nothing changes if it was there.
    pub async fn insert_announcement(&self, block: BlockInfo) -> Result<(), LakeError> {
        let block_id = block.block_id;
        let nothing = PayloadParts { dependencies: Cow::Borrowed(&[]), objects: Cow::Borrowed(&[]) };
        let body = wire::encode_block(block, &nothing).body;
        self.put_half(Half::Announcement, block_id, body).await
    }

    /// Adds the payload of a block: a CBOR map of `dependencies` and `objects`. See
    /// [`LakeConnection::insert_announcement`].
    pub async fn insert_payload(&self, block_id: Uuid, payload: Bytes) -> Result<(), LakeError> {
        self.put_half(Half::Payload, block_id, payload).await
    }

    async fn put_half(&self, half: Half, block_id: Uuid, bytes: Bytes) -> Result<(), LakeError> {
        // sent again, it would wait for another half that has come already
        if self.catalog().has_block(block_id).await? {
            return Ok(());
        }
        let key = half.key(block_id);
        self.store().put(&key.as_str().into(), PutPayload::from(bytes)).await?;
        self.make_durable(&key).await?;
        // who comes second sees both; if both come at once both do, and the block is inserted twice, which is once
        let (Some(announcement), Some(payload)) =
            (self.half(Half::Announcement, block_id).await?, self.half(Half::Payload, block_id).await?)
        else {
            return Ok(());
        };
        let damaged = |e: WireError| LakeError::Corrupt(format!("partial block {block_id}: {e}"));
        let info = wire::decode_block(announcement).map_err(damaged)?.info;
        let parts = wire::split_payload(&payload).map_err(damaged)?;
        self.insert_block(wire::encode_block(info, &parts)).await?;
        self.delete(&[Half::Announcement.key(block_id), Half::Payload.key(block_id)]).await
    }

    /// Deletes halves that came before that and still wait. Returns how many.
    pub async fn delete_halves(&self, before: SystemTime) -> Result<u64, LakeError> {
        let before = chrono::DateTime::<chrono::Utc>::from(before);
        let halves: Vec<_> = self
            .store()
            .list(Some(&FOLDER.into()))
            .try_filter(|half| std::future::ready(half.last_modified < before))
            .map_ok(|half| half.location.to_string())
            .try_collect()
            .await?;
        self.delete(&halves).await?;
        Ok(halves.len() as u64)
    }

    async fn half(&self, half: Half, block_id: Uuid) -> Result<Option<Bytes>, LakeError> {
        match self.store().get(&half.key(block_id).as_str().into()).await {
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
    async fn a_half_of_a_block_that_is_there_is_not_kept_again() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let block_id = Uuid::new_v4();
        let request = crate::tests::block(block_id, 16);
        let payload = Bytes::copy_from_slice(&request.body[request.payload.clone()]);
        // nothing is known of its stream: it waits, and is there all the same
        for _ in 0..2 {
            connection.insert_payload(block_id, payload.clone()).await.unwrap();
            connection.insert_announcement(request.info.clone()).await.unwrap();
            assert!(connection.catalog().has_block(block_id).await.unwrap());
            assert_eq!(connection.catalog().waiting_blocks().await.unwrap(), 1);
            let halves: Vec<_> = connection.store().list(Some(&FOLDER.into())).try_collect().await.unwrap();
            assert!(halves.is_empty(), "{halves:?}");
        }
        assert!(!connection.catalog().has_block(Uuid::from_u128(7)).await.unwrap());
    }

    #[tokio::test]
    async fn a_half_that_waited_too_long_is_deleted_and_one_that_did_not_still_waits() {
        let connection = LakeConnection::open(&LakeOptions::in_memory()).await.unwrap();
        let payload = Bytes::from_static(&[0xa2, 0x6c]);
        let waiting = Uuid::from_u128(7);
        connection.insert_payload(waiting, payload).await.unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(belvedere_model::time::now() as u64);
        assert_eq!(connection.delete_halves(now - Duration::from_secs(60)).await.unwrap(), 0);
        assert!(connection.half(Half::Payload, waiting).await.unwrap().is_some());
        assert_eq!(connection.delete_halves(now + Duration::from_secs(60)).await.unwrap(), 1);
        assert!(connection.half(Half::Payload, waiting).await.unwrap().is_none());
        assert!(connection.catalog().blocks(&BlockFilter::default(), 0, 1).await.unwrap().is_empty());
    }
}
