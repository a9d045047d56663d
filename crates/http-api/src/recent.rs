//! What queries did, for those who asked them: while they run, and for some time after.

use super::error::HttpError;
use axum::http::StatusCode;
use belvedere_core::query::{QueryError, QueryReport, ScanPlan};
use belvedere_core::service::Answer;
use belvedere_lake::access::{Caller, Identity, Right};
use futures::StreamExt;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a query that is over is remembered.
const KEPT: Duration = Duration::from_secs(600);
/// Queries that are remembered. A report has bounded size, so these have.
const MOST: usize = 1000;

/// The latest queries, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Record>>>);

#[derive(Debug)]
struct Record {
    query_id: Uuid,
    asked_by: Identity,
    report: Arc<QueryReport>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    rows: u64,
    end: Option<(End, Instant)>,
}

#[derive(Debug)]
enum End {
    Done,
    Failed(String),
    /// Whoever asked went away.
    Left,
}

impl Recent {
    fn records(&self) -> MutexGuard<'_, VecDeque<Arc<Record>>> {
        // every change is a single operation
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a query from now on.
    pub(super) fn watch(&self, answer: Answer, caller: &Caller) -> Answer {
        let Answer { query_id, schema, rows, report } = answer;
        let record = Arc::new(Record {
            query_id,
            asked_by: caller.identity.clone(),
            report: report.clone(),
            progress: Mutex::default(),
        });
        let mut records = self.records();
        while records.len() >= MOST || records.front().is_some_and(|oldest| oldest.is_old()) {
            records.pop_front();
        }
        records.push_back(record.clone());
        drop(records);
        let mut watcher = Watcher(record);
        let rows = rows
            .map(Some)
            .chain(futures::stream::iter([None]))
            .filter_map(move |next| {
                match &next {
                    Some(Ok(batch)) => watcher.0.progress().rows += batch.num_rows() as u64,
                    Some(Err(e)) => watcher.end(End::Failed(failure(e, query_id))),
                    None => watcher.end(End::Done),
                }
                std::future::ready(next)
            })
            .boxed();
        Answer { query_id, schema, rows, report }
    }

    /// What a query did so far, if the caller asked it or is an administrator.
    pub(super) fn describe(&self, query_id: Uuid, caller: &Caller) -> Result<Value, HttpError> {
        let records = self.records();
        let is_theirs = |record: &&Arc<Record>| {
            record.query_id == query_id
                && !record.is_old()
                && (record.asked_by == caller.identity || caller.rights.has(Right::Administer))
        };
        let record = records.iter().rev().find(is_theirs).map(|record| record.to_json());
        record.ok_or_else(|| {
            HttpError::refused(
                StatusCode::NOT_FOUND,
                format!(
                    "there is no query {query_id} that you asked over HTTP in the last {} minutes and that this server \
                     has begun to answer",
                    KEPT.as_secs() / 60
                ),
            )
        })
    }
}

/// As whoever asked was told.
fn failure(error: &QueryError, query_id: Uuid) -> String {
    error.report(Some(query_id))
}

/// Says how a query ended, also if nobody takes its rows any more.
struct Watcher(Arc<Record>);

impl Watcher {
    fn end(&mut self, end: End) {
        self.0.progress().end.get_or_insert((end, Instant::now()));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end(End::Left);
    }
}

impl Record {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_old(&self) -> bool {
        self.progress().end.as_ref().is_some_and(|(_, at)| at.elapsed() > KEPT)
    }

    fn to_json(&self) -> Value {
        let Progress { rows, end } = &*self.progress();
        let (state, error) = match end {
            None => ("running", None),
            Some((End::Done, _)) => ("done", None),
            Some((End::Left, _)) => ("left", None),
            Some((End::Failed(message), _)) => ("failed", Some(message)),
        };
        let faults = self.report.faults();
        let unreadable: Vec<Value> = faults
            .iter()
            .map(|fault| {
                json!({
                    "view_set": fault.view_set,
                    "block_id": fault.block_id,
                    "process_id": fault.process_id,
                    "reason": fault.reason,
                    "may_pass": fault.may_pass,
                })
            })
            .collect();
        json!({
            "query_id": self.query_id,
            "state": state,
            "error": error,
            "rows": rows,
            "blocks": self.report.blocks(),
            "block_bytes": self.report.payload_bytes(),
            "missing_blocks": self.report.fault_count(),
            "unreadable_blocks": unreadable,
            "ignored_events": self.report.ignored_events(),
            "reads": reads(&self.report.scans()),
        })
    }
}

/// What a query reads, table by table.
pub(super) fn reads(scans: &[ScanPlan]) -> Value {
    let tables = scans.iter().map(|scan| {
        json!({
            "table": scan.table,
            "known_partitions": scan.known_partitions,
            "partitions": scan.partitions,
            "partition_bytes": scan.partition_bytes,
            "partition_rows": scan.partition_rows,
            "blocks": scan.blocks,
            "block_bytes": scan.block_bytes,
        })
    });
    tables.collect()
}
