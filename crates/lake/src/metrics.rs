//! What a lake counts, as Prometheus text.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Labels of one kind of request and its outcome.
type RequestLabels = [(&'static str, String); 2];

/// Counters of one lake. Each lake has its own, so that several live in one program.
#[derive(Debug)]
pub struct Metrics {
    inner: Mutex<Inner>,
    /// Requests by route and HTTP status.
    pub(crate) requests: Family<RequestLabels, Counter>,
    /// Bytes of request bodies.
    pub(crate) request_bytes: Counter,
    /// Blocks that were new.
    pub(crate) blocks_added: Counter,
    /// Blocks that the lake had already.
    pub(crate) blocks_repeated: Counter,
    /// Blocks that came before their stream or their process.
    pub(crate) unannounced: Counter,
    /// Blocks that waited for their stream or their process when that was last looked at.
    pub(crate) unannounced_waiting: Gauge,
    /// Blocks that were dropped since they waited for too long, or too many did.
    pub(crate) unannounced_dropped: Counter,
    /// From the first request of a group to its answers.
    pub(crate) commit_seconds: Histogram,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    groups: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

/// Counters that another crate keeps beside the lake's own: a lake knows no queries and no partitions.
pub trait MetricGroup: Send + Sync + Sized + 'static {
    /// Makes the counters and registers them. Their names get the prefix `belvedere_`.
    fn register(registry: &mut Registry) -> Self;
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let request_bytes = Counter::default();
        let blocks_added = Counter::default();
        let blocks_repeated = Counter::default();
        let unannounced = Counter::default();
        let unannounced_waiting = Gauge::default();
        let unannounced_dropped = Counter::default();
        let commit_seconds = Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let mut registry = Registry::with_prefix("belvedere");
        registry.register(
            "requests",
            "Ingestion requests, by route and HTTP status",
            Family::clone(&requests),
        );
        registry.register(
            "request_bytes",
            "Size of ingestion request bodies in bytes",
            request_bytes.clone(),
        );
        registry.register("blocks_added", "New blocks stored", blocks_added.clone());
        registry.register(
            "blocks_repeated",
            "Blocks that were already stored when they were sent",
            blocks_repeated.clone(),
        );
        registry.register(
            "unannounced_blocks",
            "Blocks that came before their stream or process was announced",
            unannounced.clone(),
        );
        registry.register(
            "unannounced_blocks_waiting",
            "Blocks that wait for their stream or process, when that was last counted",
            unannounced_waiting.clone(),
        );
        registry.register(
            "unannounced_blocks_dropped",
            "Blocks dropped because their stream or process was not announced in time, or too many waited",
            unannounced_dropped.clone(),
        );
        registry.register(
            "commit_seconds",
            "Time from the first request of a commit group to its responses, in seconds",
            commit_seconds.clone(),
        );
        let inner = Mutex::new(Inner { registry, groups: HashMap::new() });
        Self {
            inner,
            requests,
            request_bytes,
            blocks_added,
            blocks_repeated,
            unannounced,
            unannounced_waiting,
            unannounced_dropped,
            commit_seconds,
        }
    }
}

impl Metrics {
    /// The counters of another crate, registered on first use.
    pub fn group<G: MetricGroup>(&self) -> Arc<G> {
        let mut inner = self.inner();
        let Inner { registry, groups } = &mut *inner;
        let group =
            groups.entry(TypeId::of::<G>()).or_insert_with(|| Arc::new(G::register(registry))).clone();
        drop(inner);
        // the entry under a type's id has that type
        group.downcast().unwrap_or_else(|_| Arc::new(G::register(&mut Registry::default())))
    }

    /// All counters in the text format that Prometheus reads.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // writing to a string does not fail
        let _ = encode(&mut text, &self.inner().registry);
        text
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // whole after every single operation on it
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Visits(Counter);

    impl MetricGroup for Visits {
        fn register(registry: &mut Registry) -> Self {
            let visits = Counter::default();
            registry.register("visits", "Visits", visits.clone());
            Self(visits)
        }
    }

    #[test]
    fn a_group_of_another_crate_is_registered_once_and_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.group::<Visits>().0.inc();
        metrics.group::<Visits>().0.inc();
        let text = metrics.to_text();
        assert!(text.contains("belvedere_visits_total 2"), "{text}");
        assert!(text.contains("belvedere_blocks_added_total 0"), "{text}");
    }
}
