//! `belvedere query`

use super::lake::range;
use super::output::NewFile;
use super::source::Source;
use crate::args::QueryArgs;
use crate::format::{Format, RowWriter};
use anyhow::{Result, bail};
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
        None => answer(&source, &args.sql, range, format, std::io::stdout(), args.strict).await.map(drop),
        Some(path) => answer_to_file(&source, &args.sql, range, format, path, args.strict).await,
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
    is_strict: bool,
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
    if is_strict && rows.missing() > 0 {
        bail!("--strict: rows are missing from this result");
    }
    Ok(count)
}

/// Writes to a file, which is replaced only when the answer is complete.
async fn answer_to_file(
    source: &Source,
    sql: &str,
    range: TimeRange,
    format: Format,
    path: &Path,
    is_strict: bool,
) -> Result<()> {
    let mut file = NewFile::create(path)?;
    answer(source, sql, range, format, file.writer(), is_strict).await?;
    file.finish()
}
