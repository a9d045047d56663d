//! How much a lake may use.

use belvedere_view::decoder::DecodeOptions;
use std::path::PathBuf;
use std::time::Duration;

/// How much a lake may use.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Bytes for all queries together; operators that can spill to disk do so beyond.
    pub memory_bytes: usize,
    /// Bytes of disk for what all queries together spill; those that want more fail.
    pub spill_bytes: u64,
    /// Where that goes, if not to where the operating system has temporary files. It is made if it is not there.
    pub spill_directory: Option<PathBuf>,
    /// Bytes for each decompressed buffer of a block.
    pub block_bytes: usize,
    /// Threads that decode at once, and partitions of a plan.
    pub threads: usize,
    /// Threads that make partitions at once.
    pub background_threads: usize,
    /// Bytes of footers of partitions that are kept in memory.
    pub footer_cache_bytes: usize,
    /// Bytes of partitions' contents that are kept in memory.
    pub content_cache_bytes: usize,
    /// How long the file of a partition that was replaced is kept for those who still read it.
    pub grace: Duration,
    /// Another process of this program has the lake open, and sees to what a start has to see to.
    pub is_beside: bool,
}

impl Default for LakeConfig {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            memory_bytes: 2 << 30,
            spill_bytes: 10 << 30,
            spill_directory: None,
            block_bytes: DecodeOptions::default().block_bytes(),
            threads,
            // queries and senders come first
            background_threads: (threads / 2).max(1),
            footer_cache_bytes: 64 << 20,
            content_cache_bytes: 256 << 20,
            grace: Duration::from_secs(3600),
            is_beside: false,
        }
    }
}
