//! `belvedere query-worker`: a process that answers queries of a server, one at a time. See
//! [`belvedere_core::isolation`].

use super::lake::options;
use crate::allocator;
use crate::args::LakeArgs;
use crate::budget::Budget;
use crate::linked;
use anyhow::{Context, Result};
use belvedere_core::isolation::{Scratch, WorkerOptions, Workers, work};
use belvedere_core::{Lake, LakeConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Where a server says to its query processes what they need to know. Not in arguments: those are for everybody to read,
/// and addresses of databases have passwords.
const SETTINGS: &str = "BELVEDERE_QUERY_WORKER";
/// Contents and footers of partitions that such a process keeps. They are a part of its limit.
const CONTENTS: usize = 16 << 20;
const FOOTERS: usize = 8 << 20;

/// What a query process needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Settings {
    lake: LakeArgs,
    limit_bytes: usize,
    operators_bytes: usize,
}

/// The query processes of a server, which all work on that lake.
pub(crate) fn workers(args: &LakeArgs, budget: &Budget, scratch: Arc<Scratch>) -> Result<Arc<Workers>> {
    let settings =
        Settings { lake: args.clone(), limit_bytes: budget.query, operators_bytes: budget.operators };
    let program = program()?;
    let command = move |directory: &Path| {
        let mut settings = settings.clone();
        settings.lake.spill_dir = Some(directory.to_owned());
        let mut command = Command::new(&program);
        command.arg("query-worker");
        // texts of our own types can be written as JSON
        command.env(SETTINGS, serde_json::to_string(&settings).unwrap_or_default());
        command
    };
    let workers = Workers::new(WorkerOptions {
        command: Box::new(command),
        count: budget.processes,
        memory_bytes: budget.operators,
        limit_bytes: budget.query,
        spill_bytes: args.spill.saturating_mul(1 << 20),
        scratch,
    });
    let warm = workers.clone();
    tokio::spawn(async move {
        // queries that come meanwhile start their own
        if let Err(e) = warm.warm_up().await {
            tracing::error!("{e}");
        }
    });
    Ok(workers)
}

/// This program, even if its file was replaced meanwhile.
fn program() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe().context("the file of this program can't be found")
}

/// Answers queries until the server is gone.
pub(crate) async fn run() -> Result<()> {
    let settings =
        std::env::var(SETTINGS).context("this command is for 'belvedere serve', which starts it")?;
    let settings: Settings = serde_json::from_str(&settings).context("the settings can't be read")?;
    give_way();
    let config = LakeConfig {
        // one query at a time has all that there is: its own limit is what it is to be told
        memory_bytes: settings.operators_bytes.saturating_mul(2),
        spill_bytes: settings.lake.spill.saturating_mul(1 << 20),
        spill_directory: settings.lake.spill_dir.clone(),
        block_bytes: settings.lake.max_block << 20,
        grace: settings.lake.grace,
        footer_cache_bytes: FOOTERS,
        content_cache_bytes: CONTENTS,
        is_beside: true,
        ..LakeConfig::default()
    };
    let lake = Lake::assemble(&options(&settings.lake)?, linked::assembly()?, config).await?;
    allocator::set_limit(settings.limit_bytes);
    // the server is gone: nobody is left to tell, and what is under way can't be stopped otherwise
    work(lake, allocator::allocated, || std::process::exit(0)).await?;
    Ok(())
}

/// Queries give way to ingestion, and when the machine has no memory left, a query goes rather than the server.
#[cfg(target_os = "linux")]
fn give_way() {
    // best effort: without it everything works the same
    let _ = std::fs::write("/proc/self/oom_score_adj", "800");
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}
