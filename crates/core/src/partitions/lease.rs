//! Leases save builders the work that another one is doing.
//!
//! A lease is short, and prolonged as long as its holder lives: that of a holder that was killed ends soon, and a
//! partition may take as long as it takes.

use crate::error::Result;
use belvedere_lake::LakeConnection;
use belvedere_model::time::SECOND;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use uuid::Uuid;

/// How long a piece of work is taken for.
const LEASE: i64 = 20 * SECOND;
/// How often that is prolonged.
const BEAT: Duration = Duration::from_secs(5);

/// The right to work on an instance, as far as everybody asks for it.
pub(crate) struct Lease {
    claim: Arc<Claim>,
    heart: Option<AbortHandle>,
}

struct Claim {
    connection: Arc<LakeConnection>,
    job: String,
    owner: Uuid,
}

impl Claim {
    async fn make(&self) -> Result<bool> {
        Ok(self.connection.catalog().claim(&self.job, self.owner, &holder(), LEASE).await?)
    }
}

impl Lease {
    /// Takes a job. `None` if somebody else has it.
    pub(super) async fn take(connection: Arc<LakeConnection>, job: String) -> Result<Option<Self>> {
        Self::take_and_prolong(connection, job, BEAT).await
    }

    async fn take_and_prolong(
        connection: Arc<LakeConnection>,
        job: String,
        beat: Duration,
    ) -> Result<Option<Self>> {
        let claim = Arc::new(Claim { connection, job, owner: Uuid::new_v4() });
        if !claim.make().await? {
            return Ok(None);
        }
        let beating = claim.clone();
        let heart = tokio::spawn(async move {
            loop {
                tokio::time::sleep(beat).await;
                match beating.make().await {
                    Ok(true) => {}
                    // the holder notices before its next partition
                    Ok(false) => return,
                    Err(e) => tracing::debug!(job = beating.job, "a lease was not prolonged: {e}"),
                }
            }
        });
        Ok(Some(Self { claim, heart: Some(heart.abort_handle()) }))
    }

    /// Whether it is still ours.
    pub(crate) async fn prolong(&self) -> Result<bool> {
        self.claim.make().await
    }

    pub(crate) async fn release(mut self) {
        // what is prolonged after it was released would last
        self.stop();
        let Claim { connection, job, owner } = &*self.claim;
        if let Err(e) = connection.catalog().release(job, *owner).await {
            tracing::debug!(job, "a lease was not released and will expire: {e}");
        }
    }

    fn stop(&mut self) {
        if let Some(heart) = self.heart.take() {
            heart.abort();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop();
    }
}

/// This process, for people.
fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host =
        host.map_or_else(|_| std::env::var("HOSTNAME").unwrap_or_default(), |host| host.trim().to_owned());
    match host.as_str() {
        "" => format!("process {}", std::process::id()),
        host => format!("process {} on {host}", std::process::id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use belvedere_model::time::now;

    #[tokio::test]
    async fn a_lease_is_prolonged_while_its_holder_lives_and_not_longer() {
        let lake = crate::fixture::lake().await;
        let (connection, job) = (lake.connection().clone(), || "a job".to_owned());
        let take = || Lease::take_and_prolong(connection.clone(), job(), Duration::from_millis(1));
        let expires = async || connection.catalog().lease_of("a job").await.unwrap().unwrap().1;
        let lease = take().await.unwrap().unwrap();
        let first = expires().await;
        assert!(first <= now() + LEASE);
        assert!(take().await.unwrap().is_none());
        while expires().await <= first {
            tokio::task::yield_now().await;
        }
        lease.release().await;
        assert_eq!(connection.catalog().lease_of("a job").await.unwrap(), None);
        assert!(take().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_lease_of_a_holder_that_was_killed_ends_by_itself() {
        let lake = crate::fixture::lake().await;
        let catalog = lake.connection().catalog();
        assert!(catalog.claim("a job", Uuid::new_v4(), "process 7 on a", 1).await.unwrap());
        assert_eq!(catalog.lease_of("a job").await.unwrap(), None);
        assert!(Lease::take(lake.connection().clone(), "a job".to_owned()).await.unwrap().is_some());
        let (holder, _) = catalog.lease_of("a job").await.unwrap().unwrap();
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    }
}
