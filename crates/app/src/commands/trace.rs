//! `belvedere trace`

use super::lake::{open_existing, range};
use super::output::NewFile;
use crate::args::TraceArgs;
use anyhow::{Context, Result};
use belvedere_views_spans::trace::{Parts, write_trace};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::io::Write;
use tokio::sync::mpsc;

pub(crate) async fn trace(args: TraceArgs) -> Result<()> {
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let context = lake.context(range);
    let mut file = NewFile::create(&args.output)?;
    // on a terminal only; elsewhere it draws nothing
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("{spinner} {bytes} written, {elapsed}")?);
    let (out, pieces) = mpsc::channel::<Vec<u8>>(4);
    let write = async {
        // goes with this: who reads must not wait for who has failed to write
        let mut pieces = pieces;
        while let Some(piece) = pieces.recv().await {
            bar.inc(piece.len() as u64);
            file.writer()
                .write_all(&piece)
                .with_context(|| format!("{} can't be written", args.output.display()))?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let read = async {
        let summary = write_trace(&context, args.process_id, Parts::ALL, &out).await;
        drop(out);
        summary
    };
    let (written, summary) = tokio::join!(write, read);
    bar.finish_and_clear();
    let outcome = written.and(summary);
    let outcome = match outcome {
        Ok(summary) => file.finish().map(|()| summary),
        Err(e) => Err(e),
    };
    super::query::warn_of_faults(context.report());
    lake.keep_what_was_wanted(|_| ()).await;
    lake.close().await;
    let summary = outcome?;
    eprintln!(
        "{}: {} spans, {} log messages, {} measures, {}; open it at https://ui.perfetto.dev",
        args.output.display(),
        HumanCount(summary.spans),
        HumanCount(summary.instants),
        HumanCount(summary.values),
        HumanBytes(summary.bytes)
    );
    Ok(())
}
