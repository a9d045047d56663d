//! What is kept, and how long.
//!
//! Rows are there as long as their blocks or their partitions are. So what is kept of blocks is the least that is there
//! of everything, and what is kept of a view set is what stays of its rows when the blocks are gone. Blocks go only
//! when every global view that is to outlive them has partitions for them. A block that a view set could not read stays as
//! long as its rows would: they are in no file.

use super::builder::PartitionBuilder;
use super::listing::all_partitions;
use crate::error::Result;
use crate::scan::{Instance, what_is_wrong_with_file};
use belvedere_lake::{ExpiredBlocks, PartitionRecord};
use belvedere_model::SeqRange;
use belvedere_model::time::to_rfc3339;
use futures::TryStreamExt;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// How much is kept of something: what is older, or makes it larger, goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Since their reception; forever if not set.
    pub age: Option<Duration>,
    /// Bytes in the object store; any number if not set.
    pub bytes: Option<u64>,
}

/// What is kept of a lake. Everything, unless something is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Blocks as they came.
    pub blocks: Keep,
    /// Partitions of each view set that is not named, whoever registered it.
    pub views: Keep,
    /// Partitions of these view sets.
    pub named: BTreeMap<String, Keep>,
}

/// Something that went, or would go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expired {
    /// `blocks`, or a view set.
    pub what: String,
    /// How many blocks or partitions.
    pub count: u64,
    /// Bytes of payload, or of files.
    pub bytes: u64,
    /// Reception of the latest of them, nanoseconds since the Unix epoch.
    pub until: i64,
    /// It is still there.
    pub is_dry_run: bool,
}

impl std::fmt::Display for Expired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.what.as_str() {
            "blocks" => String::new(),
            _ => "partitions of ".to_owned(),
        };
        let verb = if self.is_dry_run { "would go" } else { "gone" };
        let until = if self.until > 0 {
            format!(", received until {}", to_rfc3339(self.until))
        } else {
            String::new()
        };
        write!(f, "{verb}: {} {kind}{} ({} bytes{until})", self.count, self.what, self.bytes)
    }
}

impl Retention {
    /// What is kept of a view set.
    pub fn for_view_set(&self, view_set: &str) -> Keep {
        self.named.get(view_set).copied().unwrap_or(self.views)
    }

    /// Whether everything is kept.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether rows of an instance are to be there when their blocks are gone.
fn outlives_blocks(retention: &Retention, instance: &Instance) -> bool {
    match (retention.for_view_set(instance.view_set.name).age, retention.blocks.age) {
        // size may take blocks of any age
        _ if retention.blocks.bytes.is_some() => true,
        (None, _) => true,
        (Some(view), Some(blocks)) => view > blocks,
        (Some(_), None) => false,
    }
}

fn cutoff(age: Option<Duration>, now: i64) -> Option<i64> {
    age.map(|age| now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)))
}

impl PartitionBuilder {
    /// Takes away what is no longer to be kept, or only says what that is. Files follow when their grace is over.
    pub(crate) async fn expire(&self, retention: &Retention, is_dry_run: bool) -> Result<Vec<Expired>> {
        if retention.is_all() {
            return Ok(Vec::new());
        }
        let now = belvedere_model::time::now();
        let mut expired = self.expire_partitions(retention, now, is_dry_run).await?;
        expired.extend(self.expire_blocks(retention, now, is_dry_run).await?);
        Ok(expired)
    }

    /// When blocks of each stream were received last that partitions of a view set are made of; for those that are made
    /// along streams.
    async fn last_received(&self, view_set: &str) -> Result<HashMap<(String, Vec<u8>, Uuid), i64>> {
        let mut last = HashMap::new();
        let mut partitions = all_partitions(self.catalog(), Some(view_set));
        while let Some(partition) = partitions.try_next().await? {
            let p = &partition.content;
            if let Some(chain) = &p.chain {
                let key = (p.instance.clone(), p.schema_hash.clone(), chain.stream_id);
                let received = last.entry(key).or_insert(p.insert_end);
                *received = p.insert_end.max(*received);
            }
        }
        Ok(last)
    }

    async fn expire_partitions(
        &self,
        retention: &Retention,
        now: i64,
        is_dry_run: bool,
    ) -> Result<Vec<Expired>> {
        let mut expired = Vec::new();
        let mut sets: Vec<String> =
            self.catalog().partitioned_instances().await?.into_iter().map(|i| i.view_set).collect();
        sets.dedup();
        for set in sets {
            let keep = retention.for_view_set(&set);
            if keep == Keep::default() {
                continue;
            }
            let cutoff = cutoff(keep.age, now);
            let streams = self.last_received(&set).await?;
            // what is made along a stream goes as a whole: each partition stands on the one before
            let received = |p: &PartitionRecord| match &p.content.chain {
                Some(chain) => {
                    let key = (p.content.instance.clone(), p.content.schema_hash.clone(), chain.stream_id);
                    streams.get(&key).copied().unwrap_or(p.content.insert_end)
                }
                None => p.content.insert_end,
            };
            let mut ids = Vec::new();
            let mut entry = Expired { what: set.clone(), count: 0, bytes: 0, until: 0, is_dry_run };
            let mut add = |p: &PartitionRecord, ids: &mut Vec<i64>| {
                ids.push(p.partition_id);
                entry.count += 1;
                entry.bytes += p.content.file_size.max(0) as u64;
                entry.until = entry.until.max(p.content.insert_end);
            };
            // what stays: when it was received last, its size and its id
            let mut rest: Vec<(i64, i64, PartitionRecord)> = Vec::new();
            let mut partitions = all_partitions(self.catalog(), Some(&set));
            while let Some(partition) = partitions.try_next().await? {
                match cutoff {
                    Some(cutoff) if received(&partition) < cutoff => add(&partition, &mut ids),
                    _ if keep.bytes.is_some() => {
                        rest.push((received(&partition), partition.partition_id, partition));
                    }
                    _ => {}
                }
            }
            if let Some(limit) = keep.bytes {
                let mut size: u64 = rest.iter().map(|(_, _, p)| p.content.file_size.max(0) as u64).sum();
                rest.sort_by_key(|(inserted, id, _)| (*inserted, *id));
                for (_, _, partition) in &rest {
                    if size <= limit {
                        break;
                    }
                    size -= partition.content.file_size.max(0) as u64;
                    add(partition, &mut ids);
                }
            }
            if !is_dry_run {
                self.catalog().retire_with_loss(&ids, self.expiry()).await?;
            }
            if entry.count > 0 {
                expired.push(entry);
            }
        }
        Ok(expired)
    }

    async fn expire_blocks(
        &self,
        retention: &Retention,
        now: i64,
        is_dry_run: bool,
    ) -> Result<Option<Expired>> {
        let keep = retention.blocks;
        if keep == Keep::default() {
            return Ok(None);
        }
        let beyond_size = match keep.bytes {
            Some(limit) => self.catalog().last_beyond_size(limit).await?,
            None => 0,
        };
        let cutoff = cutoff(keep.age, now).unwrap_or(i64::MIN);
        let up_to = self.covered_by_what_outlives(retention, now).await?;
        let faults_before = self.no_rows_before(retention, now);
        let mut which = ExpiredBlocks { up_to, cutoff, beyond_size, faults_before };
        let found = loop {
            let found = self.catalog().expired_blocks(which).await?;
            let (Some(first), Some(last)) = (found.seq_begin, found.seq_end) else { return Ok(None) };
            match self.first_not_in_a_file(SeqRange::new(first, last), is_dry_run).await? {
                Some(lost) => which.up_to = lost.saturating_sub(1),
                None => break found,
            }
        };
        let entry = Expired {
            what: "blocks".to_owned(),
            count: found.blocks as u64,
            bytes: found.payload_bytes as u64,
            until: found.insert_end.unwrap_or_default(),
            is_dry_run,
        };
        if !is_dry_run {
            // a catalog that is made again must be able to tell them from those that are left
            self.scan.connection().save_copies().await?;
            while self.catalog().delete_expired_blocks(which, self.expiry()).await? > 0 {}
        }
        Ok(Some(entry))
    }

    /// The first block of a range whose rows are in a file that is not as it should be: each file is read through once before
    /// blocks go that it stands for. That holds for all views: where rows are kept for no longer than blocks, a partition still
    /// goes as a whole, later than its first blocks, and without these it could not be made again.
    async fn first_not_in_a_file(&self, range: SeqRange, is_dry_run: bool) -> Result<Option<i64>> {
        let seen = &self.scan.lake.seen_files;
        let mut first = None;
        for instance in self.views.global_instances() {
            let partitions = self.partitions(&instance).await?;
            for partition in partitions.iter().filter(|p| !p.content.seqs.intersect(range).is_empty()) {
                let id = partition.partition_id;
                let reads_all = !seen.is_known_whole(id);
                match what_is_wrong_with_file(&self.scan, partition, reads_all).await? {
                    None => seen.note_whole(id),
                    Some(what) => {
                        tracing::error!(
                            partition = id,
                            "blocks are kept since the file with their rows is lost: {what}"
                        );
                        if !is_dry_run {
                            self.catalog().mark_file_lost(id, true).await?;
                        }
                        let begin = partition.content.seqs.begin;
                        first = Some(first.map_or(begin, |first: i64| first.min(begin)));
                    }
                }
            }
        }
        Ok(first)
    }

    /// Blocks received before this have no rows to keep: all global views are kept for less long.
    fn no_rows_before(&self, retention: &Retention, now: i64) -> i64 {
        let instances = self.views.global_instances();
        let cutoffs = instances
            .iter()
            .map(|i| cutoff(retention.for_view_set(i.view_set.name).age, now).unwrap_or(i64::MIN));
        cutoffs.min().unwrap_or(i64::MIN)
    }

    /// The last block up to which all global views have partitions that are to outlive the blocks; and have had them
    /// for so long that nobody can still be reading the blocks in their place.
    async fn covered_by_what_outlives(&self, retention: &Retention, now: i64) -> Result<i64> {
        let last = self.catalog().last_seq().await?;
        let mut up_to = last;
        for instance in self.views.global_instances() {
            if !outlives_blocks(retention, &instance) {
                continue;
            }
            let mut covered = self.partitions(&instance).await?;
            covered.retain(|p| p.updated <= now.saturating_sub(self.grace) && !p.is_file_lost);
            let first = self.first_kept(&instance, retention, now).await?;
            for gap in SeqRange::new(first, last).without(covered.iter().map(|p| p.content.seqs)) {
                // where there is nothing to be read, nothing is missing
                let open = self.catalog().summary(&instance.blocks_in(gap)).await?;
                if let Some(first) = open.seq_begin {
                    up_to = up_to.min(first - 1);
                    break;
                }
            }
        }
        Ok(up_to)
    }

    /// The first block whose rows are to be kept in partitions of an instance: what would expire at once is not made.
    pub(crate) async fn first_kept(
        &self,
        instance: &Instance,
        retention: &Retention,
        now: i64,
    ) -> Result<i64> {
        let keep = retention.for_view_set(instance.view_set.name);
        let mut first = 1;
        if let Some(cutoff) = cutoff(keep.age, now) {
            first = self.catalog().last_received_before(cutoff).await?.saturating_add(1);
        }
        if keep.bytes.is_some() {
            // what was there before the first that is left has gone by size
            let oldest = self.partitions(instance).await?.first().map(|p| p.content.seqs.begin);
            first = first.max(oldest.unwrap_or(1));
        }
        Ok(first)
    }
}
