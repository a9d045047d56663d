//! `belvedere trace`

use super::lake::range;
use super::output::NewFile;
use super::source::Source;
use crate::args::TraceArgs;
use anyhow::{Context, Result, bail};
use belvedere_core::Lake;
use belvedere_model::time::TimeRange;
use belvedere_views_spans::trace::{Parts, write_trace};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::io::Write;
use tokio::sync::mpsc;

pub(crate) async fn trace(args: TraceArgs) -> Result<()> {
    let range = range(&args.range)?;
    let source = Source::open(&args.source).await?;
    let said = match &source {
        Source::Lake(lake) => from_lake(lake, range, &args).await,
        #[cfg(feature = "cli-client")]
        Source::Server(_) => from_server(&source, range, &args).await,
    };
    source.close().await;
    note!("{}: {}; open it at https://ui.perfetto.dev", args.output.display(), said?);
    Ok(())
}

fn refuse_missing(args: &TraceArgs, missing: u64) -> Result<()> {
    if args.strict && missing > 0 {
        bail!("--strict: rows are missing from this trace");
    }
    Ok(())
}

/// A progress bar. Draws nothing without a terminal.
fn progress() -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {bytes} written, {elapsed}")?;
    Ok(ProgressBar::no_length().with_style(style))
}

fn write(file: &mut NewFile, piece: &[u8], bar: &ProgressBar, args: &TraceArgs) -> Result<()> {
    bar.inc(piece.len() as u64);
    let failed = || format!("{} can't be written", args.output.display());
    file.writer().write_all(piece).with_context(failed)
}

/// Writes the trace from a lake in this process. Returns a summary.
async fn from_lake(lake: &Lake, range: TimeRange, args: &TraceArgs) -> Result<String> {
    let context = lake.context(range);
    let mut file = NewFile::create(&args.output)?;
    let bar = progress()?;
    let (out, pieces) = mpsc::channel::<Vec<u8>>(4);
    let write = async {
        // aborted when this future is dropped: the reader must not wait for a writer that failed
        let mut pieces = pieces;
        while let Some(piece) = pieces.recv().await {
            write(&mut file, &piece, &bar, args)?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let read = async {
        let summary = write_trace(&context, args.process_id, Parts::ALL, &out).await;
        drop(out);
        Ok(summary?)
    };
    let (written, summary) = tokio::join!(write, read);
    bar.finish_and_clear();
    super::faults::warn_of_faults(context.report());
    let summary = written.and(summary)?;
    refuse_missing(args, context.report().fault_count())?;
    file.finish()?;
    Ok(format!(
        "{} spans, {} log messages, {} measures, {}",
        HumanCount(summary.spans),
        HumanCount(summary.instants),
        HumanCount(summary.values),
        HumanBytes(summary.bytes)
    ))
}

/// Writes the trace from a server, by SQL. Returns a summary, as far as it is known here.
#[cfg(feature = "cli-client")]
async fn from_server(source: &Source, range: TimeRange, args: &TraceArgs) -> Result<String> {
    use belvedere_model::time::to_rfc3339;
    use futures::TryStreamExt;

    let (begin, end) = bounds(source, range, args).await?;
    let sql = format!(
        "SELECT chunk_id, chunk_data FROM perfetto_trace_chunks('{}', 'all', '{}', '{}')",
        args.process_id,
        to_rfc3339(begin),
        to_rfc3339(end)
    );
    let mut rows = source.query(&sql, TimeRange::ALL).await?;
    let mut file = NewFile::create(&args.output)?;
    let bar = progress()?;
    let (mut next, mut bytes) = (0, 0);
    while let Some(batch) = rows.batches.try_next().await? {
        for (id, piece) in chunks(&batch)? {
            if id != next {
                anyhow::bail!("the server sent chunk {id} of the trace instead of chunk {next}");
            }
            next += 1;
            bytes += piece.len() as u64;
            write(&mut file, piece, &bar, args)?;
        }
    }
    bar.finish_and_clear();
    rows.warn();
    refuse_missing(args, rows.missing())?;
    file.finish()?;
    Ok(HumanBytes(bytes).to_string())
}

/// The chunks of a trace in a batch, each with its number.
#[cfg(feature = "cli-client")]
fn chunks(batch: &arrow::array::RecordBatch) -> Result<Vec<(i32, &[u8])>> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;

    let other = "perfetto_trace_chunks returned no chunks of a trace: does the server have another version?";
    let ids = batch.column_by_name("chunk_id").and_then(|c| c.as_primitive_opt::<Int32Type>());
    let pieces = batch.column_by_name("chunk_data").and_then(|c| c.as_binary_opt::<i32>());
    let (ids, pieces) = ids.zip(pieces).context(other)?;
    Ok((0..ids.len()).map(|i| (ids.value(i), pieces.value(i))).collect())
}

/// The requested range; open ends are those of the process.
#[cfg(feature = "cli-client")]
async fn bounds(source: &Source, range: TimeRange, args: &TraceArgs) -> Result<(i64, i64)> {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::TimestampNanosecondType;

    if let (Some(begin), Some(end)) = (range.begin, range.end) {
        return Ok((begin, end));
    }
    let sql = format!(
        "SELECT min(begin_time) AS first, max(end_time) AS last FROM blocks WHERE process_id = '{}'",
        args.process_id
    );
    let rows = source.collect(&sql).await?;
    let time = |name: &str| {
        let column = rows.first()?.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>()?;
        (column.len() == 1 && column.is_valid(0)).then(|| column.value(0))
    };
    // nothing is known of a process without blocks: the SQL function reports that
    Ok((range.begin.or_else(|| time("first")).unwrap_or(0), range.end.or_else(|| time("last")).unwrap_or(0)))
}
