//! What can't be read costs itself.

use super::{SOME, Subject, Table, ensure_same, rows_do_not_depend_on_partitions};
use crate::FakeProcess;
use crate::failure::{Context, Result, ensure};
use crate::fake_process::Block;
use arrow::array::AsArray;
use belvedere_core::LakeConfig;
use belvedere_model::time::TimeRange;
use belvedere_model::transit::{compress, decompress};
use belvedere_model::wire::PayloadParts;
use std::borrow::Cow;

/// More than any sample has in a block.
pub(super) const LIMIT: usize = 64 << 20;

/// A block without events gives no rows, and nothing is said against it.
pub async fn empty_blocks_give_no_rows(subject: &Subject) -> Result<()> {
    let mut program = (subject.sample)(SOME).renamed("empty");
    for Block { info, payload } in program.raw_blocks() {
        info.nb_objects = 0;
        let native = !payload.dependencies.is_empty();
        payload.objects = Cow::Owned(compress(&[]));
        payload.dependencies = Cow::Owned(if native { compress(&[]) } else { Vec::new() });
    }
    let lake = subject.fed_with(&program).await?;
    for table in subject.tables(&lake, &program)? {
        let rows = table.rows(&lake).await?;
        ensure!(!subject.is_decoded()? || rows.rows.is_empty(), "{table} has rows of empty blocks: {rows:?}");
    }
    ensure!(
        faults(&lake).await?.is_empty(),
        "empty blocks are said to be damaged: {:?}",
        faults(&lake).await?
    );
    lake.close().await;
    Ok(())
}

/// Blocks that were cut or changed on their way never fail a query, never take rows of other programs away, never
/// make a decoder panic, and give the same rows from partitions as without.
pub async fn damaged_blocks_cost_their_own_rows(subject: &Subject) -> Result<()> {
    let whole = (subject.sample)(SOME);
    let alone = subject.fed_with(&whole).await?;
    let lake = subject.fed_with(&whole).await?;
    let variants = variants(&whole)?;
    for program in &variants {
        program.send_to(lake.connection()).await?;
    }
    for table in subject.tables(&lake, &whole)? {
        let (found, expected) = (table.rows(&lake).await?, table.rows(&alone).await?);
        if table.instance != "global" {
            ensure_same(&found, &expected, &format!("{table}, beside damaged blocks of others"))?;
        } else if subject.is_decoded()? {
            let lost = expected.rows.iter().find(|row| found.rows.binary_search(row).is_err());
            ensure!(lost.is_none(), "{table} lost a row to other programs' damaged blocks: {lost:?}");
        }
    }
    for program in &variants {
        for table in subject.tables(&lake, program)?.iter().filter(|t| t.instance != "global") {
            table.rows(&lake).await?;
        }
    }
    let checked = subject.tables(&lake, &whole)?.into_iter().filter(|t| t.instance == "global");
    let checked: Vec<Table> = match variants.last() {
        Some(last) => checked.chain(subject.tables(&lake, last)?).collect(),
        None => checked.collect(),
    };
    for table in checked {
        if table.is_kept(&lake)? {
            rows_do_not_depend_on_partitions(&lake, table.view_set.name, &table.instance).await?;
        }
    }
    // what a sender can't have done is the decoder's own mistake
    let faults = faults(&lake).await?;
    let own = faults.iter().find(|f| f.contains("panicked") || f.contains("bug in the decoder"));
    ensure!(own.is_none(), "damage is not recognized as such: {own:?}");
    alone.close().await;
    lake.close().await;
    Ok(())
}

/// The same program again and again, each time with another kind of damage to its blocks.
fn variants(program: &FakeProcess) -> Result<Vec<FakeProcess>> {
    let mut variants = Vec::new();
    let mut add =
        |name: String, change: &dyn Fn(usize, &mut PayloadParts<'static>) -> Result<()>| -> Result<()> {
            let mut variant = program.renamed(&name);
            for (i, block) in variant.raw_blocks().iter_mut().enumerate() {
                change(i, &mut block.payload)?;
            }
            variants.push(variant);
            Ok(())
        };
    add("cut compressed".to_owned(), &|_, payload| {
        let half = payload.objects.len() / 2;
        payload.objects.to_mut().truncate(half);
        Ok(())
    })?;
    add("changed compressed".to_owned(), &|i, payload| {
        let middle = payload.objects.len() / 2 + i;
        if let Some(byte) = payload.objects.to_mut().get_mut(middle) {
            *byte ^= 0x55;
        }
        Ok(())
    })?;
    add("no dependencies".to_owned(), &|_, payload| {
        if !payload.dependencies.is_empty() {
            payload.dependencies = Cow::Owned(compress(&[]));
        }
        Ok(())
    })?;
    // the events themselves: cut anywhere, and a byte changed anywhere, every time in another place
    for step in 0..8_usize {
        for kind in ["cut", "changed"] {
            add(format!("{kind} {step}"), &|i, payload| {
                let is_objects = kind == "cut" || step % 4 != 3 || payload.dependencies.is_empty();
                let part = if is_objects { &mut payload.objects } else { &mut payload.dependencies };
                let mut bytes = decompress(part, LIMIT, "sample").context("the sample's payload")?;
                let place = (bytes.len() * (step + 1) / 9 + 7 * i + step) % bytes.len().max(1);
                match kind {
                    "cut" => bytes.truncate(place),
                    _ => bytes.iter_mut().skip(place).take(1).for_each(|b| *b ^= 1 << (step % 8)),
                }
                *part = Cow::Owned(compress(&bytes));
                Ok(())
            })?;
        }
    }
    Ok(variants)
}

/// A block that would take more memory than is allowed is refused, counted, and costs the query nothing else.
pub async fn blocks_beyond_the_limit_are_refused(subject: &Subject) -> Result<()> {
    if !subject.is_of_payloads()? {
        return Ok(());
    }
    let mut program = (subject.sample)(500);
    let sizes =
        program.raw_blocks().iter().map(|b| decompress(&b.payload.objects, LIMIT, "sample").map(|o| o.len()));
    let largest = sizes.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0);
    let config = LakeConfig { block_bytes: largest / 2, ..LakeConfig::default() };
    let lake = subject.lake(config).await?;
    program.send_to(lake.connection()).await?;
    for table in subject.tables(&lake, &program)? {
        table.rows(&lake).await?;
    }
    let faults = faults(&lake).await?;
    ensure!(
        faults.iter().any(|f| f.contains("decodes to more than")),
        "a block of {largest} bytes is read within a limit of half of that, or nothing is said: {faults:?}"
    );
    lake.close().await;
    Ok(())
}

/// What is known of blocks that could not be read.
async fn faults(lake: &belvedere_core::Lake) -> Result<Vec<String>> {
    let rows = super::batch(lake, "SELECT reason FROM block_faults()", TimeRange::ALL).await?;
    Ok(rows.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}
