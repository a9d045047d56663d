//! `belvedere maintain`

use super::lake::{open_existing, read_only};
use super::serve::stopped;
use crate::args::{KeepArgs, MaintainArgs};
use anyhow::{Result, bail};
use belvedere_core::Lake;
use belvedere_core::lake::Retention;
use belvedere_core::lake::{MaintenanceConfig, Progress};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

pub(crate) async fn maintain(args: MaintainArgs) -> Result<()> {
    let lake = open_existing(&args.lake).await?;
    if lake.connection().is_read_only() && !args.dry_run {
        lake.close().await;
        return Err(read_only(&args.lake, "'--dry-run' only shows what would be deleted"));
    }
    let retention = match retention(&args.keep, &lake) {
        Ok(retention) => retention,
        Err(e) => {
            lake.close().await;
            return Err(e);
        }
    };
    let outcome = if args.dry_run {
        dry_run(&lake, &retention).await
    } else if args.once {
        once(&lake, &retention).await
    } else {
        let config = MaintenanceConfig { retention, ..MaintenanceConfig::default() };
        tokio::select! {
            () = lake.run_maintenance(&config) => {}
            () = stopped() => {}
        }
        Ok(())
    };
    lake.close().await;
    outcome
}

/// The retention of a lake. A view set that is not there is an error: what somebody meant to delete would be kept.
pub(super) fn retention(args: &KeepArgs, lake: &Lake) -> Result<Retention> {
    let retention = args.retention();
    let assembly = lake.assembly();
    let known: Vec<&str> = assembly.view_sets().map(|view_set| view_set.name).collect();
    for name in retention.named.keys().filter(|name| !known.contains(&name.as_str())) {
        let problems = lake.problems();
        if problems.is_empty() {
            bail!("--keep-view: there is no view set '{name}'; available: {}", known.join(", "));
        }
        // it may be one of the views that can't be read at the moment, which must not keep a server from starting
        tracing::warn!(
            "--keep-view: there is no view set '{name}', or it can't be used: {}",
            problems.join("; ")
        );
    }
    Ok(retention)
}

async fn dry_run(lake: &Lake, retention: &Retention) -> Result<()> {
    if retention.is_all() {
        writeln!(
            std::io::stdout(),
            "everything is kept: set a retention with --keep-blocks, --keep-views or --keep-view"
        )?;
        return Ok(());
    }
    let expired = lake.what_would_expire(retention).await?;
    if expired.is_empty() {
        writeln!(std::io::stdout(), "nothing would be deleted")?;
    }
    for expired in expired {
        writeln!(std::io::stdout(), "{expired}")?;
    }
    Ok(())
}

/// Work on one instance.
#[derive(Debug, Default)]
struct Sums {
    partitions: u64,
    merged: u64,
    rows: u64,
    bytes: u64,
}

async fn once(lake: &Lake, retention: &Retention) -> Result<()> {
    // draws nothing without a terminal
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} blocks, {msg}, {elapsed}")?);
    let sums: Mutex<BTreeMap<String, Sums>> = Mutex::default();
    let others: Mutex<Vec<String>> = Mutex::default();
    let failed = lake
        .maintain_once(retention, &|progress| match progress {
            Progress::Filling { instance, blocks } => {
                bar.inc_length(blocks);
                bar.set_message(instance);
            }
            Progress::Made { instance, blocks, rows, bytes } => {
                bar.inc(blocks);
                let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                let sum = sums.entry(instance).or_default();
                match blocks {
                    0 => sum.merged += 1,
                    _ => {
                        sum.partitions += 1;
                        sum.rows += rows;
                        sum.bytes += bytes;
                    }
                }
            }
            Progress::Failed { instance, reason } => {
                bar.suspend(|| note!("{instance} could not be brought up to date: {reason}"));
            }
            Progress::Expired(expired) => note(&others, expired.to_string()),
            Progress::Deleted { files } => {
                note(&others, format!("deleted {files} files that nothing refers to"))
            }
        })
        .await?;
    bar.finish_and_clear();
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (instance, sum) in &sums {
        let merged = match sum.merged {
            0 => String::new(),
            n => format!(", {n} merged from smaller ones"),
        };
        writeln!(
            std::io::stdout(),
            "{instance}: {} new partitions, {} rows, {}{merged}",
            sum.partitions,
            HumanCount(sum.rows),
            HumanBytes(sum.bytes)
        )?;
    }
    for line in others.into_inner().unwrap_or_else(PoisonError::into_inner) {
        writeln!(std::io::stdout(), "{line}")?;
    }
    if sums.is_empty() && failed == 0 {
        writeln!(std::io::stdout(), "everything is up to date")?;
    }
    if failed > 0 {
        bail!("{failed} view instances could not be brought up to date; queries decode what is missing");
    }
    Ok(())
}

fn note(lines: &Mutex<Vec<String>>, line: String) {
    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}
