//! The list of blocks to read, handed out to whoever is free.

use crate::lake::{BlockFilter, BlockRecord, LakeConnection, LakeError};
use async_channel::{Receiver, Sender, bounded};
use datafusion::common::runtime::SpawnedTask;
use std::sync::Arc;

/// Blocks of one page of the list.
pub(super) const PAGE: u32 = 500;

/// What to list: the first page is there already, the rest is listed as it is needed.
#[derive(Debug, Clone)]
pub(super) struct BlockList {
    pub(super) connection: Arc<LakeConnection>,
    pub(super) filter: BlockFilter,
    pub(super) first_page: Arc<Vec<BlockRecord>>,
}

/// Blocks on their way to the readers. The listing ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct BlockFeed {
    pub(super) blocks: Receiver<Result<BlockRecord, LakeError>>,
    _lister: Arc<SpawnedTask<()>>,
}

impl BlockList {
    pub(super) fn start(&self) -> BlockFeed {
        // far smaller than a page: a query that stops early lists no second one
        let (sender, blocks) = bounded(16);
        let lister = SpawnedTask::spawn(list(self.clone(), sender));
        BlockFeed { blocks, _lister: Arc::new(lister) }
    }
}

async fn list(list: BlockList, sender: Sender<Result<BlockRecord, LakeError>>) {
    let mut page = list.first_page.as_ref().clone();
    loop {
        let last = page.last().map(|b| b.seq);
        let is_full = page.len() == PAGE as usize;
        for block in page {
            if sender.send(Ok(block)).await.is_err() {
                return;
            }
        }
        let Some(last) = last.filter(|_| is_full) else { return };
        page = match list.connection.catalog().blocks(&list.filter, last, PAGE).await {
            Ok(page) => page,
            Err(e) => {
                let _ = sender.send(Err(e)).await;
                return;
            }
        };
    }
}
