//! Leases of jobs: of several servers with one lake, one does a job at a time.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use uuid::Uuid;

impl Catalog {
    /// Takes the lease of a job for `duration` nanoseconds, and says who has it then. Returns `false` if another owner has
    /// it.
    pub async fn claim(
        &self,
        job: &str,
        owner: Uuid,
        holder: &str,
        duration: i64,
    ) -> Result<bool, LakeError> {
        let now = belvedere_model::time::now();
        let mut claim = Statement::new("INSERT INTO leases (job, owner, expires, holder) VALUES ");
        claim
            .tuple([
                Arg::Text(job.to_owned()),
                Arg::Uuid(owner),
                Arg::Int(now.saturating_add(duration)),
                Arg::Text(holder.to_owned()),
            ])
            .push(" ON CONFLICT (job) DO UPDATE SET owner = excluded.owner, expires = excluded.expires, ")
            .push("holder = excluded.holder WHERE leases.expires < ")
            .bind(Arg::Int(now))
            // the clock of an owner was ahead, or ours was set back: such a lease must not block the job for ever
            .push(" OR leases.expires > ")
            .bind(Arg::Int(now.saturating_add(duration.saturating_mul(2))))
            .push(" OR leases.owner = ")
            .bind(Arg::Uuid(owner));
        Ok(self.writer.transact(vec![Step::Count(claim)]).await? > 0)
    }

    /// Who has the lease of a job, and until when; `None` if nobody has.
    pub async fn lease_of(&self, job: &str) -> Result<Option<(String, i64)>, LakeError> {
        let mut statement = Statement::new("SELECT holder, expires FROM leases WHERE job = ");
        statement.bind(Arg::Text(job.to_owned()));
        statement.push(" AND expires >= ").bind(Arg::Int(belvedere_model::time::now()));
        Ok(self.readers.fetch::<(String, i64)>(statement).await?.pop())
    }

    /// Gives back a lease.
    pub async fn release(&self, job: &str, owner: Uuid) -> Result<(), LakeError> {
        let mut release = Statement::new("DELETE FROM leases WHERE job = ");
        release.bind(Arg::Text(job.to_owned())).push(" AND owner = ").bind(Arg::Uuid(owner));
        self.writer.transact(vec![Step::Do(release)]).await.map(drop)
    }
}
