//! Blocks that can't be read: counted, logged, kept in the catalog, and told in the report of the query.

use super::{Fault, ScanContext};
use crate::metrics::metrics;
use belvedere_lake::LakeConnection;
use belvedere_model::BlockRecord;
use belvedere_view::decoder::DecodeError;
use std::sync::Arc;

/// Notes in the report of a query that a block is missing from its answer.
pub(super) fn report_fault(context: &ScanContext, view_set: &str, block: &BlockRecord, reason: String) {
    context.report.add_fault(Fault {
        view_set: view_set.to_owned(),
        block_id: block.info.block_id,
        process_id: block.info.process_id,
        reason,
    });
}

/// Counts and reports a block that can't be read: it costs its own rows and nothing else. Returns why, in short.
pub(crate) async fn note_fault(
    connection: &Arc<LakeConnection>,
    view_set: &'static str,
    block: &BlockRecord,
    error: &DecodeError,
) -> String {
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
    let (recorder, text) = (connection.clone(), reason.clone());
    let recorded = tokio::spawn(async move { recorder.record_fault(block_id, view_set, &text).await });
    if let Err(e) = recorded.await {
        tracing::warn!(%block_id, "recording a fault ended early: {e}");
    }
    reason
}
