//! What making partitions needs of the rooms above: views by name, and the rows of views that are SQL.

use crate::error::Result;
use crate::scan::{Coverage, Instance, ScanContext};
use async_trait::async_trait;
use belvedere_view::SqlSource;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use std::fmt::Debug;
use std::sync::Arc;

/// The views of a program as making partitions sees them. Implemented by the room of queries.
#[async_trait]
pub(crate) trait ViewRows: Debug + Send + Sync {
    /// A view instance whose rows are kept in partitions; `None` if there is none of that name and id.
    fn instance(&self, view_set: &str, id: &str) -> Option<Instance>;

    /// The global instances whose rows are kept in partitions, each after what it reads.
    fn global_instances(&self) -> Vec<Instance>;

    /// The partial rows that a view's SQL gives for the blocks that the scan sees, in the order of its partitions.
    async fn extract(
        &self,
        scan: &ScanContext,
        instance: &Instance,
        sql: &SqlSource,
    ) -> Result<SendableRecordBatchStream>;

    /// What partial rows in partitions become together, in the order of the view's partitions.
    async fn merge(
        &self,
        scan: &ScanContext,
        instance: &Instance,
        sql: &SqlSource,
        partials: Coverage,
    ) -> Result<SendableRecordBatchStream>;

    /// All rows of an instance as the scan sees it.
    async fn rows(&self, scan: &ScanContext, instance: &Instance) -> Result<SendableRecordBatchStream>;

    /// What plans of the engine are run with.
    fn task(&self, scan: &ScanContext) -> Result<Arc<TaskContext>>;
}
