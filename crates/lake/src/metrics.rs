//! What a lake counts about itself, as Prometheus text.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Labels of one kind of request and its outcome.
type RequestLabels = [(&'static str, String); 2];
/// Label of a view set.
type ViewSetLabel = [(&'static str, String); 1];
/// Label of how something ended.
type OutcomeLabel = [(&'static str, String); 1];
/// Labels of a view set and a reason.
type ReasonLabels = [(&'static str, String); 2];

/// Counters of one lake. Each lake has its own, so that several live in one program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by route and HTTP status.
    pub requests: Family<RequestLabels, Counter>,
    /// Bytes of request bodies.
    pub request_bytes: Counter,
    /// Blocks that were new.
    pub blocks_added: Counter,
    /// Blocks that were there already.
    pub blocks_repeated: Counter,
    /// From the first request of a group to its answers.
    pub commit_seconds: Histogram,
    /// Queries that began.
    pub queries: Counter,
    /// Queries of callers that came to an end, by outcome.
    pub queries_ended: Family<OutcomeLabel, Counter>,
    /// From the arrival of a caller's query to its end.
    pub query_seconds: Histogram,
    /// Blocks read for queries, by view set.
    pub blocks_decoded: Family<ViewSetLabel, Counter>,
    /// Blocks that could not be read, by view set; counted at each attempt.
    pub blocks_unreadable: Family<ViewSetLabel, Counter>,
    /// Events that gave no row although they should, by view set and reason; counted each time they are decoded.
    pub events_ignored: Family<ReasonLabels, Counter>,
    /// Partitions that were published, by view set.
    pub partitions_made: Family<ViewSetLabel, Counter>,
    /// Rows in them.
    pub partition_rows: Family<ViewSetLabel, Counter>,
    /// Bytes of partitions that were fetched from the store, caches not counted.
    pub partition_bytes_read: Counter,
    /// Pieces of background work that failed, by view set.
    pub maintenance_failures: Family<ViewSetLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("belvedere");
        let metrics = Self {
            requests: Family::default(),
            request_bytes: Counter::default(),
            blocks_added: Counter::default(),
            blocks_repeated: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
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
            registry: Registry::default(),
        };
        let m = &metrics;
        registry.register("requests", "Ingestion requests, by route and HTTP status", m.requests.clone());
        registry.register(
            "request_bytes",
            "Size of ingestion request bodies in bytes",
            m.request_bytes.clone(),
        );
        registry.register("blocks_added", "New blocks stored", m.blocks_added.clone());
        registry.register(
            "blocks_repeated",
            "Blocks that were already stored when they were sent",
            m.blocks_repeated.clone(),
        );
        registry.register(
            "commit_seconds",
            "Time from the first request of a commit group to its responses, in seconds",
            m.commit_seconds.clone(),
        );
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
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts events that gave no row.
    pub fn add_ignored(&self, view_set: &str, ignored: &[(&'static str, u64)]) {
        for (reason, events) in ignored {
            let labels = [("view_set", view_set.to_owned()), ("reason", (*reason).to_owned())];
            self.events_ignored.get_or_create(&labels).inc_by(*events);
        }
    }

    /// Counts a query that came to its end.
    pub fn note_query(&self, outcome: &'static str, took: std::time::Duration) {
        self.queries_ended.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.query_seconds.observe(took.as_secs_f64());
    }

    /// All counters in the text format that Prometheus reads.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // writing to a string does not fail
        let _ = encode(&mut text, &self.registry);
        text
    }
}
