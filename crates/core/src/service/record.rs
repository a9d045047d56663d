//! What is written down of each query: one line of JSON in the log, target `query_audit`.

use crate::query::{QueryError, RunningQuery, WorkDone, sql_hash};
use belvedere_model::time::to_rfc3339;
use serde::Serialize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the stages took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stages {
    pub(super) waited: Duration,
    pub(super) planned: Duration,
}

/// How a query ended.
#[derive(Debug)]
pub(super) enum End {
    /// With its last row.
    Done,
    /// Nobody wanted the rest.
    Left,
    Failed(QueryError),
}

#[derive(Serialize)]
struct Record<'a> {
    query_id: String,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// The credential, where it is not the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
    client: &'a str,
    agent: &'a str,
    entrypoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notebook: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<&'a str>,
    sql: &'a str,
    sql_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    range_begin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range_end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    waiting_ms: f64,
    planning_ms: f64,
    total_ms: f64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<&'static str>,
    output_rows: u64,
    bytes_scanned: u64,
    blocks_decoded: u64,
    unreadable_blocks: u64,
    peak_memory_bytes: usize,
    spilled_bytes: usize,
    spill_count: usize,
}

/// `ok`, `error`, or `incomplete`: the client went away.
pub(super) fn status(end: &End) -> &'static str {
    match end {
        End::Done => "ok",
        End::Left => "incomplete",
        End::Failed(_) => "error",
    }
}

/// Writes the line of a query that came to its end.
pub(super) fn write(query: &RunningQuery, end: &End, stages: Stages, work: WorkDone) {
    let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let error = match end {
        End::Failed(error) => Some(error),
        _ => None,
    };
    let client = &query.client;
    let unknown = "unknown";
    let record = Record {
        query_id: query.id.to_string(),
        user: query.user(),
        email: client.user_email.as_deref().or(query.caller.email.as_deref()),
        name: client.user_name.as_deref(),
        service_account: client.user_id.is_some().then_some(query.caller.name.as_str()),
        client_ip: client.address.map(|address| address.to_string()),
        client: client.client.as_deref().unwrap_or(unknown),
        agent: client.agent.as_deref().unwrap_or(unknown),
        entrypoint: client.entrypoint.as_deref().unwrap_or(unknown),
        session: client.session.as_deref(),
        notebook: client.notebook.as_deref(),
        cell: client.cell.as_deref(),
        sql: &query.sql,
        sql_hash: sql_hash(&query.sql),
        range_begin: query.range.begin.map(to_rfc3339),
        range_end: query.range.end.map(to_rfc3339),
        limit: query.limit,
        waiting_ms: milliseconds(stages.waited),
        planning_ms: milliseconds(stages.planned),
        total_ms: milliseconds(query.arrived.elapsed()),
        status: status(end),
        error: error.map(ToString::to_string),
        error_class: error.map(class),
        output_rows: query.rows.load(Ordering::Relaxed),
        bytes_scanned: query.report.payload_bytes() + work.file_bytes as u64,
        blocks_decoded: query.report.blocks(),
        unreadable_blocks: query.report.fault_count(),
        peak_memory_bytes: query.memory.peak(),
        spilled_bytes: work.spilled_bytes,
        spill_count: work.spill_count,
    };
    match serde_json::to_string(&record) {
        Ok(line) => tracing::info!(target: "query_audit", "{line}"),
        Err(e) => tracing::error!(target: "query_audit", "query {} can't be recorded: {e}", query.id),
    }
}

fn class(error: &QueryError) -> &'static str {
    match error {
        QueryError::Sql(_) | QueryError::Unsupported(_) | QueryError::Cancelled(_) => "user",
        QueryError::Resources(_) | QueryError::TooLong(_) | QueryError::Busy(_) => "resource",
        QueryError::Rights(_) | QueryError::Denied(_) => "denied",
        QueryError::Internal(_) | QueryError::Incomplete(_) => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_one_shape_have_one_hash() {
        let hash = sql_hash("SELECT a FROM t WHERE b = 'x' AND c > 1");
        assert_eq!(hash.len(), 16);
        assert_eq!(hash, sql_hash("select A\n from T -- why\n where B='other' and C > 2.5"));
        assert_ne!(hash, sql_hash("SELECT a FROM t WHERE \"B\" = 'x' AND c > 1"));
        assert_eq!(sql_hash("SELECT 'open"), sql_hash("SELECT   'open"));
    }
}
