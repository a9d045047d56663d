//! Partitions are a cache, as long as their blocks give their rows again. One with more rows than that is the last copy of
//! them, and is never thrown away to be made again; one with fewer is made again as soon as its blocks give more.

use super::builder::PartitionBuilder;
use crate::error::Result;
use crate::scan::{Instance, RowSource, fetch_payload, what_is_wrong_with_file};
use belvedere_lake::PartitionRecord;
use belvedere_model::SeqRange;
use futures::TryStreamExt;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Partitions of one page of the list.
const PAGE: u32 = 500;
/// Blocks of one partition that are tried again at once.
const TRIED: usize = 100;

/// What came of taking a partition away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Retired {
    /// It is gone, or was before.
    Gone(bool),
    /// It is the last copy of rows, and stays. Why.
    Kept(String),
}

impl PartitionBuilder {
    /// Takes a partition away if its blocks give its rows again. Otherwise it is marked as a last copy. An error, if that
    /// can't be told now, changes nothing.
    pub(crate) async fn retire_unless_last_copy(&self, partition: &PartitionRecord) -> Result<Retired> {
        let (id, is_marked) = (partition.partition_id, partition.content.is_last_copy);
        let lacking = self.what_blocks_lack(partition).await?;
        if lacking.is_some() != is_marked {
            self.catalog().mark_last_copy(id, lacking.is_some()).await?;
        }
        match lacking {
            Some(why) => {
                tracing::warn!(partition = id, "a partition is the last copy of rows, and stays: {why}");
                Ok(Retired::Kept(why))
            }
            None => Ok(Retired::Gone(self.catalog().retire(&[id], self.expiry()).await? > 0)),
        }
    }

    /// Why a partition's blocks don't give its rows any more; `None` if they do.
    pub(crate) async fn what_blocks_lack(&self, partition: &PartitionRecord) -> Result<Option<String>> {
        let p = &partition.content;
        if p.row_count == 0 {
            return Ok(None);
        }
        let Some(instance) = self.views.instance(&p.view_set, &p.instance) else {
            return Ok(Some("this program does not have its view set, and can't rebuild it".to_owned()));
        };
        let there = self.catalog().summary(&instance.blocks_of(p)).await?.blocks;
        if there < p.block_count {
            let (gone, all) = (p.block_count - there, p.block_count);
            return Ok(Some(format!(
                "{gone} of the {all} blocks of it were deleted, so its rows can't be rebuilt"
            )));
        }
        let (rows, faults, why) = match &instance.source {
            RowSource::Streams(_) => {
                let mut rows = 0;
                let mut count = |batch: arrow::array::RecordBatch| {
                    rows += batch.num_rows() as u64;
                    Ok(())
                };
                match self.rows_of_section(&instance, partition, &mut count).await? {
                    Some((faults, why)) => (rows, faults, why),
                    // its rows depend on what was before; its blocks can still be read or not
                    None => {
                        let (faults, why) = self.unreadable(&instance, partition).await?;
                        (i64::MAX as u64, faults, why)
                    }
                }
            }
            source => {
                let (rows, faults, why) = self.count_live_rows(&instance, p.seqs).await?;
                // rows of SQL become fewer when partitions are merged
                let is_sql = matches!(source, RowSource::Sql(_));
                (if is_sql { i64::MAX as u64 } else { rows }, faults, why)
            }
        };
        if faults > p.fault_count.max(0) as u64 {
            return Ok(Some(format!("{faults} of its {there} blocks can't be read now ({why})")));
        }
        // another version of the view set may make fewer rows of the same blocks
        if instance.schema_hash == p.schema_hash && (rows as i64) < p.row_count {
            return Ok(Some(format!("it has {} rows, and its blocks give only {rows} now", p.row_count)));
        }
        Ok(None)
    }

    /// Rows of blocks, decoded anew; how many of the blocks can't be read, and why the first can't.
    async fn count_live_rows(&self, instance: &Instance, seqs: SeqRange) -> Result<(u64, u64, String)> {
        let scan = self.scan.within(seqs).without_partitions().with_fresh_report();
        let mut batches = self.views.rows(&scan, instance).await?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
        }
        let why = scan.report.faults().into_iter().next().map(|fault| fault.reason);
        Ok((rows, scan.report.fault_count(), why.unwrap_or_default()))
    }

    /// How many of a partition's blocks can't be read, and why the first can't.
    async fn unreadable(&self, instance: &Instance, partition: &PartitionRecord) -> Result<(u64, String)> {
        let filter = instance.blocks_of(&partition.content);
        let (mut faults, mut why, mut after) = (0, String::new(), 0);
        loop {
            let page = self.catalog().blocks(&filter, after, PAGE).await?;
            for block in &page {
                after = block.seq;
                if let Err(e) = fetch_payload(self.scan.connection(), block).await? {
                    if faults == 0 {
                        why = e.to_string();
                    }
                    faults += 1;
                }
            }
            if page.len() < PAGE as usize {
                return Ok((faults, why));
            }
        }
    }

    /// Retires partitions whose files queries did not find or found to be damaged, so that they are made again. Returns how many.
    pub(crate) async fn retire_lost(&self) -> Result<u64> {
        let mut retired = 0;
        for partition in self.catalog().partitions_with_lost_files(PAGE).await? {
            if what_is_wrong_with_file(&self.scan, &partition, true).await?.is_none() {
                self.catalog().mark_file_lost(partition.partition_id, false).await?;
            } else if self.retire_unless_last_copy(&partition).await? == Retired::Gone(true) {
                retired += 1;
            }
        }
        Ok(retired)
    }

    /// Retires partitions that lack rows of blocks which can be read now, so that they are made again. Returns how many.
    pub(crate) async fn retire_lacking(&self) -> Result<u64> {
        let (mut after, mut retired) = (0, 0);
        // what partitions still lack
        let mut lacking: Vec<SeqRange> = Vec::new();
        loop {
            let page = self.catalog().partitions_with_faults(after, PAGE).await?;
            for partition in &page {
                after = partition.partition_id;
                let is_retired = match self.is_better_now(partition).await? {
                    true => self.retire_unless_last_copy(partition).await? == Retired::Gone(true),
                    false => false,
                };
                if is_retired {
                    retired += 1;
                } else {
                    lacking.push(partition.content.seqs);
                }
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        self.forget_passed_faults(&lacking).await?;
        Ok(retired)
    }

    /// Whether some block that a partition lacks can be read now.
    async fn is_better_now(&self, partition: &PartitionRecord) -> Result<bool> {
        let p = &partition.content;
        let Some(instance) = self.views.instance(&p.view_set, &p.instance) else { return Ok(false) };
        // what is not used is not made again
        if instance.schema_hash != p.schema_hash {
            return Ok(false);
        }
        let view_sets: Vec<&str> = self.sources_of(&instance).into_iter().collect();
        let faults = self.catalog().faults_of(&instance.blocks_of(p), &view_sets).await?;
        if faults.is_empty() {
            let (_, faults, _) = match instance.source {
                RowSource::Streams(_) => return Ok(false),
                _ => self.count_live_rows(&instance, p.seqs).await?,
            };
            return Ok(faults < p.fault_count.max(0) as u64);
        }
        for (id, seq, may_pass) in faults.into_iter().take(TRIED) {
            let is_readable = match instance.source {
                // whether it can be decoded depends on the blocks before it
                RowSource::Streams(_) => may_pass && self.can_be_read(id).await?,
                _ => self.count_live_rows(&instance, SeqRange::new(seq, seq)).await?.1 == 0,
            };
            if is_readable {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The view set of an instance, and all that it is made of.
    fn sources_of(&self, instance: &Instance) -> BTreeSet<&'static str> {
        let mut names = BTreeSet::from([instance.view_set.name]);
        let mut open = vec![instance.clone()];
        while let Some(next) = open.pop() {
            for name in next.view_set.depends_on {
                if names.insert(name) {
                    open.extend(self.views.instance(name, "global"));
                }
            }
        }
        names
    }

    /// Forgets that blocks were not there which are there now, unless a partition still lacks them: retention keeps blocks
    /// with faults.
    async fn forget_passed_faults(&self, lacking: &[SeqRange]) -> Result<()> {
        let mut passed: Vec<Uuid> = Vec::new();
        for (id, seq) in self.catalog().passing_faults().await? {
            let is_lacking = lacking.iter().any(|range| range.begin <= seq && seq <= range.end);
            if !is_lacking && self.can_be_read(id).await? {
                passed.push(id);
            }
        }
        Ok(self.catalog().forget_passing_faults(&passed).await?)
    }

    async fn can_be_read(&self, block_id: Uuid) -> Result<bool> {
        let filter = belvedere_lake::BlockFilter { block_ids: Some(vec![block_id]), ..Default::default() };
        match self.catalog().blocks(&filter, 0, 1).await?.pop() {
            Some(block) => Ok(fetch_payload(self.scan.connection(), &block).await?.is_ok()),
            None => Ok(false),
        }
    }
}
