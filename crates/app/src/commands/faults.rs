//! What is missing from an answer, told on stderr.

use belvedere_core::query::QueryReport;

/// Tells which blocks are missing from an answer, and how many events.
pub(crate) fn warn_of_faults(report: &QueryReport) {
    let ignored = report.ignored_events();
    if ignored > 0 {
        note!(
            "warning: {ignored} events produced no row (for example, an end event without a begin event): see \
             belvedere_events_ignored_total in /metrics"
        );
    }
    let count = report.fault_count();
    if count == 0 {
        return;
    }
    note!("warning: {}; their rows are missing from this result:", unreadable(count));
    for fault in report.faults().iter().take(3) {
        note!(
            "  {} block {} of process {}: {}",
            fault.view_set,
            fault.block_id,
            fault.process_id,
            fault.reason
        );
    }
    note!("  SELECT * FROM block_faults() lists them");
}

fn unreadable(blocks: u64) -> String {
    format!("{blocks} {} could not be read", if blocks == 1 { "block" } else { "blocks" })
}

/// Tells how many blocks a server could not read.
pub(crate) fn warn_of_missing(blocks: u64) {
    if blocks > 0 {
        note!("warning: {}; their rows are missing from this result", unreadable(blocks));
        note!("  SELECT * FROM block_faults() lists them");
    }
}
