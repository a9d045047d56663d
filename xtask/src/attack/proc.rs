//! Memory of a process and its descendants, from `/proc`.
//!
//! Resident memory of the first counts as it is. Of every other process, pages of files (`RssFile`) are left out: they are
//! those of the same binary, which are in memory once. What two processes share by other means counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is resident of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resident {
    /// All of it.
    pub(super) all: u64,
    /// Without pages of files.
    pub(super) own: u64,
    /// The most that it ever was.
    pub(super) peak: u64,
}

/// The text of `/proc/PID/status`. A process that ended has no such lines.
fn resident_of(status: &str) -> Option<Resident> {
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    let own = field("RssAnon")?.saturating_add(field("RssShmem")?);
    Some(Resident { all: field("VmRSS")?, own, peak: field("VmHWM").unwrap_or(0) })
}

/// The parent in the text of `/proc/PID/stat`: the name before it is in parentheses, and may have some of its own.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// All below the first, by who is whose parent.
fn descendants(first: u32, parents: &BTreeMap<u32, u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([first]);
    loop {
        let more = parents.iter().filter(|(pid, parent)| found.contains(parent) && !found.contains(pid));
        let more: Vec<u32> = more.map(|(pid, _)| *pid).collect();
        if more.is_empty() {
            found.remove(&first);
            return found;
        }
        found.extend(more);
    }
}

/// Whether this system tells.
pub(super) fn is_there() -> bool {
    Path::new("/proc/self/status").exists()
}

/// What is resident of a process now.
pub(super) fn resident(pid: u32) -> Option<Resident> {
    resident_of(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The descendants of a process now.
pub(super) fn children(pid: u32) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents = pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parent_of(&stat)?))
    });
    descendants(pid, &parents.collect())
}

/// Resident memory of a process and its descendants together.
pub(super) fn sum(first: u32, children: &BTreeSet<u32>) -> u64 {
    let own = resident(first).map_or(0, |first| first.all);
    children.iter().filter_map(|pid| resident(*pid)).fold(own, |sum, child| sum.saturating_add(child.own))
}

/// Makes the most that a process ever had begin anew. Best effort: it may not be allowed.
pub(super) fn forget_peak(pid: u32) {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes_with_and_without_files() {
        let status = "Name:\tbelvedere\nVmHWM:\t    40 kB\nVmRSS:\t    30 kB\nRssAnon:\t    11 kB\n\
                      RssFile:\t    17 kB\nRssShmem:\t     2 kB\n";
        assert_eq!(resident_of(status), Some(Resident { all: 30 << 10, own: 13 << 10, peak: 40 << 10 }));
        assert_eq!(resident_of("Name:\tgone\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_hide_the_parent() {
        assert_eq!(parent_of("12 (a) S (b)) R 7 12 12 0"), Some(7));
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn descendants_are_children_of_children_and_not_their_parents() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (9, 8)]);
        assert_eq!(descendants(2, &parents), BTreeSet::from([3, 4]));
    }

    #[test]
    fn this_process_has_memory_where_the_system_tells() {
        if is_there() {
            let resident = resident(std::process::id()).unwrap();
            assert!(resident.all >= resident.own && resident.peak >= resident.own);
        }
    }
}
