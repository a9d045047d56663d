//! What a program would do to the partitions of a lake that others have worked on, before it does it.

use super::Lake;
use crate::error::Result;
use crate::partitions::all_partitions;
use crate::scan::{Instance, RowSource};
use belvedere_lake::{Catalog, LakeError, NewPartition};
use belvedere_model::SeqRange;
use belvedere_model::time::TimeRange;
use belvedere_view::Source;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};

/// Files and what is in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kept {
    /// Partitions.
    pub partitions: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
}

/// Blocks that are in no valid partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Open {
    /// Blocks.
    pub blocks: u64,
    /// Bytes of their payloads, as stored.
    pub bytes: u64,
}

/// What is ahead of one view set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedSet {
    /// Its name.
    pub view_set: String,
    /// Whether this program has it; without it its partitions stay as they are and nobody reads them.
    pub is_known: bool,
    /// Whether its rows are decoded from blocks. Otherwise they are made of the rows of others, which are counted there.
    pub is_decoded: bool,
    /// Partitions that hold what this program would make.
    pub valid: Kept,
    /// Partitions that were made by another version of the view set, or of one that it reads: they are not read.
    pub stale: Kept,
    /// Blocks of the global instance that are to be decoded: in the background, and by queries until then.
    pub global: Open,
    /// Blocks of the instances of processes and streams that have partitions: to be decoded when somebody asks.
    pub on_demand: Open,
}

impl Lake {
    /// What this program would make again, and what for the first time: nothing is changed. By view set, those of this
    /// program first, in the order of their dependencies. Blocks that retention would leave out are counted too.
    pub fn plan(&self) -> BoxFuture<'_, Result<Vec<PlannedSet>>> {
        Box::pin(async move {
            self.refresh().await;
            let context = self.context(TimeRange::ALL);
            let catalog = self.connection().catalog();
            let all = SeqRange::new(1, catalog.last_seq().await?);
            let mut sets: BTreeMap<String, PlannedSet> = BTreeMap::new();
            let mut instances: BTreeSet<(String, String)> = BTreeSet::new();
            for view in context.factory().get_global_views() {
                instances.insert((view.get_view_set_name().to_owned(), "global".to_owned()));
            }
            // a view set's instances stand together: the hash of each is worked out once
            let mut hashes: BTreeMap<(String, String), Option<Vec<u8>>> = BTreeMap::new();
            let mut partitions = all_partitions(catalog, None);
            while let Some(partition) = partitions.try_next().await? {
                let NewPartition { view_set, instance, schema_hash, file_size, row_count, .. } =
                    partition.content;
                let key = (view_set.clone(), instance.clone());
                let valid = hashes.entry(key.clone()).or_insert_with(|| {
                    let view = context.factory().make_view(&view_set, &instance).ok();
                    view.and_then(|v| v.instance().map(|i| i.schema_hash.clone()))
                });
                let set = sets.entry(view_set).or_default();
                let kept = if valid.as_ref() == Some(&schema_hash) { &mut set.valid } else { &mut set.stale };
                kept.partitions += 1;
                kept.bytes += file_size.max(0).unsigned_abs();
                kept.rows += row_count.max(0).unsigned_abs();
                instances.insert(key);
            }
            for (view_set, id) in instances {
                let Ok(view) = context.factory().make_view(&view_set, &id) else { continue };
                let Some(instance) = view.instance() else { continue };
                let open = open(catalog, instance, all).await?;
                let set = sets.entry(view_set).or_default();
                let of = if id == "global" { &mut set.global } else { &mut set.on_demand };
                of.blocks += open.blocks;
                of.bytes += open.bytes;
            }
            let mut planned = Vec::new();
            for set in context.assembly().view_sets() {
                if let Some(found) = sets.remove(set.name) {
                    let is_decoded = matches!(set.source, Source::Blocks(_));
                    planned.push(PlannedSet {
                        view_set: set.name.to_owned(),
                        is_known: true,
                        is_decoded,
                        ..found
                    });
                }
            }
            planned.extend(sets.into_iter().map(|(view_set, found)| PlannedSet { view_set, ..found }));
            Ok(planned)
        })
    }
}

/// The blocks of an instance that its valid partitions do not cover.
async fn open(catalog: &Catalog, instance: &Instance, all: SeqRange) -> Result<Open, LakeError> {
    let partitions =
        catalog.partitions_of(instance.view_set.name, &instance.id, &instance.schema_hash).await?;
    let mut open = Open::default();
    if !matches!(instance.source, RowSource::Streams(_)) {
        for gap in all.without(partitions.iter().map(|p| p.content.seqs)) {
            let found = catalog.summary(&instance.blocks_in(gap)).await?;
            open.blocks += found.blocks.unsigned_abs();
            open.bytes += found.payload_bytes.unsigned_abs();
        }
        return Ok(open);
    }
    // along streams each covers a part of a stream; that late blocks may break a chain is not looked into
    let total = catalog.summary(&instance.blocks_in(all)).await?;
    open = Open { blocks: total.blocks.unsigned_abs(), bytes: total.payload_bytes.unsigned_abs() };
    for partition in &partitions {
        let covered = catalog.summary(&instance.blocks_of(&partition.content)).await?;
        open.blocks = open.blocks.saturating_sub(covered.blocks.unsigned_abs());
        open.bytes = open.bytes.saturating_sub(covered.payload_bytes.unsigned_abs());
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LakeConfig;
    use crate::assembly::Assembly;
    use crate::fixture::{TICK_STATS, TICKS, block, insert, process};
    use crate::partitions::Retention;
    use belvedere_lake::LakeOptions;
    use belvedere_view::{Item, Registration};
    use uuid::Uuid;

    /// The ticks of a later release.
    fn next_ticks() -> &'static Registration {
        let Item::ViewSet(set) = &TICKS.item else { unreachable!("ticks are a view set") };
        let registration = Registration::new("third-party", "0.2.0", Item::ViewSet(set.version(2)));
        Box::leak(Box::new(registration))
    }

    async fn opened(options: &LakeOptions, more: &[&'static Registration]) -> Lake {
        let registrations = crate::registrations().into_iter().chain(more.iter().copied());
        let assembly = Assembly::new(registrations).unwrap();
        Lake::assemble(options, assembly, LakeConfig::default()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_program_says_what_it_would_make_again_before_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let options = LakeOptions::directory(directory.path());
        let lake = opened(&options, &[&TICKS, &TICK_STATS]).await;
        let process_id = Uuid::new_v4();
        for first in [1, 100] {
            let ticks = block(process_id, Uuid::new_v4(), &[(first, first), (first + 1, first + 1)], 1_000);
            insert(&lake, process(process_id, 1_000), ticks).await;
        }
        let by_name = async |lake: &Lake| -> BTreeMap<String, PlannedSet> {
            lake.plan().await.unwrap().into_iter().map(|s| (s.view_set.clone(), s)).collect()
        };
        let before = by_name(&lake).await;
        assert_eq!((before["ticks"].global.blocks, before["ticks"].valid), (2, Kept::default()));
        assert!(before["ticks"].global.bytes > 0);

        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        let after = by_name(&lake).await;
        assert_eq!(after["ticks"].global, Open::default());
        assert_eq!((after["ticks"].valid.rows, after["ticks"].stale), (4, Kept::default()));
        assert_eq!(after["tick_stats"].global, Open::default());
        lake.close().await;

        let next = opened(&options, &[next_ticks(), &TICK_STATS]).await;
        let planned = by_name(&next).await;
        assert_eq!(planned["ticks"].stale, after["ticks"].valid);
        assert_eq!(planned["ticks"].global, before["ticks"].global);
        assert!(planned["ticks"].is_decoded && !planned["tick_stats"].is_decoded);
        assert_eq!((planned["tick_stats"].stale.partitions, planned["tick_stats"].global.blocks), (1, 2));
        next.close().await;

        let without = opened(&options, &[]).await;
        let planned = by_name(&without).await;
        assert!(!planned["ticks"].is_known);
        assert_eq!(
            (planned["ticks"].stale, planned["ticks"].global),
            (after["ticks"].valid, Open::default())
        );
        assert!(planned["ticks"].on_demand.blocks == 0);
        without.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_whose_blocks_were_deleted_are_still_there_for_a_new_version_and_all_others_are_made_again()
    {
        let directory = tempfile::tempdir().unwrap();
        let options = LakeOptions::directory(directory.path());
        let assembled = async |ticks: &'static Registration| {
            let registrations = crate::registrations().into_iter().chain([ticks, &TICK_STATS]);
            let config = LakeConfig { grace: std::time::Duration::ZERO, ..LakeConfig::default() };
            Lake::assemble(&options, Assembly::new(registrations).unwrap(), config).await.unwrap()
        };
        let all = belvedere_model::time::TimeRange::ALL;
        let lake = assembled(&TICKS).await;
        let id = Uuid::new_v4();
        let add = async |lake: &Lake, number: i64| {
            let ticks = block(id, Uuid::new_v4(), &[(number, number), (number, number)], 1_000);
            insert(lake, process(id, 1_000), ticks).await;
        };
        add(&lake, 1).await;
        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        // so that the object is complete, and can go
        lake.close().await;
        let lake = assembled(&TICKS).await;
        let blocks = crate::partitions::Keep { age: Some(std::time::Duration::ZERO), bytes: None };
        let retention = Retention { blocks, ..Retention::default() };
        lake.maintain_once(&retention, &|_| ()).await.unwrap();
        add(&lake, 2).await;
        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        let count = async |lake: &Lake| {
            let rows = crate::fixture::number(lake, "SELECT count(*) FROM ticks", all).await;
            let blocks = crate::fixture::number(lake, "SELECT count(*) FROM blocks", all).await;
            (rows, blocks)
        };
        let before = count(&lake).await;
        assert_eq!(before, (4, 1));
        lake.close().await;

        let next = assembled(next_ticks()).await;
        assert_eq!(count(&next).await, before);
        add(&next, 3).await;
        next.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        assert_eq!(count(&next).await, (6, before.1 + 1));
        next.close().await;
    }
}
