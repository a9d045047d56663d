//! Turns of queries: so many run at once, and those who wait get their turns caller by caller, so that one who asks
//! much does not keep the others waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Who waits, and how many may run.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    most_waiting: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    /// Callers who have somebody waiting, in the order of their next turns.
    callers: VecDeque<String>,
    by_caller: HashMap<String, VecDeque<oneshot::Sender<Slot>>>,
}

/// A turn; the next one begins when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Option<Arc<Queue>>);

/// Too many wait already.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) waiting: usize,
}

impl Queue {
    /// `slots` at once, and so many waiting.
    pub(super) fn new(slots: usize, most_waiting: usize) -> Arc<Self> {
        let state =
            State { free: slots.max(1), waiting: 0, callers: VecDeque::new(), by_caller: HashMap::new() };
        Arc::new(Self { state: Mutex::new(state), most_waiting })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing in here panics between two changes that belong together
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. Whoever stops waiting leaves the queue.
    pub(super) async fn turn(self: &Arc<Self>, caller: &str) -> Result<Slot, Full> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Slot(Some(self.clone())));
            }
            // those who went away are still in the lines
            if state.waiting >= self.most_waiting {
                state.forget_the_gone();
            }
            if state.waiting >= self.most_waiting {
                return Err(Full { waiting: state.waiting });
            }
            let (sender, turn) = oneshot::channel();
            state.waiting += 1;
            if !state.by_caller.contains_key(caller) {
                state.callers.push_back(caller.to_owned());
            }
            state.by_caller.entry(caller.to_owned()).or_default().push_back(sender);
            turn
        };
        // senders are dropped by `forget_the_gone` only, when nobody is here any more
        turn.await.map_err(|_| Full { waiting: self.most_waiting })
    }

    fn release(self: Arc<Self>) {
        loop {
            let Some(next) = self.state().next_or_free() else { return };
            match next.send(Slot(Some(self.clone()))) {
                Ok(()) => return,
                // gone: the turn is somebody else's; it must not come back through its own end
                Err(mut slot) => drop(slot.0.take()),
            }
        }
    }
}

impl State {
    /// Who is next; if nobody is, the slot is free.
    fn next_or_free(&mut self) -> Option<oneshot::Sender<Slot>> {
        while let Some(caller) = self.callers.pop_front() {
            let Some(line) = self.by_caller.get_mut(&caller) else { continue };
            let next = line.pop_front();
            match line.is_empty() {
                true => drop(self.by_caller.remove(&caller)),
                false => self.callers.push_back(caller),
            }
            if let Some(next) = next {
                self.waiting -= 1;
                return Some(next);
            }
        }
        self.free += 1;
        None
    }

    fn forget_the_gone(&mut self) {
        for line in self.by_caller.values_mut() {
            line.retain(|sender| !sender.is_closed());
        }
        self.by_caller.retain(|_, line| !line.is_empty());
        self.callers.retain(|caller| self.by_caller.contains_key(caller));
        self.waiting = self.by_caller.values().map(VecDeque::len).sum();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn callers_take_turns_however_many_questions_each_has() {
        let queue = Queue::new(1, 100);
        let first = queue.turn("greedy").await.unwrap();
        let mut greedy: Vec<_> = (0..3).map(|_| Box::pin(queue.turn("greedy"))).collect();
        greedy.iter_mut().for_each(|turn| assert!(turn.as_mut().now_or_never().is_none()));
        let mut modest = Box::pin(queue.turn("modest"));
        assert!(modest.as_mut().now_or_never().is_none());
        drop(first);
        let second = greedy[0].as_mut().now_or_never().unwrap().unwrap();
        assert!(modest.as_mut().now_or_never().is_none());
        drop(second);
        let third = modest.now_or_never().unwrap().unwrap();
        assert!(greedy[1].as_mut().now_or_never().is_none());
        drop(third);
        assert!(greedy[1].as_mut().now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn who_goes_away_loses_no_turn_for_the_others() {
        let queue = Queue::new(1, 2);
        let first = queue.turn("a").await.unwrap();
        let mut gone = Box::pin(queue.turn("b"));
        let mut served_late = Box::pin(queue.turn("c"));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(served_late.as_mut().now_or_never().is_none());
        assert!(matches!(queue.turn("d").await, Err(Full { waiting: 2 })));
        drop(gone);
        drop(first);
        // the turn is given to it, and it never looks
        drop(served_late);
        drop(queue.turn("e").await.unwrap());
        assert_eq!(queue.state().free, 1);
        assert_eq!(queue.state().waiting, 0);
    }
}
