//! `belvedere query`

use super::lake::range;
use super::output::NewFile;
use super::source::Source;
use crate::args::QueryArgs;
use crate::format::{Format, RowWriter};
use anyhow::{Result, bail};
use belvedere_core::query::QueryReport;
use belvedere_model::time::TimeRange;
use futures::TryStreamExt;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

pub(crate) async fn query(args: QueryArgs) -> Result<()> {
    let by_extension = args.output.as_deref().and_then(Format::from_extension);
    let format = args.format.or(by_extension).unwrap_or(Format::Table);
    if args.output.is_none() && format.is_binary() && std::io::stdout().is_terminal() {
        bail!("{format:?} can't be written to a terminal: use --output FILE");
    }
    let range = range(&args.range)?;
    let source = Source::open(&args.source).await?;
    let outcome = match &args.output {
        None => answer(&source, &args.sql, range, format, std::io::stdout()).await.map(drop),
        Some(path) => answer_to_file(&source, &args.sql, range, format, path).await,
    };
    source.close().await;
    outcome
}

/// Runs a query and writes its rows as they come. Returns their number.
pub(crate) async fn answer(
    source: &Source,
    sql: &str,
    range: TimeRange,
    format: Format,
    output: impl Write + Send,
) -> Result<u64> {
    let mut rows = source.query(sql, range).await?;
    let mut writer = RowWriter::new(format, BufWriter::new(output), rows.schema.clone())?;
    let mut count = 0;
    while let Some(batch) = rows.batches.try_next().await? {
        count += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.finish()?;
    rows.warn();
    Ok(count)
}

/// Writes to a file, which is replaced only when the answer is complete.
async fn answer_to_file(
    source: &Source,
    sql: &str,
    range: TimeRange,
    format: Format,
    path: &Path,
) -> Result<()> {
    let mut file = NewFile::create(path)?;
    answer(source, sql, range, format, file.writer()).await?;
    file.finish()
}

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
    let blocks = if count == 1 { "1 block".to_owned() } else { format!("{count} blocks") };
    note!("warning: {blocks} could not be read; their rows are missing from this result:");
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
