//! Blocks that come in two halves: what is said of them, and their payloads. Copies of other lakes are made so.
//!
//! A half is kept as an object of its own until the other half is there, whichever comes first and whatever process
//! takes it; then both become a block like any other. Each half is durable before its sender gets an answer. A half
//! whose other half never comes stays under `halves/`, and is in no query's answer.

use super::{LakeConnection, LakeError};
use crate::model::BlockInfo;
use crate::wire::{self, PayloadParts, WireError};
use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload};
use std::borrow::Cow;
use uuid::Uuid;

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
        format!("halves/{block_id}.{kind}")
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
        let key = half.key(block_id);
        self.store().put(&key.as_str().into(), PutPayload::from(bytes)).await?;
        self.make_durable(&key).await?;
        // who comes second sees both; if both come at once both do, and the block is inserted twice, which is once
        let (Some(announcement), Some(payload)) =
            (self.half(Half::Announcement, block_id).await?, self.half(Half::Payload, block_id).await?)
        else {
            return Ok(());
        };
        let damaged = |e: WireError| LakeError::Corrupt(format!("half of block {block_id}: {e}"));
        let info = wire::decode_block(announcement).map_err(damaged)?.info;
        let parts = wire::split_payload(&payload).map_err(damaged)?;
        self.insert_block(wire::encode_block(info, &parts)).await?;
        self.delete(&[Half::Announcement.key(block_id), Half::Payload.key(block_id)]).await
    }

    async fn half(&self, half: Half, block_id: Uuid) -> Result<Option<Bytes>, LakeError> {
        match self.store().get(&half.key(block_id).as_str().into()).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}
