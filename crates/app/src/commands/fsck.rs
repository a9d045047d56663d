//! `belvedere fsck`

use super::lake::open_existing;
use crate::args::FsckArgs;
use anyhow::{Result, bail};
use std::io::Write;

pub(crate) async fn fsck(args: FsckArgs) -> Result<()> {
    let lake = open_existing(&args.lake).await?;
    let checked = lake.check(args.sample, args.repair).await;
    let problems = lake.problems();
    lake.close().await;
    let report = checked?;
    writeln!(
        std::io::stdout(),
        "{} partitions, {} of them compared with their blocks",
        report.partitions,
        report.compared
    )?;
    writeln!(std::io::stdout(), "{} objects with blocks, {} payloads read", report.objects, report.payloads)?;
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
