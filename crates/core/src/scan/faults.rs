//! Blocks that can't be read: counted, logged, kept in the catalog, and told in the report of the query.

use super::{Fault, ScanContext};
use crate::metrics::metrics;
use belvedere_lake::LakeConnection;
use belvedere_model::BlockRecord;
use belvedere_view::decoder::DecodeError;
use std::sync::Arc;

/// Notes in the report of a query that a block is missing from its answer.
pub(super) fn report_fault(context: &ScanContext, view_set: &str, block: &BlockRecord, noted: NotedFault) {
    let NotedFault { reason, may_pass, .. } = noted;
    context.report.add_fault(Fault {
        view_set: view_set.to_owned(),
        block_id: block.info.block_id,
        process_id: block.info.process_id,
        reason,
        seq: block.seq,
        may_pass,
    });
}

/// A fault that was counted and reported.
pub(crate) struct NotedFault {
    /// Why the block can't be read, in short.
    pub(crate) reason: String,
    pub(crate) may_pass: bool,
    /// It is in the catalog.
    pub(crate) is_recorded: bool,
}

/// Counts and reports a block that can't be read: it costs its own rows and nothing else.
pub(crate) async fn note_fault(
    connection: &Arc<LakeConnection>,
    view_set: &'static str,
    block: &BlockRecord,
    error: &DecodeError,
) -> NotedFault {
    let (block_id, mut reason) = (block.info.block_id, error.to_string());
    // it may quote names that a sender made up
    if let Some((cut, _)) = reason.char_indices().nth(500) {
        reason.truncate(cut);
    }
    tracing::error!(
        %block_id,
        stream_id = %block.info.stream_id,
        process_id = %block.info.process_id,
        view_set,
        "a block can't be read; its rows are missing: {reason}"
    );
    metrics(connection).block_unreadable(view_set);
    // a task of its own: a transaction must not stay open because nobody takes rows
    let (recorder, text, may_pass) = (connection.clone(), reason.clone(), error.may_pass());
    let recorded =
        tokio::spawn(async move { recorder.record_fault(block_id, view_set, &text, may_pass).await });
    let is_recorded = recorded.await.unwrap_or_else(|e| {
        tracing::warn!(%block_id, "recording a fault ended early: {e}");
        false
    });
    NotedFault { reason, may_pass, is_recorded }
}
