//! Memory of queries: each has a limit of its own, and all together have one.
//!
//! Within its limit a query's operators share fairly: those that can spill to disk do so before others fail.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all queries of a lake may take together.
#[derive(Debug)]
pub(crate) struct LakeMemory {
    limit: usize,
    used: AtomicUsize,
}

impl LakeMemory {
    /// That many bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    fn try_grow(&self, bytes: usize) -> Result<(), usize> {
        let grown = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.limit)
        });
        grown.map(drop)
    }
}

/// The memory of one query.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    shared: FairSpillPool,
    limit: usize,
    lake: Arc<LakeMemory>,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl QueryMemory {
    /// A part of the lake's, of that many bytes at most.
    pub(crate) fn new(lake: Arc<LakeMemory>, limit: usize) -> Self {
        let limit = limit.min(lake.limit);
        Self {
            shared: FairSpillPool::new(limit),
            limit,
            lake,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Bytes that it has now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that it ever had.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Says what a query takes that runs in another process.
    pub(crate) fn adopt(&self, used: usize, peak: usize) {
        self.used.store(used, Ordering::Relaxed);
        self.peak.fetch_max(peak, Ordering::Relaxed);
    }

    fn note(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query memory of {} bytes", self.limit)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    // what can't be refused is accounted all the same: others are refused earlier then
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.lake.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
        self.note(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.shared.shrink(reservation, shrink);
        self.lake.used.fetch_sub(shrink, Ordering::Relaxed);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer().name();
        if let Err(used) = self.lake.try_grow(additional) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{consumer} needs {additional} more bytes, but all queries together already use {used} of {} \
                 bytes of memory: try again when fewer queries are running, or raise the memory limit of the lake \
                 (--memory)",
                self.lake.limit
            )));
        }
        if self.shared.try_grow(reservation, additional).is_err() {
            self.lake.used.fetch_sub(additional, Ordering::Relaxed);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{consumer} needs {additional} more bytes, but the query already uses {} of {} bytes of memory, \
                 which its operators share: narrow the query, or raise the memory limit per query \
                 (--query-memory)",
                self.used(),
                self.limit
            )));
        }
        self.note(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reservation(pool: &Arc<QueryMemory>) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = pool.clone();
        MemoryConsumer::new("sort").register(&pool)
    }

    #[test]
    fn a_query_takes_no_more_than_its_part_and_all_no_more_than_the_lake_has() {
        let lake = LakeMemory::new(100);
        let (first, second) =
            (Arc::new(QueryMemory::new(lake.clone(), 60)), Arc::new(QueryMemory::new(lake.clone(), 60)));
        let (one, other) = (reservation(&first), reservation(&second));
        one.try_grow(60).unwrap();
        assert!(one.try_grow(1).unwrap_err().to_string().contains("the query already uses 60 of 60 bytes"));
        assert!(
            other
                .try_grow(41)
                .unwrap_err()
                .to_string()
                .contains("all queries together already use 60 of 100")
        );
        other.try_grow(40).unwrap();
        drop(one);
        other.try_grow(20).unwrap();
        assert_eq!((first.used(), first.peak(), second.used()), (0, 60, 60));
        drop(other);
        assert_eq!(lake.used.load(Ordering::Relaxed), 0);
    }
}
