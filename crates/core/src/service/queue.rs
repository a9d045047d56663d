//! Turns of queries: so many run at once, and those who wait get their turns caller by caller, so that one who asks
//! much does not keep the others waiting, whoever it says that it asks for.

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
    callers: Turns<Turns<Line>>,
}

/// Those of one user, the first to come first.
type Line = VecDeque<oneshot::Sender<Slot>>;

/// Lines that take turns.
#[derive(Debug)]
struct Turns<L> {
    /// Names of those that have somebody waiting, in the order of their next turns.
    order: VecDeque<String>,
    lines: HashMap<String, L>,
}

impl<L> Default for Turns<L> {
    fn default() -> Self {
        Self { order: VecDeque::new(), lines: HashMap::new() }
    }
}

impl<L: Default> Turns<L> {
    fn line(&mut self, name: &str) -> &mut L {
        if !self.lines.contains_key(name) {
            self.order.push_back(name.to_owned());
        }
        self.lines.entry(name.to_owned()).or_default()
    }

    /// What `take` takes of the line whose turn it is. It is at the end of the order then.
    fn next<T>(
        &mut self,
        take: impl FnOnce(&mut L) -> Option<T>,
        is_empty: impl Fn(&L) -> bool,
    ) -> Option<T> {
        let name = self.order.pop_front()?;
        let line = self.lines.get_mut(&name)?;
        let taken = take(line);
        if is_empty(line) {
            drop(self.lines.remove(&name))
        } else {
            self.order.push_back(name)
        }
        taken
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut L) -> bool) {
        self.lines.retain(|_, line| keep(line));
        self.order.retain(|name| self.lines.contains_key(name));
    }
}

impl Turns<Line> {
    fn waiting(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }
}

/// A turn; the next one begins when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Option<Arc<Queue>>);

impl Slot {
    /// A turn beside all others.
    pub(super) fn extra() -> Self {
        Self(None)
    }
}

/// Too many wait already.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) waiting: usize,
}

impl Queue {
    /// `slots` at once, and so many waiting.
    pub(super) fn new(slots: usize, most_waiting: usize) -> Arc<Self> {
        let state = State { free: slots.max(1), waiting: 0, callers: Turns::default() };
        Arc::new(Self { state: Mutex::new(state), most_waiting })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing in here panics between two changes that belong together
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn: callers take turns, and so do the users that a caller speaks for. Whoever stops waiting leaves
    /// the queue. If it is full, somebody of whoever has most waiting must go.
    pub(super) async fn turn(self: &Arc<Self>, caller: &str, user: &str) -> Result<Slot, Full> {
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
            if state.waiting >= self.most_waiting && !state.make_room_for(caller) {
                return Err(Full { waiting: state.waiting });
            }
            let (sender, turn) = oneshot::channel();
            state.waiting += 1;
            state.callers.line(caller).line(user).push_back(sender);
            turn
        };
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
        let next = self.callers.next(
            |users| users.next(VecDeque::pop_front, VecDeque::is_empty),
            |users| users.lines.is_empty(),
        );
        match next {
            Some(_) => self.waiting -= 1,
            None => self.free += 1,
        }
        next
    }

    fn forget_the_gone(&mut self) {
        self.callers.retain(|users| {
            users.retain(|line| {
                line.retain(|sender| !sender.is_closed());
                !line.is_empty()
            });
            !users.lines.is_empty()
        });
        self.waiting = self.callers.lines.values().map(Turns::waiting).sum();
    }

    /// Lets the last of the caller who has most waiting go, if it is another one, with more than this one would have.
    fn make_room_for(&mut self, caller: &str) -> bool {
        let of = |users: &Turns<Line>| users.waiting();
        let own = self.callers.lines.get(caller).map_or(0, of);
        let Some((name, most)) =
            self.callers.lines.iter().map(|(name, users)| (name, of(users))).max_by_key(|(_, n)| *n)
        else {
            return false;
        };
        if most <= own + 1 {
            return false;
        }
        let name = name.clone();
        let longest = self
            .callers
            .lines
            .get_mut(&name)
            .and_then(|users| users.lines.values_mut().max_by_key(|line| line.len()));
        // more than one waits: no line of the longest becomes empty but one that others stand beside
        let has_gone = longest.and_then(VecDeque::pop_back).is_some();
        self.waiting -= usize::from(has_gone);
        self.callers.retain(|users| {
            users.retain(|line| !line.is_empty());
            !users.lines.is_empty()
        });
        has_gone
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
        let first = queue.turn("greedy", "greedy").await.unwrap();
        let mut greedy: Vec<_> = (0..3).map(|_| Box::pin(queue.turn("greedy", "greedy"))).collect();
        greedy.iter_mut().for_each(|turn| assert!(turn.as_mut().now_or_never().is_none()));
        let mut modest = Box::pin(queue.turn("modest", "modest"));
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
        let first = queue.turn("a", "").await.unwrap();
        let mut gone = Box::pin(queue.turn("b", ""));
        let mut served_late = Box::pin(queue.turn("c", ""));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(served_late.as_mut().now_or_never().is_none());
        assert!(matches!(queue.turn("d", "").await, Err(Full { waiting: 2 })));
        drop(gone);
        drop(first);
        // the turn is given to it, and it never looks
        drop(served_late);
        drop(queue.turn("e", "").await.unwrap());
        assert_eq!(queue.state().free, 1);
        assert_eq!(queue.state().waiting, 0);
    }

    #[tokio::test]
    async fn who_speaks_for_many_users_has_one_turn_like_others() {
        let queue = Queue::new(1, 100);
        let first = queue.turn("service", "x").await.unwrap();
        let mut many: Vec<_> =
            ["a", "b", "c"].into_iter().map(|user| Box::pin(queue.turn("service", user))).collect();
        many.iter_mut().for_each(|turn| assert!(turn.as_mut().now_or_never().is_none()));
        let mut modest = Box::pin(queue.turn("modest", "modest"));
        assert!(modest.as_mut().now_or_never().is_none());
        drop(first);
        drop(many[0].as_mut().now_or_never().unwrap().unwrap());
        assert!(many[1].as_mut().now_or_never().is_none());
        drop(modest.now_or_never().unwrap().unwrap());
        assert!(many[1].as_mut().now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_has_room_for_who_waits_less_than_others() {
        let queue = Queue::new(1, 3);
        let first = queue.turn("greedy", "").await.unwrap();
        let mut greedy: Vec<_> = (0..3).map(|_| Box::pin(queue.turn("greedy", ""))).collect();
        greedy.iter_mut().for_each(|turn| assert!(turn.as_mut().now_or_never().is_none()));
        assert!(matches!(queue.turn("greedy", "").await, Err(Full { waiting: 3 })));
        let mut modest = Box::pin(queue.turn("modest", ""));
        assert!(modest.as_mut().now_or_never().is_none());
        assert!(matches!(greedy[2].as_mut().now_or_never(), Some(Err(Full { .. }))));
        // two and one: nobody has much more than the others
        assert!(matches!(queue.turn("modest", "").await, Err(Full { .. })));
        drop(first);
        drop(greedy[0].as_mut().now_or_never().unwrap().unwrap());
        assert!(modest.now_or_never().unwrap().is_ok());
        assert!(greedy[1].as_mut().now_or_never().unwrap().is_ok());
        assert_eq!(queue.state().waiting, 0);
    }
}
