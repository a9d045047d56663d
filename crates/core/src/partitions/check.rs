//! Compares the catalog with the objects, and a sample of what is in them.

use super::builder::PartitionBuilder;
use super::listing::all_partitions;
use crate::error::Result;
use crate::scan::{Instance, PartitionScan, RowSource};
use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::row::{RowConverter, SortField};
use belvedere_lake::{BlockFilter, Leftovers, PartitionRecord, with_causes};
use belvedere_model::SeqRange;
use belvedere_model::wire::PayloadParts;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use foldhash::fast::FixedState;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use std::collections::HashMap;
use std::hash::BuildHasher;

/// Objects of one page of the list.
const PAGE: u32 = 1000;

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
    /// Blocks whose payload was read.
    pub payloads: u64,
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

struct Check<'a> {
    builder: &'a PartitionBuilder,
    repair: bool,
    report: CheckReport,
}

impl PartitionBuilder {
    /// Checks the lake. Contents of at most `sample` partitions and `sample` blocks are read. With `repair`, what can be
    /// made again is retired, and files that nothing refers to are deleted.
    pub(crate) async fn check(&self, sample: usize, repair: bool) -> Result<CheckReport> {
        let mut check = Check { builder: self, repair, report: CheckReport::default() };
        check.partitions(sample).await?;
        check.orphans().await?;
        check.leftovers().await?;
        check.objects().await?;
        check.payloads(sample).await?;
        check.report.waiting = self.catalog().waiting_blocks().await? as u64;
        Ok(check.report)
    }
}

impl Check<'_> {
    async fn partition_is_wrong(&mut self, partition: &PartitionRecord, what: &str) -> Result<()> {
        let p = &partition.content;
        let (id, file) = (partition.partition_id, p.file_key.as_deref().unwrap_or("without a file"));
        let is_replaceable = self.can_be_made_again(partition).await?;
        let is_repaired = self.repair
            && is_replaceable
            && self.builder.catalog().retire(&[id], self.builder.expiry()).await? > 0;
        let lost =
            if is_replaceable { "" } else { "; its blocks were deleted, so its rows can't be rebuilt" };
        self.report.findings.push(Finding {
            text: format!("partition {id} of {} {} ({file}): {what}{lost}", p.view_set, p.instance),
            can_be_repaired: is_replaceable,
            is_repaired,
        });
        Ok(())
    }

    /// Whether all of a partition's blocks are still there.
    async fn can_be_made_again(&self, partition: &PartitionRecord) -> Result<bool> {
        let p = &partition.content;
        let Some(instance) = self.builder.views.instance(&p.view_set, &p.instance) else { return Ok(false) };
        let there = self.builder.catalog().summary(&instance.blocks_of(p)).await?;
        Ok(there.blocks >= p.block_count)
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
            if let Some(wrong) = self.file_is_wrong(&partition).await? {
                self.partition_is_wrong(&partition, &wrong).await?;
                continue;
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
        for (instance, partition) in usable {
            match self.compare(&instance, &partition).await {
                Ok(Some(wrong)) => self.partition_is_wrong(&partition, &wrong).await?,
                Ok(None) => {}
                Err(e) => {
                    self.partition_is_wrong(
                        &partition,
                        &format!("its rows can't be read: {}", with_causes(&e)),
                    )
                    .await?
                }
            }
        }
        Ok(())
    }

    async fn file_is_wrong(&self, partition: &PartitionRecord) -> Result<Option<String>> {
        let p = &partition.content;
        let Some(key) = &p.file_key else {
            return Ok((p.row_count > 0).then(|| format!("{} rows, but no file", p.row_count)));
        };
        let store = self.builder.scan.connection().store();
        match store.head(&key.as_str().into()).await {
            Ok(file) if file.size as i64 == p.file_size => Ok(None),
            Ok(file) => Ok(Some(format!("the file has {} bytes instead of {}", file.size, p.file_size))),
            Err(object_store::Error::NotFound { .. }) => Ok(Some("the file is missing".to_owned())),
            Err(e) => Err(e.into()),
        }
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
                if !self.builder.rows_of_section(instance, partition, &mut add).await? {
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

    async fn orphans(&mut self) -> Result<()> {
        for orphan in self.builder.orphans().await?.into_iter().filter(|o| !o.is_young) {
            if self.repair {
                self.builder.scan.connection().delete(std::slice::from_ref(&orphan.key)).await?;
            }
            self.report.findings.push(Finding {
                text: format!("{} ({} bytes): nothing refers to this file", orphan.key, orphan.size),
                can_be_repaired: true,
                is_repaired: self.repair,
            });
        }
        Ok(())
    }

    /// Objects of groups that were never committed, and files that never got a record.
    async fn leftovers(&mut self) -> Result<()> {
        let connection = self.builder.scan.connection();
        let leftovers = connection.leftovers(Leftovers::All).await?;
        if self.repair {
            connection.delete_leftovers(&leftovers).await?;
        }
        self.report.findings.extend(leftovers.into_iter().map(|leftover| Finding {
            text: format!(
                "object {} ({} bytes): left by a group that was never committed",
                leftover.key, leftover.size
            ),
            can_be_repaired: true,
            is_repaired: self.repair,
        }));
        Ok(())
    }

    async fn objects(&mut self) -> Result<()> {
        let store = self.builder.scan.connection().store();
        let mut after = String::new();
        loop {
            let page = self.builder.catalog().object_lengths(&after, PAGE).await?;
            for (key, length) in &page {
                self.report.objects += 1;
                let wrong = match store.head(&key.as_str().into()).await {
                    Ok(object) if object.size as i64 >= *length => continue,
                    Ok(object) => format!("it ends at byte {}, blocks in it at {length}", object.size),
                    Err(object_store::Error::NotFound { .. }) => "it is missing".to_owned(),
                    Err(e) => return Err(e.into()),
                };
                self.report.findings.push(Finding {
                    text: format!(
                        "object {key}: {wrong}; the rows of its blocks are lost unless a partition has them"
                    ),
                    can_be_repaired: false,
                    is_repaired: false,
                });
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE as usize => after.clone_from(key),
                _ => return Ok(()),
            }
        }
    }

    /// Reads payloads all over the lake.
    async fn payloads(&mut self, sample: usize) -> Result<()> {
        let connection = self.builder.scan.connection();
        let last = connection.catalog().last_seq().await?;
        let step = (last / sample.max(1) as i64).max(1);
        let mut after = 0;
        while (self.report.payloads as usize) < sample {
            let Some(block) = connection.catalog().blocks(&BlockFilter::default(), after, 1).await?.pop()
            else {
                break;
            };
            after = block.seq.saturating_add(step - 1);
            self.report.payloads += 1;
            let wrong = match connection.payload(&block).await {
                Ok(payload) => PayloadParts::split(&payload).err().map(|e| e.to_string()),
                Err(e) => Some(e.to_string()),
            };
            if let Some(wrong) = wrong {
                self.report.findings.push(Finding {
                    text: format!("block {}: its payload can't be read: {wrong}", block.info.block_id),
                    can_be_repaired: false,
                    is_repaired: false,
                });
            }
        }
        Ok(())
    }
}

/// Rows, whatever their order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        // a dictionary is no part of the value
        let columns = batch.columns().iter().map(|column| match column.data_type() {
            arrow::datatypes::DataType::Dictionary(_, value) => cast(column, value),
            _ => Ok(column.clone()),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let hasher = FixedState::default();
        for row in &RowConverter::new(fields)?.convert_columns(&columns)? {
            self.rows += 1;
            self.sum = self.sum.wrapping_add(hasher.hash_one(row.as_ref()));
        }
        Ok(())
    }
}

async fn digest(mut rows: SendableRecordBatchStream) -> Result<Digest> {
    let mut digest = Digest::default();
    while let Some(batch) = rows.try_next().await? {
        digest.add(&batch)?;
    }
    Ok(digest)
}
