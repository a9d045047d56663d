//! Programs that send all the time, and what they wait.

use crate::support::{Request, Server, with_fresh_ids};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sends a recording over and over, each time as other processes, until it is told to stop or has sent so many requests:
/// how long each waited for its 200, the quickest first.
pub fn send_until(server: &Server, recorded: &[Request], stop: &AtomicBool, enough: usize) -> Vec<Duration> {
    let mut connection = server.connect();
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) && latencies.len() < enough {
        for request in with_fresh_ids(recorded) {
            let began = Instant::now();
            let (status, body) = connection.post(&request.path, &request.body);
            latencies.push(began.elapsed());
            assert_eq!(status, 200, "{}: {body}", request.path);
        }
    }
    latencies.sort();
    latencies
}

/// What all but one in a hundred waited for at most.
pub fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}

/// Tells those who send and ask to stop, also when something fails before that was due.
#[derive(Debug)]
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
