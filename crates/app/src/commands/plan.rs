//! `belvedere plan`

use super::lake::open_existing;
use crate::args::PlanArgs;
use crate::format::RowWriter;
use anyhow::Result;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use belvedere_core::lake::PlannedSet;
use indicatif::{HumanBytes, HumanCount};
use std::sync::Arc;

pub(crate) async fn plan(args: PlanArgs) -> Result<()> {
    let lake = open_existing(&args.lake).await?;
    let planned = lake.plan().await;
    for problem in lake.problems() {
        note!("warning: {problem}");
    }
    lake.close().await;
    let planned = planned?;
    let numbers = |f: &dyn Fn(&PlannedSet) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(planned.iter().map(f)))
    };
    let texts = |f: &dyn Fn(&PlannedSet) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(planned.iter().map(f)))
    };
    let rows = RecordBatch::try_from_iter([
        ("view_set", texts(&|s| s.view_set.clone())),
        ("valid_partitions", numbers(&|s| s.valid.partitions)),
        ("valid_bytes", numbers(&|s| s.valid.bytes)),
        ("stale_partitions", numbers(&|s| s.stale.partitions)),
        ("stale_bytes", numbers(&|s| s.stale.bytes)),
        ("open_blocks", numbers(&|s| s.global.blocks)),
        ("open_bytes", numbers(&|s| s.global.bytes)),
        ("open_blocks_on_demand", numbers(&|s| s.on_demand.blocks)),
        ("open_bytes_on_demand", numbers(&|s| s.on_demand.bytes)),
        ("what", texts(&describe)),
    ])?;
    let mut writer = RowWriter::new(args.format, std::io::stdout(), rows.schema())?;
    writer.write(&rows)?;
    writer.finish()?;
    let sum = |f: &dyn Fn(&PlannedSet) -> u64| planned.iter().map(f).sum::<u64>();
    // partitions that are made from rows of others decode nothing
    let decoded =
        |f: &dyn Fn(&PlannedSet) -> u64| planned.iter().filter(|s| s.is_decoded).map(f).sum::<u64>();
    note!(
        "{} blocks ({}) would be decoded in the background, {} ({}) on demand; {} partitions ({}) would no longer be read",
        HumanCount(decoded(&|s| s.global.blocks)),
        HumanBytes(decoded(&|s| s.global.bytes)),
        HumanCount(decoded(&|s| s.on_demand.blocks)),
        HumanBytes(decoded(&|s| s.on_demand.bytes)),
        HumanCount(sum(&|s| s.stale.partitions)),
        HumanBytes(sum(&|s| s.stale.bytes)),
    );
    Ok(())
}

/// The plan as text.
fn describe(set: &PlannedSet) -> String {
    let is_open = set.global.blocks > 0 || set.on_demand.blocks > 0;
    let text = match (set.is_known, set.stale.partitions > 0, is_open) {
        (false, _, _) => "not in this binary: left unchanged",
        (true, true, true) => "changed: would be rebuilt",
        (true, true, false) => "changed: already rebuilt",
        (true, false, true) => "not fully materialized yet",
        (true, false, false) => "up to date",
    };
    text.to_owned()
}
