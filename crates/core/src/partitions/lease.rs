//! Leases save builders the work that another one is doing.

use crate::error::Result;
use belvedere_lake::Catalog;
use belvedere_model::time::SECOND;
use uuid::Uuid;

/// How long a piece of work is taken for; it is prolonged with each partition.
const LEASE: i64 = 120 * SECOND;

/// The right to work on an instance, as far as everybody asks for it.
pub(crate) struct Lease<'a> {
    catalog: &'a Catalog,
    job: String,
    owner: Uuid,
}

impl<'a> Lease<'a> {
    /// Not taken yet: [`Lease::prolong`] takes it.
    pub(super) fn new(catalog: &'a Catalog, job: String) -> Self {
        Self { catalog, job, owner: Uuid::new_v4() }
    }

    pub(crate) async fn prolong(&self) -> Result<bool> {
        Ok(self.catalog.claim(&self.job, self.owner, LEASE).await?)
    }

    pub(crate) async fn release(self) {
        if let Err(e) = self.catalog.release(&self.job, self.owner).await {
            tracing::debug!(job = self.job, "a lease was not released and will expire: {e}");
        }
    }
}
