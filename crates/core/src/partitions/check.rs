//! Compares the catalog with the objects, and a sample of what is in them.

use super::builder::PartitionBuilder;
use super::digest::{Digest, digest};
use super::listing::all_partitions;
use crate::error::{Error, Result};
use crate::scan::{Instance, PartitionScan, RowSource, what_is_wrong_with_file};
use belvedere_lake::{LakeError, PartitionRecord, with_causes};
use belvedere_model::SeqRange;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::physical_plan::execute_stream;
use foldhash::fast::FixedState;
use futures::TryStreamExt;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, with what, and what it means.
    pub text: String,
    /// Nothing is lost by mending it: partitions can be made again.
    pub can_be_repaired: bool,
    /// It has been mended.
    pub is_repaired: bool,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Partitions whose rows of the catalog and files were compared.
    pub partitions: u64,
    /// Partitions whose rows were compared with those of their blocks.
    pub compared: u64,
    /// Objects with blocks.
    pub objects: u64,
    /// Blocks whose payload was read by itself.
    pub payloads: u64,
    /// Records of objects whose checksums were right.
    pub records: u64,
    /// Blocks that wait for their stream or their process.
    pub waiting: u64,
    /// Partitions of view sets that this program does not know, or with another schema: not used by any query.
    pub unused: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether nothing is wrong, or nothing is any more.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|f| f.is_repaired)
    }
}

/// How thorough a check is, and what it may do.
pub(crate) struct CheckPlan<'a> {
    /// So many partitions and blocks are read; all of them, and all records, if not set.
    pub(crate) sample: Option<usize>,
    /// What can be made again is retired, and files that nothing refers to are deleted.
    pub(crate) repair: bool,
    /// With `repair`: what is wrong goes even if its rows can't be made again.
    pub(crate) accept_loss: bool,
    /// Hears how much of how much is done.
    pub(crate) tell: &'a (dyn Fn(u64, u64) + Send + Sync),
}

pub(super) struct Check<'a> {
    pub(super) builder: &'a PartitionBuilder,
    pub(super) plan: CheckPlan<'a>,
    pub(super) report: CheckReport,
    /// Numbers of blocks that are not there or damaged.
    pub(super) lost: BTreeSet<i64>,
}

impl PartitionBuilder {
    /// Checks the lake: the catalog, the objects with their checksums, the partitions.
    pub(crate) async fn check(&self, plan: CheckPlan<'_>) -> Result<CheckReport> {
        let mut check = Check { builder: self, plan, report: CheckReport::default(), lost: BTreeSet::new() };
        for damage in self.catalog().damage().await? {
            check.wrong(format!("the catalog: {damage}"));
        }
        check.objects().await?;
        if let Some(sample) = check.plan.sample {
            check.payloads(sample).await?;
        }
        check.partitions(check.plan.sample.unwrap_or(usize::MAX)).await?;
        check.orphans().await?;
        check.leftovers().await?;
        check.report.waiting = self.catalog().waiting_blocks().await? as u64;
        Ok(check.report)
    }
}

impl Check<'_> {
    /// Something that nobody can mend here.
    pub(super) fn wrong(&mut self, text: String) {
        self.report.findings.push(Finding { text, can_be_repaired: false, is_repaired: false });
    }

    /// A partition is not what it should be. It goes only if its blocks give all of its rows: nothing is deleted that can't be
    /// made again, and what can't be read proves nothing.
    async fn partition_is_wrong(&mut self, partition: &PartitionRecord, what: &str) -> Result<()> {
        let p = &partition.content;
        let (id, file) = (partition.partition_id, p.file_key.as_deref().unwrap_or("without a file"));
        let lacking = match self.builder.what_blocks_lack(partition).await {
            Ok(lacking) => lacking,
            Err(e) => {
                let text = format!(
                    "partition {id} of {} {} ({file}): {what}; whether its blocks give its rows can't be told now: {}",
                    p.view_set,
                    p.instance,
                    with_causes(&e)
                );
                self.wrong(text);
                return Ok(());
            }
        };
        let (catalog, expiry) = (self.builder.catalog(), self.builder.expiry());
        let mut is_repaired = false;
        if self.plan.repair {
            if lacking.is_some() != p.is_last_copy {
                catalog.mark_last_copy(id, lacking.is_some()).await?;
            }
            is_repaired = match &lacking {
                None => catalog.retire(&[id], expiry).await? > 0,
                Some(_) if self.plan.accept_loss => catalog.retire_with_loss(&[id], expiry).await? > 0,
                Some(_) => false,
            };
        }
        let lost = match &lacking {
            None => String::new(),
            Some(why) if is_repaired => format!("; {why}: what it had is lost"),
            Some(why) => {
                format!("; {why}: it is the last copy of its rows and stays, unless --accept-loss is given")
            }
        };
        self.report.findings.push(Finding {
            text: format!("partition {id} of {} {} ({file}): {what}{lost}", p.view_set, p.instance),
            can_be_repaired: lacking.is_none(),
            is_repaired,
        });
        Ok(())
    }

    async fn partitions(&mut self, sample: usize) -> Result<()> {
        type Key = (String, String, Vec<u8>, Option<uuid::Uuid>);
        let mut ends: HashMap<Key, Vec<SeqRange>> = HashMap::new();
        let mut usable: Vec<(Instance, PartitionRecord)> = Vec::new();
        let mut partitions = all_partitions(self.builder.catalog(), None);
        while let Some(partition) = partitions.try_next().await? {
            self.report.partitions += 1;
            let p = &partition.content;
            // what it covers: blocks by their numbers, or those of a stream by the numbers of their events
            let (stream, covered) = match &p.chain {
                None => (None, p.seqs),
                Some(chain) => {
                    (Some(chain.stream_id), SeqRange::new(chain.begin, chain.end.saturating_sub(1)))
                }
            };
            let key = (p.view_set.clone(), p.instance.clone(), p.schema_hash.clone(), stream);
            let others = ends.entry(key).or_default();
            if others.iter().any(|o| !o.intersect(covered).is_empty()) {
                self.partition_is_wrong(&partition, "another partition covers some of the same blocks")
                    .await?;
                continue;
            }
            others.push(covered);
            let reads_all = self.plan.sample.is_none();
            if let Some(wrong) = what_is_wrong_with_file(&self.builder.scan, &partition, reads_all).await? {
                self.partition_is_wrong(&partition, &wrong).await?;
                continue;
            }
            if p.row_count > 0 && self.lost.range(p.seqs.begin..=p.seqs.end).next().is_some() {
                // it may be of other blocks: then its blocks lack nothing
                if self.builder.what_blocks_lack(&partition).await?.is_some() {
                    self.partition_is_wrong(&partition, "it has rows that its blocks don't give any more")
                        .await?;
                    continue;
                }
            }
            let instance = self.builder.views.instance(&p.view_set, &p.instance);
            match instance.filter(|i| i.schema_hash == p.schema_hash) {
                // what could be compared takes the place of something at random, once there are enough
                Some(instance) if usable.len() < sample => usable.push((instance, partition)),
                Some(instance) if sample > 0 => {
                    let place = FixedState::default().hash_one(partition.partition_id) as usize;
                    if let Some(slot) = usable.get_mut(place % self.report.partitions as usize) {
                        *slot = (instance, partition);
                    }
                }
                Some(_) => {}
                None => self.report.unused += 1,
            }
        }
        let (mut done, of) = (0, usable.len() as u64);
        for (instance, partition) in usable {
            match self.compare(&instance, &partition).await {
                Ok(Some(wrong)) => self.partition_is_wrong(&partition, &wrong).await?,
                Ok(None) => {}
                Err(e) => {
                    let what = format!("its rows can't be read: {}", with_causes(&e));
                    if proves_damage(&e) {
                        self.partition_is_wrong(&partition, &what).await?;
                    } else {
                        let (p, id) = (&partition.content, partition.partition_id);
                        self.wrong(format!("partition {id} of {} {}: {what}", p.view_set, p.instance));
                    }
                }
            }
            done += 1;
            (self.plan.tell)(done, of);
        }
        Ok(())
    }

    /// Compares the rows of a partition with those that its blocks give now.
    async fn compare(&mut self, instance: &Instance, partition: &PartitionRecord) -> Result<Option<String>> {
        let p = &partition.content;
        let scan = self.builder.scan.within(p.seqs).without_partitions();
        let columns: Vec<usize> = (0..instance.view_set.columns.len()).collect();
        let found = match p.row_count {
            0 => Digest::default(),
            _ => {
                let files = PartitionScan { instance, context: &scan, predicate: None };
                let plan = files.plan(std::slice::from_ref(partition), &columns, 1)?;
                digest(execute_stream(plan, self.builder.views.task(&scan)?)?).await?
            }
        };
        if found.rows as i64 != p.row_count {
            return Ok(Some(format!("the file has {} rows instead of {}", found.rows, p.row_count)));
        }
        let there = self.builder.catalog().summary(&instance.blocks_of(p)).await?;
        // of blocks that are gone, and of what is SQL over others and was merged since, only the files can tell
        if there.blocks == 0 || there.blocks != p.block_count || matches!(instance.source, RowSource::Sql(_))
        {
            return Ok(None);
        }
        let expected = match &instance.source {
            RowSource::Streams(_) => {
                let mut digest = Digest::default();
                let mut add = |rows| digest.add(&rows);
                if self.builder.rows_of_section(instance, partition, &mut add).await?.is_none() {
                    return Ok(None);
                }
                digest
            }
            _ => digest(self.builder.live_rows(instance, p.seqs).await?).await?,
        };
        self.report.compared += 1;
        Ok((found != expected).then(|| {
            format!(
                "its rows differ from those of its blocks ({} rows, {} expected)",
                found.rows, expected.rows
            )
        }))
    }
}

/// Whether an error says what is wrong with a file, and not only that it could not be read.
fn proves_damage(error: &Error) -> bool {
    let engine = match error {
        Error::Engine(engine) => engine,
        Error::While { source, .. } => return proves_damage(source),
        _ => return false,
    };
    match engine.find_root() {
        DataFusionError::ParquetError(error) => match &**error {
            ParquetError::External(cause) => {
                !cause.is::<object_store::Error>() && !cause.is::<std::io::Error>()
            }
            _ => true,
        },
        DataFusionError::ArrowError(..) => true,
        DataFusionError::External(cause) => {
            matches!(cause.downcast_ref::<LakeError>(), Some(LakeError::Corrupt(_)))
        }
        _ => false,
    }
}
