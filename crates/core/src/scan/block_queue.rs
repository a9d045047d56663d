//! The list of blocks to read, handed out to whoever is free.

use async_channel::{Receiver, Sender, bounded};
use belvedere_lake::{BlockFilter, BlockSummary, LakeConnection, LakeError};
use belvedere_model::BlockRecord;
use belvedere_model::SeqRange;
use datafusion::common::runtime::SpawnedTask;
use std::sync::Arc;

/// Blocks of one page of the list.
pub(super) const PAGE: u32 = 500;

/// What to list: the first page is there already, the rest is listed as it is needed.
#[derive(Debug, Clone)]
pub(super) struct BlockList {
    pub(super) connection: Arc<LakeConnection>,
    pub(super) filter: BlockFilter,
    /// Where blocks are to be taken from, in order.
    pub(super) gaps: Arc<[SeqRange]>,
    pub(super) first_page: Arc<Vec<BlockRecord>>,
    /// Where the next page begins: a gap, and the last block that was taken.
    pub(super) rest: Option<(usize, i64)>,
}

impl BlockList {
    pub(super) async fn new(
        connection: Arc<LakeConnection>,
        filter: BlockFilter,
        gaps: Vec<SeqRange>,
    ) -> Result<Self, LakeError> {
        let mut list = Self { connection, filter, gaps: gaps.into(), first_page: Arc::default(), rest: None };
        let (page, rest) = list.page((0, 0)).await?;
        list.first_page = Arc::new(page);
        list.rest = rest;
        Ok(list)
    }

    /// What all blocks are together.
    pub(super) async fn summary(&self) -> Result<BlockSummary, LakeError> {
        let mut sum = BlockSummary::default();
        if self.rest.is_none() {
            for block in self.first_page.iter() {
                sum.blocks += 1;
                sum.payload_bytes += block.info.payload_size;
                sum.objects += i64::from(block.info.nb_objects);
                sum.seq_begin = sum.seq_begin.or(Some(block.seq));
                sum.seq_end = Some(block.seq);
            }
            return Ok(sum);
        }
        for gap in self.gaps.iter() {
            let filter = BlockFilter { seqs: *gap, ..self.filter.clone() };
            sum = sum.merge(self.connection.catalog().summary(&filter).await?);
        }
        Ok(sum)
    }

    /// The next blocks, and where those after them begin.
    async fn page(
        &self,
        (mut gap, mut after): (usize, i64),
    ) -> Result<(Vec<BlockRecord>, Option<(usize, i64)>), LakeError> {
        let mut blocks = Vec::new();
        while let Some(seqs) = self.gaps.get(gap) {
            let filter = BlockFilter { seqs: *seqs, ..self.filter.clone() };
            let missing = PAGE - blocks.len() as u32;
            let page = self.connection.catalog().blocks(&filter, after, missing).await?;
            let is_full = page.len() == missing as usize;
            blocks.extend(page);
            if is_full {
                let next = blocks.last().map(|last| (gap, last.seq));
                return Ok((blocks, next));
            }
            (gap, after) = (gap + 1, 0);
        }
        Ok((blocks, None))
    }
}

/// Blocks on their way to the readers. The listing ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct BlockQueue {
    pub(super) blocks: Receiver<Result<BlockRecord, LakeError>>,
    _lister: Arc<SpawnedTask<()>>,
}

impl BlockList {
    pub(super) fn start(&self) -> BlockQueue {
        // far smaller than a page: a query that stops early lists no second one
        let (sender, blocks) = bounded(16);
        let lister = SpawnedTask::spawn(list(self.clone(), sender));
        BlockQueue { blocks, _lister: Arc::new(lister) }
    }
}

async fn list(list: BlockList, sender: Sender<Result<BlockRecord, LakeError>>) {
    let mut page = list.first_page.as_ref().clone();
    let mut rest = list.rest;
    loop {
        for block in page {
            if sender.send(Ok(block)).await.is_err() {
                return;
            }
        }
        let Some(next) = rest else { return };
        (page, rest) = match list.page(next).await {
            Ok(more) => more,
            Err(e) => {
                let _ = sender.send(Err(e)).await;
                return;
            }
        };
    }
}
