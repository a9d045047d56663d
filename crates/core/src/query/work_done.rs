//! What the operators of a plan did.

use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

/// What a plan did that only its operators know.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct WorkDone {
    pub(crate) spilled_bytes: usize,
    pub(crate) spill_count: usize,
    /// Bytes of partitions that were read.
    pub(crate) file_bytes: usize,
}

impl WorkDone {
    pub(crate) fn measure(plan: &dyn ExecutionPlan) -> Self {
        let own = plan.metrics().map_or(Self::default(), |metrics| Self {
            spilled_bytes: metrics.spilled_bytes().unwrap_or(0),
            spill_count: metrics.spill_count().unwrap_or(0),
            file_bytes: metrics.sum_by_name("bytes_scanned").map_or(0, |value| value.as_usize()),
        });
        plan.children().into_iter().map(|child| Self::measure(child.as_ref())).fold(own, |sum, child| Self {
            spilled_bytes: sum.spilled_bytes + child.spilled_bytes,
            spill_count: sum.spill_count + child.spill_count,
            file_bytes: sum.file_bytes + child.file_bytes,
        })
    }
}
