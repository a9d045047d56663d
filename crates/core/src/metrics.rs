//! What queries and partitions of a lake count, beside the lake's own counters.

use belvedere_lake::{LakeConnection, MetricGroup};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// Label of a view set.
type ViewSetLabel = [(&'static str, String); 1];
/// Label of an outcome.
type OutcomeLabel = [(&'static str, String); 1];
/// Labels of a view set and a reason.
type ReasonLabels = [(&'static str, String); 2];

/// Counters of queries, decoded blocks and partitions.
#[derive(Debug)]
pub(crate) struct QueryMetrics {
    /// Queries that began.
    pub(crate) queries: Counter,
    queries_ended: Family<OutcomeLabel, Counter>,
    query_seconds: Histogram,
    blocks_decoded: Family<ViewSetLabel, Counter>,
    blocks_unreadable: Family<ViewSetLabel, Counter>,
    events_ignored: Family<ReasonLabels, Counter>,
    partitions_made: Family<ViewSetLabel, Counter>,
    partition_rows: Family<ViewSetLabel, Counter>,
    /// Bytes of partitions that were fetched from the store, caches not counted.
    pub(crate) partition_bytes_read: Counter,
    maintenance_failures: Family<ViewSetLabel, Counter>,
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

    /// Counts blocks that were read for rows of a view set.
    pub(crate) fn blocks_decoded(&self, view_set: &str, blocks: u64) {
        self.blocks_decoded.get_or_create(&view_set_label(view_set)).inc_by(blocks);
    }

    /// Counts an attempt to read a block that failed.
    pub(crate) fn block_unreadable(&self, view_set: &str) {
        self.blocks_unreadable.get_or_create(&view_set_label(view_set)).inc();
    }

    /// Counts events that gave no row although they should, by reason.
    pub(crate) fn events_ignored(&self, view_set: &str, ignored: &[(&'static str, u64)]) {
        for (reason, events) in ignored {
            let labels = [("view_set", view_set.to_owned()), ("reason", (*reason).to_owned())];
            self.events_ignored.get_or_create(&labels).inc_by(*events);
        }
    }

    /// Counts a partition that was published.
    pub(crate) fn partition_made(&self, view_set: &str, rows: u64) {
        self.partitions_made.get_or_create(&view_set_label(view_set)).inc();
        self.partition_rows.get_or_create(&view_set_label(view_set)).inc_by(rows);
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
            query_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 20)),
            blocks_decoded: Family::default(),
            blocks_unreadable: Family::default(),
            events_ignored: Family::default(),
            partitions_made: Family::default(),
            partition_rows: Family::default(),
            partition_bytes_read: Counter::default(),
            maintenance_failures: Family::default(),
        };
        let m = &metrics;
        registry.register("queries", "Queries started", m.queries.clone());
        registry.register(
            "queries_ended",
            "Finished queries of callers, by outcome: ok, error, or incomplete if the client disconnected",
            m.queries_ended.clone(),
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
        metrics
    }
}
