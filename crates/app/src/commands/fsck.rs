//! `belvedere fsck`

use super::lake::{open_existing, read_only};
use crate::args::FsckArgs;
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;

pub(crate) async fn fsck(args: FsckArgs) -> Result<()> {
    let lake = open_existing(&args.lake).await?;
    if lake.connection().is_read_only() && args.repair {
        lake.close().await;
        return Err(read_only(&args.lake, "without '--repair' it is only checked"));
    }
    // draws nothing without a terminal
    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len}, {elapsed}")?);
    let tell = |done: u64, of: u64| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let checked = lake.check_and_tell(args.sample, args.repair, args.accept_loss, &tell).await;
    bar.finish_and_clear();
    let problems = lake.problems();
    lake.close().await;
    let report = checked?;
    writeln!(
        std::io::stdout(),
        "{} partitions, {} of them compared with their blocks",
        report.partitions,
        report.compared
    )?;
    let read = match args.sample {
        None => format!("{} records with the right checksum", report.records),
        Some(_) => format!("{} payloads read", report.payloads),
    };
    writeln!(std::io::stdout(), "{} objects with blocks, {read}", report.objects)?;
    if report.waiting > 0 {
        writeln!(std::io::stdout(), "{} blocks are waiting for their stream or process", report.waiting)?;
    }
    if report.unused > 0 {
        writeln!(
            std::io::stdout(),
            "{} partitions belong to views or schemas that this binary does not have",
            report.unused
        )?;
    }
    for finding in &report.findings {
        let what = match (finding.is_repaired, finding.can_be_repaired) {
            (true, _) => "repaired",
            (false, true) => "wrong, can be repaired",
            (false, false) => "wrong",
        };
        writeln!(std::io::stdout(), "{what}: {}", finding.text)?;
    }
    for problem in &problems {
        writeln!(std::io::stdout(), "wrong: {problem}")?;
    }
    let open = report.findings.iter().filter(|f| !f.is_repaired).count() + problems.len();
    if open == 0 {
        writeln!(std::io::stdout(), "clean")?;
        return Ok(());
    }
    let hint = if report.findings.iter().any(|f| f.can_be_repaired && !f.is_repaired) {
        "; --repair fixes those that can be rebuilt"
    } else {
        ""
    };
    bail!("{open} problems found{hint}")
}
