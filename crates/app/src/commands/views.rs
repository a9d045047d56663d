//! `belvedere views`

use super::lake::open_if_there;
use super::source::Source;
use crate::args::ViewsArgs;
use crate::format::{Format, RowWriter};
use crate::linked;
use crate::schema_docs::hex;
use anyhow::{Context, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::LakeOptions;
use std::sync::Arc;

const SQL: &str = "SELECT view_set_name, instances, crate_name, crate_version, current_schema_hash, description \
                   FROM list_view_sets()";

pub(crate) async fn views(args: ViewsArgs) -> Result<()> {
    let source = source(&args).await?;
    let outcome = list(&source).await;
    source.close().await;
    outcome
}

/// The view sets of the server or the lake, which may have user-defined ones; without either those of this binary.
async fn source(args: &ViewsArgs) -> Result<Source> {
    #[cfg(feature = "cli-client")]
    if args.source.server.url.is_some() {
        return Source::open(&args.source).await;
    }
    let lake = match open_if_there(&args.source.lake).await? {
        Some(lake) => lake,
        None => Lake::assemble(&LakeOptions::in_memory(), linked::assembly()?, LakeConfig::default()).await?,
    };
    for problem in lake.problems() {
        note!("warning: {problem}");
    }
    Ok(Source::Lake(lake))
}

async fn list(source: &Source) -> Result<()> {
    let mut writer = None;
    for batch in source.collect(SQL).await? {
        let rows = shown(&batch)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(RowWriter::new(Format::Table, std::io::stdout(), rows.schema())?),
        };
        writer.write(&rows)?;
    }
    writer.map_or(Ok(()), RowWriter::finish)
}

/// The list as text.
fn shown(batch: &RecordBatch) -> Result<RecordBatch> {
    let texts = |name: &str| -> Result<&StringArray> {
        let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.with_context(|| {
            format!("list_view_sets() has no text column {name}: does the server have another version?")
        })
    };
    let hashes = batch.column_by_name("current_schema_hash").and_then(|c| c.as_binary_opt::<i32>());
    let hashes = hashes.context("list_view_sets() has no binary column current_schema_hash")?;
    let (crates, versions) = (texts("crate_name")?, texts("crate_version")?);
    let made = |f: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..batch.num_rows()).map(f)))
    };
    Ok(RecordBatch::try_from_iter([
        ("view_set", Arc::new(texts("view_set_name")?.clone()) as ArrayRef),
        ("instances", Arc::new(texts("instances")?.clone())),
        ("crate", made(&|i| format!("{} {}", crates.value(i), versions.value(i)).trim_end().to_owned())),
        ("schema_hash", made(&|i| hex(hashes.value(i)))),
        ("about", Arc::new(texts("description")?.clone())),
    ])?)
}
