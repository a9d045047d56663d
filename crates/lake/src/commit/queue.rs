//! Requests that wait for the commit thread: each sender has a line of its own, and the lines get turns by bytes.
//!
//! One line for all let a flood set everybody's wait: beside 32 connections that send large requests as fast as they can, a
//! request each 10 ms took 27 times as long as alone. This is deficit round robin with priority for lines that have just
//! become active (RFC 8290, section 4.2, without the management of delay): who sends little is served before those who
//! have a backlog, and these share what is left by bytes, not by requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Bytes that a line may take in each turn.
const TURN: i64 = 32 << 10;

/// The lines.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: Mutex<Lines<T>>,
    arrived: Condvar,
    /// One for each request that may wait; further senders wait for a free one.
    slots: Semaphore,
}

#[derive(Debug)]
struct Lines<T> {
    by_sender: HashMap<Uuid, Line<T>>,
    /// Lines that have become active, in the order of their turns; they come before …
    new: VecDeque<Uuid>,
    /// … those that have had a turn.
    old: VecDeque<Uuid>,
    is_closed: bool,
}

#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<(i64, T)>,
    /// Bytes that are left of the turn; negative if the last request was larger than what was left.
    credit: i64,
}

/// The queue takes no more requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<T> Queue<T> {
    /// A queue in which so many requests may wait.
    pub(super) fn new(slots: usize) -> Self {
        let lines =
            Lines { by_sender: HashMap::new(), new: VecDeque::new(), old: VecDeque::new(), is_closed: false };
        Self { lines: Mutex::new(lines), arrived: Condvar::new(), slots: Semaphore::new(slots) }
    }

    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request of so many bytes at the end of its sender's line. Waits for a free slot.
    pub(super) async fn push(&self, sender: Uuid, bytes: usize, request: T) -> Result<(), Closed> {
        self.slots.acquire().await.map_err(|_| Closed)?.forget();
        let mut lines = self.lines();
        if lines.is_closed {
            return Err(Closed);
        }
        lines.push(sender, i64::try_from(bytes).unwrap_or(i64::MAX), request);
        drop(lines);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next request, if one waits.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.taken(self.lines().pop())
    }

    /// The next request; `None` when the queue is closed and nothing waits.
    pub(super) fn pop(&self) -> Option<T> {
        let mut lines = self.lines();
        loop {
            let next = lines.pop();
            if next.is_some() || lines.is_closed {
                return self.taken(next);
            }
            lines = self.arrived.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn taken(&self, request: Option<T>) -> Option<T> {
        request.inspect(|_| self.slots.add_permits(1))
    }

    /// Takes no more requests; those that wait can still be taken.
    pub(super) fn close(&self) {
        self.lines().is_closed = true;
        self.slots.close();
        self.arrived.notify_all();
    }
}

/// Closes a queue when the thread that takes from it ends, by a panic too: nobody waits for an answer then.
pub(super) struct CloseAtEnd<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for CloseAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_pop().is_some() {}
    }
}

impl<T> Lines<T> {
    fn push(&mut self, sender: Uuid, bytes: i64, request: T) {
        let line = self.by_sender.entry(sender).or_insert_with(|| {
            self.new.push_back(sender);
            Line { waiting: VecDeque::new(), credit: TURN }
        });
        line.waiting.push_back((bytes, request));
    }

    fn pop(&mut self) -> Option<T> {
        loop {
            let is_new = !self.new.is_empty();
            let others_wait = is_new && !self.old.is_empty();
            let sender = *if is_new { &self.new } else { &self.old }.front()?;
            let turns = if is_new { &mut self.new } else { &mut self.old };
            // a line without an entry would be a turn without effect
            let Some(line) = self.by_sender.get_mut(&sender) else {
                turns.pop_front();
                continue;
            };
            if line.credit <= 0 {
                line.credit += TURN;
                turns.pop_front();
                self.old.push_back(sender);
                continue;
            }
            match line.waiting.pop_front() {
                Some((bytes, request)) => {
                    line.credit -= bytes;
                    return Some(request);
                }
                // who comes again at once must not be new again: those who wait would never get a turn
                None if others_wait => {
                    turns.pop_front();
                    self.old.push_back(sender);
                }
                None => {
                    turns.pop_front();
                    self.by_sender.remove(&sender);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FLOOD: Uuid = Uuid::from_u128(1);
    const QUIET: Uuid = Uuid::from_u128(2);

    #[tokio::test]
    async fn who_sends_little_is_served_before_a_backlog() {
        let queue = Queue::new(1000);
        for i in 0..100 {
            queue.push(FLOOD, 300_000, (FLOOD, i)).await.unwrap();
        }
        for _ in 0..3 {
            assert_eq!(queue.try_pop().unwrap().0, FLOOD);
        }
        for i in 0..5 {
            queue.push(QUIET, 1000, (QUIET, i)).await.unwrap();
            let next = [queue.try_pop().unwrap(), queue.try_pop().unwrap()];
            assert!(next.contains(&(QUIET, i)), "request {i} waits behind {next:?}");
        }
    }

    #[tokio::test]
    async fn backlogs_share_by_bytes() {
        let queue = Queue::new(1000);
        let small = Uuid::from_u128(3);
        for _ in 0..300 {
            queue.push(FLOOD, 320_000, 320_000).await.unwrap();
            queue.push(small, 16_000, 16_000).await.unwrap();
        }
        let mut taken: HashMap<usize, usize> = HashMap::new();
        for _ in 0..200 {
            let bytes = queue.try_pop().unwrap();
            *taken.entry(bytes).or_default() += bytes;
        }
        let (large, small) = (taken[&320_000] as f64, taken[&16_000] as f64);
        assert!((0.8..1.25).contains(&(large / small)), "{taken:?}");
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_takes_nothing_more() {
        let queue = Queue::new(2);
        queue.push(FLOOD, 1, 1).await.unwrap();
        queue.push(FLOOD, 1, 2).await.unwrap();
        let mut waits = Box::pin(queue.push(QUIET, 1, 3));
        assert!(futures::poll!(&mut waits).is_pending());
        queue.close();
        assert_eq!(waits.await, Err(Closed));
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(1), Some(2), None));
        assert_eq!(queue.push(FLOOD, 1, 4).await, Err(Closed));
    }

    #[tokio::test]
    async fn when_the_thread_ends_nobody_waits_any_more() {
        let queue = Queue::new(10);
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        queue.push(FLOOD, 1, answer).await.unwrap();
        drop(CloseAtEnd(&queue));
        assert!(answered.await.is_err());
    }

    proptest! {
        #[test]
        fn every_request_is_taken_once_and_each_sender_s_in_order(
            steps in prop::collection::vec(prop::option::weighted(0.6, (0_u128..5, 0_usize..100_000)), 0..300),
        ) {
            let mut lines =
                Lines { by_sender: HashMap::new(), new: VecDeque::new(), old: VecDeque::new(), is_closed: false };
            let mut pushed: HashMap<Uuid, VecDeque<usize>> = HashMap::new();
            let check = |taken: Option<(Uuid, usize)>, pushed: &mut HashMap<Uuid, VecDeque<usize>>| {
                let expected = taken.map(|(sender, _)| pushed.get_mut(&sender).unwrap().pop_front().unwrap());
                assert_eq!(taken.map(|(_, n)| n), expected);
                assert!(taken.is_some() || pushed.values().all(VecDeque::is_empty));
                taken.is_some()
            };
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Some((sender, bytes)) => {
                        let sender = Uuid::from_u128(sender);
                        pushed.entry(sender).or_default().push_back(n);
                        lines.push(sender, bytes as i64, (sender, n));
                    }
                    None => {
                        check(lines.pop(), &mut pushed);
                    }
                }
            }
            while check(lines.pop(), &mut pushed) {}
            assert!(lines.by_sender.is_empty() && lines.new.is_empty() && lines.old.is_empty());
        }
    }
}
