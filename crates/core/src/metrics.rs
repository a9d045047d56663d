//! What queries and partitions of a lake count, beside the lake's own counters.

use belvedere_lake::{LakeConnection, MetricGroup};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Label of a view set.
type ViewSetLabel = [(&'static str, String); 1];
/// Label of an outcome.
type OutcomeLabel = [(&'static str, String); 1];
/// Label of a reason.
type ReasonLabel = [(&'static str, String); 1];
/// Labels of a view set and a reason.
type ReasonLabels = [(&'static str, String); 2];

/// Counters of queries, decoded blocks and partitions.
#[derive(Debug)]
pub(crate) struct QueryMetrics {
    /// Queries that began.
    pub(crate) queries: Counter,
    queries_ended: Family<OutcomeLabel, Counter>,
    queries_failed: Family<ReasonLabel, Counter>,
    query_seconds: Histogram,
    blocks_decoded: Family<ViewSetLabel, Counter>,
    blocks_unreadable: Family<ViewSetLabel, Counter>,
    events_ignored: Family<ReasonLabels, Counter>,
    partitions_made: Family<ViewSetLabel, Counter>,
    partition_rows: Family<ViewSetLabel, Counter>,
    /// Bytes of partitions that were fetched from the store, caches not counted.
    pub(crate) partition_bytes_read: Counter,
    maintenance_failures: Family<ViewSetLabel, Counter>,
    workers_lost: Family<ReasonLabel, Counter>,
    /// What queries counted, as long as somebody keeps a journal.
    journal: Mutex<Vec<Counted>>,
    has_journal: AtomicBool,
    partition_bytes_told: AtomicU64,
}

/// Something that a query counted in a process whose counters nobody reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Counted {
    /// Blocks that were read.
    Decoded { view_set: String, blocks: u64 },
    /// A block could not be read.
    Unreadable { view_set: String },
    /// Events that gave no row.
    Ignored { view_set: String, reason: String, events: u64 },
    /// A partition that was published.
    Partition { view_set: String, rows: u64 },
    /// Bytes of partitions that were fetched.
    PartitionBytes(u64),
}

/// The counters of a lake.
pub(crate) fn metrics(connection: &LakeConnection) -> Arc<QueryMetrics> {
    connection.metrics().group()
}

impl QueryMetrics {
    /// Counts a query of a caller that came to its end.
    pub(crate) fn query_ended(&self, outcome: &'static str, took: Duration) {
        self.queries_ended.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.query_seconds.observe(took.as_secs_f64());
    }

    /// Counts a query of a caller that failed, by whose fault it is.
    pub(crate) fn query_failed(&self, reason: &str) {
        self.queries_failed.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    /// Counts blocks that were read for rows of a view set.
    pub(crate) fn blocks_decoded(&self, view_set: &str, blocks: u64) {
        self.blocks_decoded.get_or_create(&view_set_label(view_set)).inc_by(blocks);
        self.keep(|| Counted::Decoded { view_set: view_set.to_owned(), blocks });
    }

    /// Counts an attempt to read a block that failed.
    pub(crate) fn block_unreadable(&self, view_set: &str) {
        self.blocks_unreadable.get_or_create(&view_set_label(view_set)).inc();
        self.keep(|| Counted::Unreadable { view_set: view_set.to_owned() });
    }

    /// Counts events that gave no row although they should, by reason.
    pub(crate) fn events_ignored(&self, view_set: &str, ignored: &[(&'static str, u64)]) {
        for (reason, events) in ignored {
            self.count_ignored(view_set, reason, *events);
        }
    }

    fn count_ignored(&self, view_set: &str, reason: &str, events: u64) {
        let labels = [("view_set", view_set.to_owned()), ("reason", reason.to_owned())];
        self.events_ignored.get_or_create(&labels).inc_by(events);
        let (view_set, reason) = (view_set.to_owned(), reason.to_owned());
        self.keep(|| Counted::Ignored { view_set, reason, events });
    }

    /// Counts a partition that was published.
    pub(crate) fn partition_made(&self, view_set: &str, rows: u64) {
        self.partitions_made.get_or_create(&view_set_label(view_set)).inc();
        self.partition_rows.get_or_create(&view_set_label(view_set)).inc_by(rows);
        self.keep(|| Counted::Partition { view_set: view_set.to_owned(), rows });
    }

    /// Counts a query process that ended before its query did, or had to be ended.
    pub(crate) fn worker_lost(&self, reason: &str) {
        self.workers_lost.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    fn keep(&self, counted: impl FnOnce() -> Counted) {
        if self.has_journal.load(Ordering::Relaxed) {
            self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(counted());
        }
    }

    /// What was counted since this was asked last. Nothing is kept before it is asked for the first time.
    pub(crate) fn take_journal(&self) -> Vec<Counted> {
        self.has_journal.store(true, Ordering::Relaxed);
        let mut counted = std::mem::take(&mut *self.journal.lock().unwrap_or_else(PoisonError::into_inner));
        // the bytes are counted by a store that knows nothing of queries
        let bytes = self.partition_bytes_read.get();
        let told = self.partition_bytes_told.swap(bytes, Ordering::Relaxed);
        if bytes > told {
            counted.push(Counted::PartitionBytes(bytes - told));
        }
        counted
    }

    /// Counts what was counted in another process.
    pub(crate) fn adopt(&self, counted: Vec<Counted>) {
        for counted in counted {
            match counted {
                Counted::Decoded { view_set, blocks } => self.blocks_decoded(&view_set, blocks),
                Counted::Unreadable { view_set } => self.block_unreadable(&view_set),
                Counted::Ignored { view_set, reason, events } => {
                    self.count_ignored(&view_set, &reason, events)
                }
                Counted::Partition { view_set, rows } => self.partition_made(&view_set, rows),
                Counted::PartitionBytes(bytes) => drop(self.partition_bytes_read.inc_by(bytes)),
            }
        }
    }

    /// Counts a piece of background work that failed.
    pub(crate) fn maintenance_failed(&self, view_set: &str) {
        self.maintenance_failures.get_or_create(&view_set_label(view_set)).inc();
    }
}

fn view_set_label(name: &str) -> ViewSetLabel {
    [("view_set", name.to_owned())]
}

impl MetricGroup for QueryMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queries: Counter::default(),
            queries_ended: Family::default(),
            queries_failed: Family::default(),
            query_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 20)),
            blocks_decoded: Family::default(),
            blocks_unreadable: Family::default(),
            events_ignored: Family::default(),
            partitions_made: Family::default(),
            partition_rows: Family::default(),
            partition_bytes_read: Counter::default(),
            maintenance_failures: Family::default(),
            workers_lost: Family::default(),
            journal: Mutex::default(),
            has_journal: AtomicBool::new(false),
            partition_bytes_told: AtomicU64::new(0),
        };
        let m = &metrics;
        registry.register("queries", "Queries started", m.queries.clone());
        registry.register(
            "queries_ended",
            "Finished queries of callers, by outcome: ok, error, or incomplete if the client disconnected",
            m.queries_ended.clone(),
        );
        registry.register(
            "queries_failed",
            "Failed queries of callers, by reason: sql, resources, too_long, rights, denied, cancelled, unsupported, busy, or \
             internal, which is a bug or a failure of storage",
            m.queries_failed.clone(),
        );
        registry.register(
            "query_seconds",
            "Time from the arrival of a caller's query to its end, in seconds",
            m.query_seconds.clone(),
        );
        registry.register(
            "blocks_decoded",
            "Blocks decoded for queries, by view set",
            m.blocks_decoded.clone(),
        );
        registry.register(
            "blocks_unreadable",
            "Failed attempts to read a block, by view set; see SELECT * FROM block_faults()",
            m.blocks_unreadable.clone(),
        );
        registry.register(
            "events_ignored",
            "Events that produced no row although they should have, counted at each decoding, by view set and reason",
            m.events_ignored.clone(),
        );
        registry.register(
            "partitions_made",
            "Partitions published, including merged ones, by view set",
            m.partitions_made.clone(),
        );
        registry.register(
            "partition_rows",
            "Rows in published partitions, by view set",
            m.partition_rows.clone(),
        );
        registry.register(
            "partition_bytes_read",
            "Bytes of partitions read from the object store, excluding cache hits",
            m.partition_bytes_read.clone(),
        );
        registry.register(
            "maintenance_failures",
            "Background tasks that failed and will be retried, by view set",
            m.maintenance_failures.clone(),
        );
        registry.register(
            "query_processes_lost",
            "Query processes that ended before their query, or had to be ended, by reason: memory, crash, stuck",
            m.workers_lost.clone(),
        );
        metrics
    }
}
