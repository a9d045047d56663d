//! When blocks that wait for their stream or their process are dropped.

use super::catalog::{Catalog, UnannouncedLimits, Waiting};
use super::{LakeError, Metrics};
use std::sync::Arc;

/// Keeps what waits within the limits.
#[derive(Debug, Clone)]
pub(super) struct UnannouncedBlocks {
    catalog: Arc<Catalog>,
    metrics: Arc<Metrics>,
    limits: UnannouncedLimits,
}

/// What has come since the last look. The first block is a reason to look: how many waited before is not known.
#[derive(Debug, Default)]
pub(super) struct SinceLastLook(Option<Waiting>);

impl UnannouncedBlocks {
    pub(super) fn new(catalog: Arc<Catalog>, metrics: Arc<Metrics>, limits: UnannouncedLimits) -> Self {
        Self { catalog, metrics, limits }
    }

    /// Notes what a commit added, and drops what is beyond the limits if enough has come.
    pub(super) async fn added(&self, new: Waiting, since: &mut SinceLastLook) {
        if new.blocks == 0 {
            return;
        }
        self.metrics.unannounced.inc_by(new.blocks.unsigned_abs());
        if let Some(since) = &mut since.0 {
            since.blocks = since.blocks.saturating_add(new.blocks);
            since.bytes = since.bytes.saturating_add(new.bytes);
            let share = |limit: u64| i64::try_from(limit / 16).unwrap_or(i64::MAX);
            if since.blocks < share(self.limits.blocks) && since.bytes < share(self.limits.bytes) {
                return;
            }
        }
        since.0 = Some(Waiting::default());
        if let Err(e) = self.drop_oldest().await {
            tracing::warn!("blocks that were never announced could not be dropped: {e}");
        }
    }

    /// Drops what is beyond the limits.
    pub(super) async fn drop_oldest(&self) -> Result<u64, LakeError> {
        let (waiting, dropped) = self.catalog.drop_unannounced(&self.limits).await?;
        self.metrics.unannounced_waiting.set(waiting.blocks);
        if dropped.blocks > 0 {
            self.metrics.unannounced_dropped.inc_by(dropped.blocks.unsigned_abs());
            tracing::warn!(
                blocks = dropped.blocks,
                bytes = dropped.bytes,
                "dropped blocks whose stream or process was never announced; {} still wait",
                waiting.blocks
            );
        }
        Ok(dropped.blocks.unsigned_abs())
    }
}
