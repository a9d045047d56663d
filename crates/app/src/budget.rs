//! How much memory a process may use, and what for.

use std::fs::read_to_string;
use std::path::Path;

/// How the memory of a server is shared out. Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// What a query process ends at.
    pub(crate) query: usize,
    /// What the operators of such a query may keep; beyond, they spill. The rest is for batches on their way.
    pub(crate) operators: usize,
    /// Query processes at once.
    pub(crate) processes: usize,
    /// What is left for queries that the server answers itself, and for making partitions.
    pub(crate) server: usize,
    /// Contents of partitions that are kept.
    pub(crate) contents: usize,
    /// Footers of partitions that are kept.
    pub(crate) footers: usize,
}

/// What a process has resident beside what its query allocates: code, stacks, what the allocator keeps.
const PROCESS: usize = 32 << 20;
/// Query processes for each core. Each uses all cores; with forty on two cores, ingestion waited ten times as long beside
/// queries, though it has the higher priority.
const PROCESSES_FOR_EACH_CORE: usize = 2;
const MIB: usize = 1 << 20;

impl Budget {
    /// Shares out that many MiB, with that many for one query if that is told.
    pub(crate) fn new(memory: usize, query: Option<usize>) -> Self {
        let total = memory.max(1).saturating_mul(MIB);
        let (contents, footers) = ((total / 8).min(256 * MIB), (total / 32).min(64 * MIB));
        let server = total / 4;
        let most = total.saturating_sub(contents + footers + server + PROCESS).max(16 * MIB);
        let query = match query {
            Some(query) => query.saturating_mul(MIB),
            None => (total / 4).clamp(64 * MIB, 512 * MIB),
        };
        let query = query.clamp(16 * MIB, most);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processes = (most + PROCESS) / (query + PROCESS);
        Self {
            query,
            operators: query / 8 * 5,
            processes: processes.clamp(1, PROCESSES_FOR_EACH_CORE * cores),
            server,
            contents,
            footers,
        }
    }
}

/// MiB for all queries by default: a quarter of what the machine or the container has, so that there is room for
/// ingestion and for other programs; of very small ones a larger part.
pub(crate) fn default_memory() -> usize {
    let available = available().map_or(8 << 10, |bytes| bytes / MIB);
    (available / 4).max((available / 8 * 3).min(192))
}

/// MiB of request bodies that are in memory at once by default.
pub(crate) fn default_pending() -> u64 {
    let available = available().map_or(8 << 10, |bytes| bytes / MIB);
    (available as u64 / 8).clamp(16, 512)
}

/// Bytes of memory that this process may have by its control group, or that the machine has. `None` on systems that don't
/// tell.
fn available() -> Option<usize> {
    let machine = read_to_string("/proc/meminfo").ok().as_deref().and_then(machine_memory);
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = group_files(&groups).into_iter().filter_map(|file| limit(&read_to_string(file).ok()?));
    limits.chain(machine).min()
}

/// Bytes from the text of `/proc/meminfo`.
fn machine_memory(text: &str) -> Option<usize> {
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// Files with limits, by the text of `/proc/self/cgroup`: of the group and of all above it, since each limits those in it.
/// In a container the group is often the root of what is mounted.
fn group_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let above = Path::new(path).ancestors().map(|group| group.display().to_string());
        files.extend(above.map(|group| format!("{root}{}/{name}", group.trim_end_matches('/'))));
    }
    files
}

/// Bytes from the text of a limit; `max`, or a number beyond all machines, is none.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|bytes| *bytes < usize::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shared_out_is_not_more_than_there_is(memory in 64_usize..1_000_000, query in proptest::option::of(1_usize..2_000_000)) {
            let budget = Budget::new(memory, query);
            let processes = budget.processes * (budget.query + PROCESS);
            let sum = processes + budget.server + budget.contents + budget.footers;
            prop_assert!(sum <= memory * MIB, "{budget:?}");
            prop_assert!(budget.processes >= 1 && budget.operators < budget.query);
        }
    }

    #[test]
    fn no_more_queries_run_than_were_asked_for() {
        use crate::args::{Arguments, Command};
        use clap::Parser;
        let processes = |flags: &[&str]| {
            let arguments = Arguments::parse_from([&["belvedere", "serve"], flags].concat());
            let Command::Serve(args) = arguments.command else { panic!("another command") };
            args.queries.budget(4096).processes
        };
        assert!(processes(&[]) > 1);
        assert_eq!(processes(&["--max-queries", "1"]), 1);
        assert_eq!(processes(&["--max-queries", "1000"]), processes(&[]));
    }

    #[test]
    fn limits_of_the_group_and_of_those_above_it_count() {
        let files = group_files("4:memory:/a/b\n3:cpuset:/\n0::/c\n");
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(limit("536870912\n"), Some(512 * MIB));
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(machine_memory("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 * MIB));
    }
}
