//! `belvedere query`

use super::lake::{open_existing, range};
use super::output::NewFile;
use crate::args::QueryArgs;
use crate::format::{Format, RowWriter};
use anyhow::{Result, bail};
use belvedere_core::Lake;
use belvedere_core::query::{QueryError, QueryReport};
use belvedere_core::time::TimeRange;
use futures::TryStreamExt;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

pub(crate) async fn query(args: QueryArgs) -> Result<()> {
    let by_extension = args.output.as_deref().and_then(Format::of_file);
    let format = args.format.or(by_extension).unwrap_or(Format::Table);
    if args.output.is_none() && format.is_binary() && std::io::stdout().is_terminal() {
        bail!("{format:?} is not for a terminal: name a file with --output FILE");
    }
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let outcome = match &args.output {
        None => answer(&lake, &args.sql, range, format, std::io::stdout()).await,
        Some(path) => answer_to_file(&lake, &args.sql, range, format, path).await,
    };
    // the answer is written: what was much work is kept for the next time
    lake.keep_what_was_wanted(|_| ()).await;
    lake.close().await;
    outcome
}

/// Answers one query, writing rows as they come.
pub(crate) async fn answer(
    lake: &Lake,
    sql: &str,
    range: TimeRange,
    format: Format,
    output: impl Write + Send,
) -> Result<()> {
    let mut result = lake.query(sql, range).await?;
    let mut writer = RowWriter::new(format, BufWriter::new(output), result.schema.clone())?;
    while let Some(batch) = result.rows.try_next().await.map_err(QueryError::from)? {
        writer.write(&batch)?;
    }
    writer.finish()?;
    warn_of_faults(&result.report);
    Ok(())
}

/// A file that is there stays as it is until the whole answer is written beside it.
async fn answer_to_file(lake: &Lake, sql: &str, range: TimeRange, format: Format, path: &Path) -> Result<()> {
    let mut file = NewFile::create(path)?;
    answer(lake, sql, range, format, file.writer()).await?;
    file.finish()
}

/// Says which blocks are missing from an answer, and how many events.
pub(crate) fn warn_of_faults(report: &QueryReport) {
    let ignored = report.ignored_events();
    if ignored > 0 {
        eprintln!(
            "warning: {ignored} events fit nothing, an end without a begin for instance: see /metrics, events_ignored"
        );
    }
    let count = report.fault_count();
    if count == 0 {
        return;
    }
    let blocks = if count == 1 { "1 block".to_owned() } else { format!("{count} blocks") };
    eprintln!("warning: {blocks} could not be read, the rows are missing from this answer:");
    for fault in report.faults().iter().take(3) {
        eprintln!(
            "  {} block {} of process {}: {}",
            fault.view_set, fault.block_id, fault.process_id, fault.reason
        );
    }
    eprintln!("  SELECT * FROM block_faults() lists them");
}
