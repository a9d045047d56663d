//! How blocks come does not matter.

use super::{SOME, Subject, ensure_same};
use crate::failure::{Result, ensure};
use belvedere_core::LakeConfig;

/// What is sent a second time is there once, and the sample does give rows.
pub async fn sending_again_changes_nothing(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    ensure!(program.blocks().count() >= 2, "the sample has less than two blocks");
    let lake = subject.fed_with(&program).await?;
    for table in subject.tables(&lake, &program)? {
        let once = table.rows(&lake).await?;
        ensure!(!once.rows.is_empty(), "the sample gives {table} no rows");
        program.send_to(lake.connection()).await?;
        ensure_same(&table.rows(&lake).await?, &once, &format!("{table}, everything sent twice"))?;
    }
    lake.close().await;
    Ok(())
}

/// Blocks may come in any order, and before their stream and their process.
pub async fn order_of_arrival_does_not_matter(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    let in_order = subject.fed_with(&program).await?;
    let tables = subject.tables(&in_order, &program)?;
    let blocks: Vec<_> = program.blocks().collect();
    // backwards, and every other one first
    let backwards: Vec<usize> = (0..blocks.len()).rev().collect();
    let alternating: Vec<usize> = (0..blocks.len()).step_by(2).chain((1..blocks.len()).step_by(2)).collect();
    for (what, order) in [("backwards", backwards), ("every other one first", alternating)] {
        let lake = subject.lake(LakeConfig::default()).await?;
        for i in order {
            lake.connection().insert_block(blocks[i].clone()).await?;
        }
        for stream in program.streams().iter().rev() {
            lake.connection().insert_stream(stream.clone().into()).await?;
        }
        lake.connection().insert_process(program.process.clone()).await?;
        for table in &tables {
            let (found, expected) = (table.rows(&lake).await?, table.rows(&in_order).await?);
            ensure_same(&found, &expected, &format!("{table}, blocks sent {what}"))?;
        }
        lake.close().await;
    }
    in_order.close().await;
    Ok(())
}
