//! From flags to an open lake.

use crate::args::{LakeArgs, RangeArgs};
use crate::budget::Budget;
use crate::linked;
use anyhow::{Context, Result, anyhow};
use belvedere_core::isolation::Scratch;
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::{Database, LakeConnection, LakeOptions, OpenProgress, UnannouncedLimits};
use belvedere_model::time::TimeRange;
use std::sync::Arc;

/// Opens the lake, and creates it if it does not exist.
pub(crate) async fn open(args: &LakeArgs) -> Result<Lake> {
    let config = LakeConfig { memory_bytes: args.memory() << 20, ..LakeConfig::default() };
    open_with(args, config, &OpenProgress::default()).await
}

/// The same for a server, which shares its memory out and tells how far it is.
pub(crate) async fn open_for_server(
    args: &LakeArgs,
    budget: &Budget,
    scratch: &Scratch,
    progress: &OpenProgress,
) -> Result<Lake> {
    let config = LakeConfig {
        memory_bytes: budget.server,
        content_cache_bytes: budget.contents,
        footer_cache_bytes: budget.footers,
        ..LakeConfig::default()
    };
    let args = LakeArgs { spill_dir: Some(scratch.part()?), ..args.clone() };
    open_with(&args, config, progress).await
}

async fn open_with(args: &LakeArgs, config: LakeConfig, progress: &OpenProgress) -> Result<Lake> {
    let options = LakeOptions { progress: progress.clone(), ..options(args)? };
    let config = LakeConfig {
        spill_bytes: args.spill.saturating_mul(1 << 20),
        spill_directory: args.spill_directory(),
        block_bytes: args.max_block << 20,
        grace: args.grace,
        ..config
    };
    Ok(Lake::assemble(&options, linked::assembly()?, config).await?)
}

/// Opens the lake if it exists.
pub(crate) async fn open_if_there(args: &LakeArgs) -> Result<Option<Lake>> {
    match options(args)?.database {
        Database::Sqlite(path) if !path.exists() => Ok(None),
        _ => open(args).await.map(Some),
    }
}

/// Opens an existing lake.
pub(crate) async fn open_existing(args: &LakeArgs) -> Result<Lake> {
    match open_if_there(args).await? {
        Some(lake) => Ok(lake),
        None => Err(no_lake(args)),
    }
}

/// Opens an existing lake without views.
pub(crate) async fn connect_existing(args: &LakeArgs) -> Result<Arc<LakeConnection>> {
    let options = options(args)?;
    match &options.database {
        Database::Sqlite(path) if !path.exists() => Err(no_lake(args)),
        _ => Ok(LakeConnection::open(&options).await?),
    }
}

fn no_lake(args: &LakeArgs) -> anyhow::Error {
    anyhow!(
        "no lake in {0}: 'belvedere serve --lake {0}' creates one, 'belvedere demo' one with sample data",
        args.lake.display()
    )
}

/// A lake that can't be written is asked for more than answers.
pub(crate) fn read_only(args: &LakeArgs, advice: &str) -> anyhow::Error {
    anyhow!(
        "the lake in {} can only be read: its catalog or its directory can't be written by this user, or is mounted \
         read-only; {advice}, or give it write access",
        args.lake.display()
    )
}

pub(super) fn options(args: &LakeArgs) -> Result<LakeOptions> {
    let mut options = LakeOptions::directory(&args.lake);
    options.unannounced = UnannouncedLimits {
        blocks: args.max_unannounced_blocks,
        bytes: args.max_unannounced_bytes,
        age: args.keep_unannounced,
    };
    // an empty variable counts as unset
    if let Some(database) = args.database.as_deref().filter(|d| !d.is_empty()) {
        options.database = database.parse()?;
    }
    if let Some(objects) = args.objects.as_deref().filter(|o| !o.is_empty()) {
        options.objects = objects.parse()?;
    }
    Ok(options)
}

/// The time range of the flags.
pub(crate) fn range(args: &RangeArgs) -> Result<TimeRange> {
    let bound = |text: &Option<String>, flag: &str| {
        text.as_deref()
            .map(TimeRange::parse_bound)
            .transpose()
            .with_context(|| format!("--{flag} is not valid"))
    };
    Ok(TimeRange { begin: bound(&args.begin, "begin")?, end: bound(&args.end, "end")? })
}
