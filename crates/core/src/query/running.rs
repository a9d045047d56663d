//! The queries that there are: what `list_queries()` lists and `cancel_query` ends.

use super::ClientInfo;
use super::memory::QueryMemory;
use crate::scan::QueryReport;
use belvedere_lake::access::{Caller, Right};
use belvedere_model::time::{TimeRange, now};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use uuid::Uuid;

/// A query from its arrival to its end.
#[derive(Debug)]
pub(crate) struct RunningQuery {
    pub(crate) id: Uuid,
    pub(crate) sql: String,
    pub(crate) range: TimeRange,
    pub(crate) limit: Option<usize>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) client: ClientInfo,
    pub(crate) arrived: Instant,
    /// Nanoseconds since the Unix epoch.
    pub(crate) arrived_at: i64,
    /// Its turn has come.
    pub(crate) is_running: AtomicBool,
    /// It came to its end: what still works for it may stop.
    pub(crate) over: Arc<AtomicBool>,
    /// Rows that were handed over.
    pub(crate) rows: AtomicU64,
    pub(crate) report: Arc<QueryReport>,
    pub(crate) memory: Arc<QueryMemory>,
    /// Who wants it to end.
    cancelled: watch::Sender<Option<String>>,
}

impl RunningQuery {
    pub(crate) fn new(
        id: Uuid,
        sql: String,
        (range, limit): (TimeRange, Option<usize>),
        (caller, client): (Arc<Caller>, ClientInfo),
        memory: Arc<QueryMemory>,
    ) -> Self {
        Self {
            id,
            sql,
            range,
            limit,
            caller,
            client,
            arrived: Instant::now(),
            arrived_at: now(),
            is_running: AtomicBool::new(false),
            over: Arc::default(),
            rows: AtomicU64::new(0),
            report: Arc::default(),
            memory,
            cancelled: watch::Sender::new(None),
        }
    }

    /// Whoever asks: the user that a service speaks for, or the caller.
    pub(crate) fn user(&self) -> &str {
        self.client.user_id.as_deref().unwrap_or(&self.caller.name)
    }

    /// Whether it is an administrator's, by which they find out what keeps a server busy and end it. Neither rules nor
    /// others who wait hold such a query up: a rule must not keep itself.
    pub(crate) fn is_urgent(&self) -> bool {
        self.caller.rights.has(Right::Administer) && is_management(&self.sql)
    }

    /// Waits until somebody wants it to end, and says who.
    pub(crate) async fn cancelled(&self) -> String {
        let mut cancelled = self.cancelled.subscribe();
        let by = cancelled.wait_for(Option::is_some).await.map(|by| by.clone()).ok().flatten();
        match by {
            Some(by) => by,
            // not met: the sender lives as long as `self`
            None => std::future::pending().await,
        }
    }
}

/// Functions that are about the server itself.
pub(super) const MANAGEMENT_FUNCTIONS: [&str; 5] =
    ["list_queries", "cancel_query", "deny_queries", "list_query_denials", "remove_query_denial"];

/// Bytes of a statement by which a server is managed: a rule, and why it is made.
const MANAGEMENT: usize = 4096;

/// SQL has names in any case. Names in texts and comments count, too: who has to know for sure looks at words.
pub(super) fn mentions_management(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    MANAGEMENT_FUNCTIONS.iter().any(|name| sql.contains(name))
}

fn is_management(sql: &str) -> bool {
    sql.len() <= MANAGEMENT && mentions_management(sql)
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct RunningQueries {
    by_id: Mutex<BTreeMap<Uuid, Arc<RunningQuery>>>,
}

impl RunningQueries {
    fn by_id(&self) -> MutexGuard<'_, BTreeMap<Uuid, Arc<RunningQuery>>> {
        // every change is a single operation
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a query of this name is there.
    #[cfg(test)]
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.by_id().contains_key(&id)
    }

    /// Adds a query under the name that was told before, or, if there is none or another query has it, under a new one.
    pub(crate) fn add(
        &self,
        told: Option<Uuid>,
        make: impl FnOnce(Uuid) -> RunningQuery,
    ) -> Arc<RunningQuery> {
        let mut by_id = self.by_id();
        let id = told.filter(|id| !by_id.contains_key(id)).unwrap_or_else(Uuid::new_v4);
        let query = Arc::new(make(id));
        by_id.insert(id, query.clone());
        query
    }

    pub(crate) fn remove(&self, id: Uuid) {
        self.by_id().remove(&id);
    }

    /// Those that this caller may know of, the oldest first: the own ones, all for administrators.
    pub(crate) fn seen_by(&self, caller: &Caller) -> Vec<Arc<RunningQuery>> {
        let mut queries: Vec<_> = self.by_id().values().filter(|q| is_theirs(q, caller)).cloned().collect();
        queries.sort_by_key(|query| query.arrived);
        queries
    }

    /// Ends a query of the caller, or anybody's for administrators. False if there is none that they may know of.
    pub(crate) fn cancel(&self, id: Uuid, caller: &Caller) -> bool {
        let query = self.by_id().get(&id).filter(|q| is_theirs(q, caller)).cloned();
        if let Some(query) = &query {
            query.cancelled.send_replace(Some(caller.name.clone()));
        }
        query.is_some()
    }
}

fn is_theirs(query: &RunningQuery, caller: &Caller) -> bool {
    caller.rights.has(Right::Administer) || query.caller.identity == caller.identity
}

#[cfg(test)]
mod tests {
    use super::super::memory::LakeMemory;
    use super::*;
    use belvedere_lake::access::{Identity, Rights};

    fn caller(identity: Identity, rights: &str) -> Arc<Caller> {
        let rights: Rights = rights.parse().unwrap();
        Arc::new(Caller::new(identity, "grafana", rights))
    }

    fn subject(issuer: &str) -> Identity {
        Identity::Subject { issuer: issuer.to_owned(), subject: "grafana".to_owned() }
    }

    #[test]
    fn whoever_has_only_the_same_name_neither_sees_nor_ends_a_query() {
        let key = Identity::Key(Uuid::new_v4());
        for (asker, others) in [
            (key.clone(), [subject("https://id"), Identity::Key(Uuid::new_v4()), Identity::Anybody]),
            (subject("https://id"), [key, subject("https://other"), Identity::Anybody]),
        ] {
            let running = RunningQueries::default();
            let memory = Arc::new(QueryMemory::new(LakeMemory::new(0), 0));
            let asked = (caller(asker.clone(), "read"), ClientInfo::default());
            let (id, sql) = (Uuid::new_v4(), "SELECT 1".to_owned());
            running.add(Some(id), |id| RunningQuery::new(id, sql, (TimeRange::ALL, None), asked, memory));
            for other in others {
                let other = caller(other, "read");
                assert!(running.seen_by(&other).is_empty() && !running.cancel(id, &other), "{other:?}");
            }
            assert_eq!(running.seen_by(&caller(Identity::Anybody, "admin")).len(), 1);
            // the same caller with a key's new rights, or a newer token
            let asker = caller(asker, "read,send");
            assert_eq!(running.seen_by(&asker).len(), 1);
            assert!(running.cancel(id, &asker));
        }
    }

    #[test]
    fn the_functions_that_manage_a_server_are_found_in_any_case() {
        assert!(is_management("SELECT * FROM LIST_QUERY_DENIALS()"));
        assert!(is_management("select remove_query_denial('x')"));
        assert!(is_management("SELECT * FROM list_queries()"));
        assert!(!is_management("SELECT * FROM list_partitions()"));
        assert!(!is_management(&format!("SELECT * FROM list_queries() -- {}", "x".repeat(MANAGEMENT))));
    }
}
