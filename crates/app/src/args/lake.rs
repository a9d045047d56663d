//! Where a lake is, and the limits of this process.

use super::{age, size};
use crate::budget::default_memory;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Address and limits of the lake.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct LakeArgs {
    /// Directory of the lake: SQLite and files
    #[arg(long, value_name = "DIR", default_value = "./belvedere-lake", env = "BELVEDERE_LAKE")]
    pub(crate) lake: PathBuf,
    /// Catalog database instead of SQLite in the directory: postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = "BELVEDERE_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Object store instead of files in the directory: s3://bucket/prefix, gs://…, az://…, file://…;
    /// credentials come from AWS_…, GOOGLE_…, AZURE_… variables
    #[arg(long, value_name = "URL", env = "BELVEDERE_OBJECTS", hide_env_values = true)]
    pub(crate) objects: Option<String>,
    /// Maximum memory for all queries together, in MiB; beyond it, queries wait, spill to disk or fail [default: a quarter of
    /// the memory of the machine or container]
    #[arg(long, value_name = "MIB", env = "BELVEDERE_MEMORY", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) memory: Option<u64>,
    /// Maximum disk space for temporary files of all queries together, in MiB; queries that need more fail
    #[arg(long, value_name = "MIB", default_value_t = 10_240, env = "BELVEDERE_SPILL")]
    pub(crate) spill: u64,
    /// Directory for temporary files of queries [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR", env = "BELVEDERE_SPILL_DIR")]
    pub(crate) spill_dir: Option<PathBuf>,
    /// How long replaced and expired files are kept for queries that still read them
    #[arg(long, value_name = "AGE", default_value = "1h", value_parser = age)]
    pub(crate) grace: Duration,
    /// Maximum decompressed size of each buffer in a block, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub(crate) max_block: usize,
    /// Maximum number of blocks that wait for their stream or process to be announced; the oldest are dropped
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) max_unannounced_blocks: u64,
    /// Maximum total size of blocks that wait for their stream or process: 1GiB, 500MB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub(crate) max_unannounced_bytes: u64,
    /// How long blocks wait for their stream or process before they are dropped
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = age)]
    pub(crate) keep_unannounced: Duration,
}

impl LakeArgs {
    /// Where temporary files go, if that was said. An empty variable counts as unset.
    pub(crate) fn spill_directory(&self) -> Option<PathBuf> {
        self.spill_dir.clone().filter(|directory| !directory.as_os_str().is_empty())
    }

    /// MiB for all queries together.
    pub(crate) fn memory(&self) -> usize {
        self.memory.map_or_else(default_memory, |memory| usize::try_from(memory).unwrap_or(usize::MAX))
    }
}
