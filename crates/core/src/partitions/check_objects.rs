//! The part of a check that is about objects: what they should hold, and what nothing refers to.

use super::check::{Check, Finding};
use crate::error::Result;
use belvedere_lake::{BlockFilter, LakeError, Leftovers};
use belvedere_model::wire::PayloadParts;
use futures::{StreamExt, stream};
use object_store::ObjectStoreExt;
use std::ops::Range;

/// Objects of one page of the list.
const PAGE: u32 = 1000;
/// Objects that are read at once. One has 64 MiB, as a rule.
const AT_ONCE: usize = 2;
/// Damaged blocks of one object that are named one by one.
const NAMED: usize = 20;

impl Check<'_> {
    pub(super) async fn orphans(&mut self) -> Result<()> {
        for orphan in self.builder.orphans().await?.into_iter().filter(|o| !o.is_young) {
            if self.plan.repair {
                self.builder.scan.connection().delete(std::slice::from_ref(&orphan.key)).await?;
            }
            self.report.findings.push(Finding {
                text: format!("{} ({} bytes): nothing refers to this file", orphan.key, orphan.size),
                can_be_repaired: true,
                is_repaired: self.plan.repair,
            });
        }
        Ok(())
    }

    /// Objects of groups that were never committed, and files that never got a record.
    pub(super) async fn leftovers(&mut self) -> Result<()> {
        let connection = self.builder.scan.connection();
        let leftovers = connection.leftovers(Leftovers::All).await?;
        if self.plan.repair {
            connection.delete_leftovers(&leftovers).await?;
        }
        self.report.findings.extend(leftovers.into_iter().map(|leftover| Finding {
            text: format!(
                "object {} ({} bytes): left by a group that was never committed",
                leftover.key, leftover.size
            ),
            can_be_repaired: true,
            is_repaired: self.plan.repair,
        }));
        Ok(())
    }

    /// All objects are there and as long as they should be; and unless only a sample is wanted, all of their records have the
    /// right checksums.
    pub(super) async fn objects(&mut self) -> Result<()> {
        let connection = self.builder.scan.connection().clone();
        let mut after = String::new();
        let all = connection.catalog().object_count().await?;
        loop {
            let page = connection.catalog().object_lengths(&after, PAGE).await?;
            if let Some((key, _)) = page.last() {
                after.clone_from(key);
            }
            let is_last = page.len() < PAGE as usize;
            let reads_all = self.plan.sample.is_none();
            let mut checked = stream::iter(page)
                .map(|(key, length)| {
                    let connection = &connection;
                    async move {
                        let length = length.max(0) as u64;
                        if reads_all {
                            let read = connection.damaged_records(&key).await;
                            return (key, length, read);
                        }
                        let head = connection.store().head(&key.as_str().into()).await;
                        let read = head.map(|object| (object.size, 0, Vec::new())).map_err(LakeError::from);
                        (key, length, read)
                    }
                })
                .buffer_unordered(AT_ONCE)
                .boxed();
            while let Some((key, length, read)) = checked.next().await {
                self.report.objects += 1;
                (self.plan.tell)(self.report.objects, all);
                match read {
                    Ok((size, records, damaged)) => {
                        self.report.records += records;
                        // the rest of what was cut is told below
                        for range in damaged.into_iter().filter(|range| size >= length || range.end < size) {
                            let what = format!("bytes {} to {} are damaged", range.start, range.end);
                            self.object_is_wrong(&key, &what, range).await?;
                        }
                        if size < length {
                            let what = format!("it ends at byte {size}, blocks in it at {length}");
                            self.object_is_wrong(&key, &what, size..u64::MAX).await?;
                        }
                    }
                    Err(LakeError::Missing(_)) => {
                        self.object_is_wrong(&key, "it is missing", 0..u64::MAX).await?;
                    }
                    // that it can't be read now says nothing about what is in it
                    Err(e) => self.wrong(format!("object {key} can't be checked now: {e}")),
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Bytes of an object are not what they were.
    async fn object_is_wrong(&mut self, key: &str, what: &str, bytes: Range<u64>) -> Result<()> {
        if self.plan.repair && self.plan.accept_loss {
            // it is not read again at each start
            self.builder.catalog().seal(std::slice::from_ref(&key.to_owned())).await?;
        }
        let blocks = self.builder.catalog().blocks_at(key, bytes).await?;
        self.lost.extend(blocks.iter().map(|(_, seq)| seq));
        let named: Vec<String> = blocks.iter().take(NAMED).map(|(id, _)| id.to_string()).collect();
        let more = if blocks.len() > NAMED { " and others" } else { "" };
        let text = match blocks.len() {
            0 => format!("object {key}: {what}; no block is in them, and the catalog has what else was"),
            n => format!(
                "object {key}: {what}; the rows of {n} blocks are lost unless a partition has them: {}{more}",
                named.join(", ")
            ),
        };
        self.wrong(text);
        Ok(())
    }

    /// Reads payloads all over the lake.
    pub(super) async fn payloads(&mut self, sample: usize) -> Result<()> {
        let connection = self.builder.scan.connection().clone();
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
                // its object was found to be so already
                Err(LakeError::Missing(_)) => None,
                Err(e) => {
                    if matches!(e, LakeError::Corrupt(_)) {
                        self.lost.insert(block.seq);
                    }
                    Some(e.to_string())
                }
            };
            if let Some(wrong) = wrong {
                self.wrong(format!("block {}: its payload can't be read: {wrong}", block.info.block_id));
            }
        }
        Ok(())
    }
}
