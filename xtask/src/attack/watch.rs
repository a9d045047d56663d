//! The most memory that a server and its children had while something ran.

use super::proc;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(5);
/// Processes are listed once in so many samples: a listing takes longer than a sample.
const LISTED_EVERY: u32 = 5;

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// In bytes. `None` on systems that don't tell.
    pub(super) peak: Option<u64>,
    /// Whether the server was killed here, before it took the memory of this machine.
    pub(super) is_killed: bool,
}

/// A thread that takes samples.
#[derive(Debug)]
pub(super) struct Watch {
    /// Dropped when it is enough.
    running: Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Begins. What takes more than `ceiling` bytes is killed.
    pub(super) fn start(server: u32, ceiling: u64) -> Self {
        let (running, is_running) = channel();
        let thread = std::thread::spawn(move || watch(server, ceiling, &is_running));
        Self { running, thread }
    }

    /// Ends, and says what was seen.
    pub(super) fn finish(self) -> Seen {
        drop(self.running);
        self.thread.join().unwrap_or_default()
    }
}

fn watch(server: u32, ceiling: u64, is_running: &Receiver<()>) -> Seen {
    let mut seen = Seen::default();
    if !proc::is_there() {
        return seen;
    }
    proc::forget_peak(server);
    let (mut children, mut sample, mut peak) = (proc::children(server), 0_u32, 0);
    while is_running.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        if sample.is_multiple_of(LISTED_EVERY) {
            children = proc::children(server);
        }
        sample = sample.wrapping_add(1);
        let sum = proc::sum(server, &children);
        peak = sum.max(peak);
        if sum > ceiling && !seen.is_killed {
            seen.is_killed = true;
            kill(std::iter::once(server).chain(children.iter().copied()));
        }
    }
    // what came and went between two samples
    peak = proc::resident(server).map_or(0, |server| server.peak).max(peak);
    seen.peak = Some(peak);
    seen
}

/// Without `unsafe` there are no signals here.
fn kill(processes: impl Iterator<Item = u32>) {
    let mut command = Command::new("kill");
    command.arg("-9").args(processes.map(|pid| pid.to_string())).stdin(Stdio::null()).stderr(Stdio::null());
    // one that has ended already makes it fail
    let _ = command.status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_sees_the_memory_of_a_process_and_leaves_it_alone() {
        let seen = Watch::start(std::process::id(), u64::MAX).finish();
        assert_eq!(seen.peak.is_some(), proc::is_there());
        assert!(!seen.is_killed);
    }
}
