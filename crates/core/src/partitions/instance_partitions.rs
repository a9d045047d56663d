//! The partitions of one view instance, made, merged and retired by hand: for tests and tools.

use super::PartitionBuilder;
use crate::error::Result;
use crate::scan::{Instance, RowSource};
use belvedere_lake::PartitionRecord;
use belvedere_model::SeqRange;

/// The partitions of one view instance. What is done to them changes no answer.
#[derive(Debug, Clone)]
pub struct InstancePartitions {
    builder: PartitionBuilder,
    instance: Instance,
}

impl InstancePartitions {
    pub(crate) fn new(builder: PartitionBuilder, instance: Instance) -> Self {
        Self { builder, instance }
    }

    /// Whether rows are made along streams, with a state that is carried from block to block.
    pub fn is_along_streams(&self) -> bool {
        matches!(self.instance.source, RowSource::Streams(_))
    }

    /// The same with partitions as small as they can be: of one block each, if it has rows.
    #[must_use]
    pub fn with_smallest_partitions(mut self) -> Self {
        self.builder.partition_bytes = 1;
        self
    }

    /// The same as if no block behind that `seq` had come yet.
    #[must_use]
    pub fn up_to(mut self, seq: i64) -> Self {
        self.builder.scan = self.builder.scan.within(SeqRange::new(1, seq));
        self
    }

    /// All blocks that are visible now.
    pub async fn blocks(&self) -> Result<SeqRange> {
        Ok(SeqRange::new(1, self.builder.catalog().last_seq().await?))
    }

    /// The partitions that there are.
    pub async fn list(&self) -> Result<Vec<PartitionRecord>> {
        self.builder.partitions(&self.instance).await
    }

    /// Makes partitions of the blocks of a range that no partition covers.
    pub async fn fill(&self, range: SeqRange) -> Result<()> {
        self.builder.fill(&self.instance, range, &mut |_| ()).await
    }

    /// Merges all that can be merged.
    pub async fn merge(&self) -> Result<()> {
        self.builder.merge_due(&self.instance, i64::MAX, &mut |_| ()).await?;
        Ok(())
    }

    /// Retires all partitions. Returns how many there were.
    pub async fn retire(&self) -> Result<u64> {
        let ids: Vec<i64> = self.list().await?.iter().map(|p| p.partition_id).collect();
        Ok(self.builder.catalog().retire(&ids, self.builder.expiry()).await?)
    }
}
