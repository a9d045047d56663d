//! What is to be done, and who does it when.
//!
//! A pass goes through the global views in the order of their dependencies, brings those up to date that are due, and
//! merges what has become small. What queries wanted of other instances is made as it is noted. A view that fails is
//! tried again later, each time after a longer while, and costs the others nothing.

use super::Lake;
use crate::error::Result;
use crate::metrics::metrics;
use crate::partitions::{BuildStats, Expired, PartitionBuilder, Retention};
use crate::scan::Instance;
use belvedere_lake::BlockSummary;
use belvedere_lake::with_causes;
use belvedere_model::SeqRange;
use belvedere_model::time::SECOND;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When background work does what.
#[derive(Debug, Clone)]
pub struct MaintenanceConfig {
    /// Pause between passes.
    pub every: Duration,
    /// Blocks that wait longer than this become a partition.
    pub age: Duration,
    /// So many events make a partition earlier.
    pub objects: i64,
    /// Pause between looks for what is to be deleted.
    pub sweep_every: Duration,
    /// What is to be kept, and how long.
    pub retention: Retention,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(1),
            age: Duration::from_secs(10),
            objects: 1_000_000,
            sweep_every: Duration::from_secs(600),
            retention: Retention::default(),
        }
    }
}

/// What background work is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An instance is being brought up to date.
    Filling {
        /// View set and instance.
        instance: String,
        /// Blocks that are to be read.
        blocks: u64,
    },
    /// A partition has been made.
    Made {
        /// View set and instance.
        instance: String,
        /// Blocks that it is made of; 0 if it is made of smaller partitions.
        blocks: u64,
        /// Rows.
        rows: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// An instance could not be brought up to date.
    Failed {
        /// View set and instance.
        instance: String,
        /// Why.
        reason: String,
    },
    /// Something was taken away.
    Expired(Expired),
    /// Files that nothing refers to were deleted.
    Deleted {
        /// How many.
        files: u64,
    },
}

/// Told of what is being done, from several tasks.
type Listener<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Failures of an instance, and when to try again.
#[derive(Debug, Default)]
struct Failures(Mutex<HashMap<String, (u32, Instant)>>);

impl Failures {
    fn may_try(&self, instance: &str) -> bool {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(instance).is_none_or(|(_, again)| Instant::now() >= *again)
    }

    fn note(&self, instance: &str, is_failure: bool) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_failure {
            let count = failures.get(instance).map_or(1, |(count, _)| count.saturating_add(1));
            let pause = Duration::from_secs(1 << count.min(8));
            failures.insert(instance.to_owned(), (count, Instant::now() + pause));
        } else {
            failures.remove(instance);
        }
    }
}

impl Lake {
    /// Brings all global partitions up to date, merges what is due, takes away what is no longer to be kept, and
    /// deletes files that nothing refers to. Goes on behind what fails; returns how many instances did.
    pub fn maintain_once<'a>(
        &'a self,
        retention: &'a Retention,
        listener: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let worker = MaintenanceWorker {
                lake: self,
                failures: &Failures::default(),
                listener,
                retention,
                is_settled: AtomicBool::new(true),
            };
            let failed = worker.retire_wrong(true).await + worker.pass(None).await? + worker.merges().await?;
            worker.expire().await?;
            Ok(failed)
        })
    }

    /// Makes the partitions that queries would have liked to find, until there are no more such notes. Does nothing in a lake
    /// that can only be read.
    pub fn build_requested<'a>(
        &'a self,
        listener: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if self.connection().is_read_only() {
                return;
            }
            let worker = MaintenanceWorker {
                lake: self,
                failures: &Failures::default(),
                listener,
                retention: &Retention::default(),
                is_settled: AtomicBool::new(true),
            };
            worker.just_in_time().await;
        })
    }

    /// Background work, for as long as it is polled. Dropping it is safe at any time.
    pub fn run_maintenance<'a>(&'a self, config: &'a MaintenanceConfig) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let failures = Failures::default();
            let listener = |progress: Progress| match progress {
                Progress::Filling { .. } => {}
                Progress::Made { instance, blocks, rows, bytes } => {
                    tracing::info!(instance, blocks, rows, bytes, "published a partition");
                }
                // who saw it fail has said so
                Progress::Failed { .. } => {}
                Progress::Expired(expired) => tracing::info!("{expired}"),
                Progress::Deleted { files } => tracing::info!(files, "deleted files that nothing refers to"),
            };
            let worker = MaintenanceWorker {
                lake: self,
                failures: &failures,
                listener: &listener,
                retention: &config.retention,
                is_settled: AtomicBool::new(true),
            };
            let global = async {
                let mut done = Done { swept: Instant::now(), merged: 0, settled: (0, 0) };
                loop {
                    tokio::time::sleep(config.every).await;
                    if let Err(e) = worker.round(config, &mut done).await {
                        tracing::warn!(
                            "background work was interrupted and will continue: {}",
                            with_causes(&e)
                        );
                    }
                }
            };
            let wanted = async {
                loop {
                    self.jit_requests().wait().await;
                    worker.just_in_time().await;
                }
            };
            tokio::join!(global, wanted);
        })
    }
}

/// What rounds have done so far.
struct Done {
    /// When was last looked for what is to be deleted.
    swept: Instant,
    /// The minute, since the Unix epoch, in which was last looked for what is to be merged.
    merged: i64,
    /// The last block, and how many view sets there were, when nothing was left to do.
    settled: (i64, usize),
}

/// One who does background work.
struct MaintenanceWorker<'a> {
    lake: &'a Lake,
    failures: &'a Failures,
    listener: Listener<'a>,
    retention: &'a Retention,
    /// The pass under way has left nothing to do so far.
    is_settled: AtomicBool,
}

impl MaintenanceWorker<'_> {
    fn builder(&self) -> PartitionBuilder {
        self.lake.partition_builder()
    }

    async fn round(&self, config: &MaintenanceConfig, done: &mut Done) -> Result<()> {
        self.lake.refresh().await;
        // where nothing comes, nothing is to be done
        let (last, views) = (self.lake.connection().catalog().last_seq().await?, self.lake.assembly());
        let state = (last, views.view_sets().count());
        if done.settled != state {
            self.is_settled.store(true, Ordering::Relaxed);
            self.pass(Some(config)).await?;
            if self.is_settled.load(Ordering::Relaxed) {
                done.settled = state;
            }
        }
        let minute = belvedere_model::time::now().div_euclid(60 * SECOND);
        if done.merged != minute {
            self.retire_wrong(false).await;
            self.merges().await?;
            done.merged = minute;
            // partitions may also have been taken away
            done.settled = (0, 0);
        }
        if done.swept.elapsed() >= config.sweep_every {
            done.swept = Instant::now();
            self.retire_wrong(true).await;
            self.expire().await?;
        }
        Ok(())
    }

    /// Brings global instances up to date: all of them, or those that are due. Views that don't depend on each
    /// other are worked on at once.
    async fn pass(&self, due: Option<&MaintenanceConfig>) -> Result<u64> {
        let builder = self.builder();
        let last = builder.catalog().last_seq().await?;
        if last == 0 {
            return Ok(0);
        }
        let mut failed = 0;
        for level in levels(&builder.views.global_instances()) {
            let outcomes: Vec<bool> = stream::iter(level)
                .map(|instance| self.bring_up_to_date(&builder, instance, last, due))
                .buffer_unordered(self.lake.background_threads())
                .collect()
                .await;
            failed += outcomes.iter().filter(|is_done| !**is_done).count() as u64;
        }
        Ok(failed)
    }

    async fn bring_up_to_date(
        &self,
        builder: &PartitionBuilder,
        instance: Instance,
        last: i64,
        due: Option<&MaintenanceConfig>,
    ) -> bool {
        let name = instance.name();
        if due.is_some() && !self.failures.may_try(&name) {
            self.is_settled.store(false, Ordering::Relaxed);
            return true;
        }
        if due.is_none() {
            // who asks for everything wants it now
            builder.forget_postponed(&instance);
        }
        let work = async {
            let first = builder.first_kept(&instance, self.retention, belvedere_model::time::now()).await?;
            let all = SeqRange::new(first, last);
            let existing = builder.partitions(&instance).await?;
            let mut open = BlockSummary::default();
            let mut is_wide = false;
            for gap in builder.open_gaps(&instance, all, &existing) {
                let summary = builder.catalog().summary(&instance.blocks_in(gap)).await?;
                open = open.merge(summary);
                is_wide |= gap.end - gap.begin >= 1000;
            }
            let is_due = due.is_none_or(|config| {
                let age = i64::try_from(config.age.as_nanos()).unwrap_or(i64::MAX);
                let waited = open.insert_begin.map(|t| belvedere_model::time::now().saturating_sub(t));
                // a clock that was set back makes it look as if blocks came in the future
                open.objects >= config.objects || waited.is_some_and(|w| w >= age || w < 0) || is_wide
            });
            if open.blocks > 0 {
                self.is_settled.store(false, Ordering::Relaxed);
            }
            if !is_due || (open.blocks == 0 && !is_wide) {
                return Ok(());
            }
            (self.listener)(Progress::Filling { instance: name.clone(), blocks: open.blocks as u64 });
            builder.fill(&instance, all, &mut |made| self.tell(&name, made)).await?;
            Ok(())
        };
        let outcome = work.await;
        let is_done = self.note(builder, instance.view_set.name, &name, outcome);
        match builder.not_found(&instance, SeqRange::new(1, last)).await {
            Ok(None) => is_done,
            Ok(Some(why)) => {
                // tried again when their time has come, which holds up nothing else
                self.is_settled.store(false, Ordering::Relaxed);
                let reason = format!("blocks are not there, and left for later: {why}");
                (self.listener)(Progress::Failed { instance: name, reason });
                false
            }
            Err(e) => self.note(builder, instance.view_set.name, &name, Err(e)),
        }
    }

    /// Retires partitions that are to be made anew: those whose files are lost, and if `also_lacking` those that lack rows
    /// which can be had by now. Returns whether that failed, as 1.
    async fn retire_wrong(&self, also_lacking: bool) -> u64 {
        let builder = self.builder();
        let work = async {
            let lost = builder.retire_lost().await?;
            let lacking = if also_lacking { builder.retire_lacking().await? } else { 0 };
            Ok::<_, crate::Error>(lost + lacking)
        };
        match work.await {
            Ok(0) => 0,
            Ok(partitions) => {
                tracing::info!(partitions, "partitions that were lost, or lacked rows, are made anew");
                0
            }
            Err(e) => {
                tracing::warn!(
                    "whether partitions are whole can't be told now, and is looked at again: {}",
                    with_causes(&e)
                );
                1
            }
        }
    }

    /// Merges what is due of every instance that has partitions.
    async fn merges(&self) -> Result<u64> {
        let builder = self.builder();
        let mut failed = 0;
        for known in builder.catalog().partitioned_instances().await? {
            let name = format!("{} {}", known.view_set, known.instance);
            if known.partitions < 2 || !self.failures.may_try(&name) {
                continue;
            }
            // what belongs to no view of this program, or is of another schema, is left alone
            let instance = builder.views.instance(&known.view_set, &known.instance);
            let Some(instance) = instance.filter(|i| i.schema_hash == known.schema_hash) else { continue };
            let outcome = builder
                .merge_due(&instance, belvedere_model::time::now(), &mut |made| self.tell(&name, made))
                .await;
            failed += u64::from(!self.note(&builder, instance.view_set.name, &name, outcome));
        }
        Ok(failed)
    }

    /// Makes what queries noted.
    async fn just_in_time(&self) {
        let builder = self.builder();
        while let Some((instance, range)) = self.lake.jit_requests().take() {
            let name = instance.name();
            (self.listener)(Progress::Filling { instance: name.clone(), blocks: 0 });
            let outcome = builder.fill(&instance, range, &mut |made| self.tell(&name, made)).await;
            self.note(&builder, instance.view_set.name, &name, outcome);
        }
    }

    async fn expire(&self) -> Result<()> {
        let builder = self.builder();
        for expired in builder.expire(self.retention, false).await? {
            (self.listener)(Progress::Expired(expired));
        }
        let files = builder.sweep().await?;
        if files > 0 {
            (self.listener)(Progress::Deleted { files });
        }
        Ok(())
    }

    fn tell(&self, instance: &str, made: BuildStats) {
        if made.partitions > 0 {
            (self.listener)(Progress::Made {
                instance: instance.to_owned(),
                blocks: made.blocks,
                rows: made.rows,
                bytes: made.bytes,
            });
        }
    }

    /// Says what failed, and when to try again. Returns whether nothing did.
    fn note(
        &self,
        builder: &PartitionBuilder,
        view_set: &'static str,
        instance: &str,
        outcome: Result<()>,
    ) -> bool {
        self.failures.note(instance, outcome.is_err());
        let Err(e) = outcome else { return true };
        let reason = with_causes(&e);
        tracing::error!(instance, "partitions can't be materialized, will retry: {reason}");
        metrics(builder.scan.connection()).maintenance_failed(view_set);
        (self.listener)(Progress::Failed { instance: instance.to_owned(), reason });
        false
    }
}

/// Global instances, each after what it reads: those that depend on nothing else first, then those that depend on these.
fn levels(instances: &[Instance]) -> Vec<Vec<Instance>> {
    let mut level_of: HashMap<&str, usize> = HashMap::new();
    let mut levels: Vec<Vec<Instance>> = Vec::new();
    for instance in instances {
        let set = instance.view_set;
        let level = set.depends_on.iter().filter_map(|d| level_of.get(d)).max().map_or(0, |l| l + 1);
        level_of.insert(set.name, level);
        if levels.len() <= level {
            levels.resize_with(level + 1, Vec::new);
        }
        levels[level].push(instance.clone());
    }
    levels
}
