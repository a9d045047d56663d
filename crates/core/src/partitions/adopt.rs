//! Partitions of an earlier version of a view set that are the last copies of their rows.
//!
//! A raised version makes the same blocks give other rows, so the partitions of the earlier version are ignored, and made
//! again from their blocks. Where retention has deleted blocks, that is not possible: the rows as they were are all that is
//! left. If the columns are the same, such a partition counts as one of the current version from then on.

use super::builder::PartitionBuilder;
use crate::error::Result;
use belvedere_lake::BlockFilter;

impl PartitionBuilder {
    /// Takes partitions over that can't be made again since blocks of them were deleted. Returns how many. Reads little where
    /// nothing was deleted.
    pub(crate) async fn adopt_last_copies(&self) -> Result<u64> {
        let catalog = self.catalog();
        let first = catalog.blocks(&BlockFilter::default(), 0, 1).await?.first().map_or(i64::MAX, |b| b.seq);
        if first <= 1 {
            return Ok(0);
        }
        let mut adopted = 0;
        for known in catalog.partitioned_instances().await? {
            let Some(instance) = self.views.instance(&known.view_set, &known.instance) else { continue };
            if !instance.earlier_hashes().contains(&known.schema_hash) {
                continue;
            }
            let partitions =
                catalog.partitions_of(&known.view_set, &known.instance, &known.schema_hash).await?;
            for partition in partitions {
                let p = &partition.content;
                if p.row_count == 0 || p.seqs.begin >= first {
                    continue;
                }
                let there = catalog.summary(&instance.blocks_of(p)).await?.blocks;
                if there < p.block_count && catalog.adopt(&partition, &instance.schema_hash).await? {
                    tracing::info!(
                        partition = partition.partition_id,
                        view_set = p.view_set,
                        instance = p.instance,
                        "a partition of an earlier version of its view set stays: its blocks were deleted"
                    );
                    adopted += 1;
                }
            }
        }
        Ok(adopted)
    }
}
