//! `belvedere query`

use super::lake::{open_existing, range};
use crate::args::QueryArgs;
use crate::format::{Format, RowWriter};
use anyhow::{Context, Result, bail};
use belvedere_core::Lake;
use belvedere_core::query::QueryReport;
use belvedere_core::time::TimeRange;
use futures::TryStreamExt;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};

pub(crate) async fn query(args: QueryArgs) -> Result<()> {
    if args.output.is_none() && args.format.is_binary() && std::io::stdout().is_terminal() {
        bail!("{:?} is not for a terminal: name a file with --output FILE", args.format);
    }
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let outcome = match &args.output {
        None => answer(&lake, &args.sql, range, args.format, std::io::stdout()).await,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{} can't be made", path.display()))?;
            answer(&lake, &args.sql, range, args.format, file).await
        }
    };
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
    while let Some(batch) = result.rows.try_next().await.map_err(belvedere_core::query::QueryError::from)? {
        writer.write(&batch)?;
    }
    writer.finish()?;
    warn_of_faults(&result.report);
    Ok(())
}

/// Says which blocks are missing from an answer.
pub(crate) fn warn_of_faults(report: &QueryReport) {
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
