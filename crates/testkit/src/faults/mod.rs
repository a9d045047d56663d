//! Backends that fail: an object store and a catalog with faults, by a plan that follows from a seed.
//!
//! A fault strikes a request by what it is, what it is about and how often that was asked before in the same step, and not
//! by a count of all requests: so what runs side by side gets the same faults in whichever order it is run.
//!
//! ```ignore
//! let faults = Faults::new(7);
//! let options = LakeOptions { interposer: faults.interposer(), ..LakeOptions::in_memory() };
//! faults.begin_step(FaultRates { per_mille: 50, kinds: Fault::ALL });
//! ```

mod catalog;
mod store;

use crate::random::{mix, number_of};
use belvedere_lake::Interposer;
use futures::FutureExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// A way in which a request to a backend fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It fails, and nothing was done.
    Before,
    /// It fails, although it was done.
    After,
    /// It is not done, and there is never an answer.
    LostRequest,
    /// It is done, and there is never an answer.
    LostReply,
    /// Others get their turn first.
    Slow,
    /// A part is written and visible, and it fails; or a part is read, and the rest fails.
    Torn,
    /// An object is said not to be there, for this step and the next.
    NotFound,
    /// A list is that of two steps ago.
    StaleList,
    /// The program ends here: nothing that it asks for later is done.
    Crash,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Before,
        Self::After,
        Self::LostRequest,
        Self::LostReply,
        Self::Slow,
        Self::Torn,
        Self::NotFound,
        Self::StaleList,
        Self::Crash,
    ];
}

/// How often requests fail, and how.
#[derive(Debug, Clone, Copy)]
pub struct FaultRates {
    /// So many of a thousand.
    pub per_mille: u64,
    /// In these ways; one that a request does not have does nothing to it.
    pub kinds: &'static [Fault],
}

impl FaultRates {
    /// None ever.
    pub const NONE: Self = Self { per_mille: 0, kinds: &[] };
}

/// A plan of faults, and what has come of it. Clones are the same.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    seed: u64,
    state: Mutex<State>,
    /// Something got no answer, or the program has ended.
    struck: Notify,
    /// Counts how often those without an answer were told to give up.
    given_up: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    step: u64,
    rates: FaultRates,
    has_ended: bool,
    /// How often each request was made in this step.
    counts: HashMap<u64, u64>,
    /// Names of objects that don't change from run to run.
    names: HashMap<String, String>,
    /// Up to which step objects are said not to be there.
    away: HashMap<Path, u64>,
    /// When objects were put: the step, and how many seconds had passed.
    put: HashMap<Path, (u64, i64)>,
    /// Objects that were deleted, and in which step.
    deleted: Vec<(u64, ObjectMeta)>,
    /// Seconds that have passed for objects.
    passed: i64,
    /// Transactions that reached the disk.
    synced: u64,
    trace: Vec<String>,
}

impl Faults {
    /// The plan of a seed, without faults until a step begins.
    pub fn new(seed: u64) -> Self {
        let state = State {
            step: 0,
            rates: FaultRates::NONE,
            has_ended: false,
            counts: HashMap::new(),
            names: HashMap::new(),
            away: HashMap::new(),
            put: HashMap::new(),
            deleted: Vec::new(),
            passed: 0,
            synced: 0,
            trace: Vec::new(),
        };
        Self(Arc::new(Plan {
            seed,
            state: Mutex::new(state),
            struck: Notify::new(),
            given_up: watch::Sender::new(0),
        }))
    }

    /// What puts the faults between a lake and its own backends: for `LakeOptions::interposer`.
    pub fn interposer(&self) -> Interposer {
        Interposer::new(Arc::new(catalog::Between { faults: self.clone(), store: None }))
    }

    /// The same with another store in the place of the lake's: one that outlives it.
    pub fn interposer_over(&self, store: Arc<dyn object_store::ObjectStore>) -> Interposer {
        Interposer::new(Arc::new(catalog::Between { faults: self.clone(), store: Some(store) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on requests fail that often.
    pub fn begin_step(&self, rates: FaultRates) {
        let mut state = self.lock();
        (state.step, state.rates) = (state.step + 1, rates);
        state.counts.clear();
        state.trace.clear();
        // what struck in the step before is known
        let _ = self.0.struck.notified().now_or_never();
    }

    /// No more faults: who waits for an answer is told that there will be none. Objects that are said not to be there stay so.
    pub fn end_step(&self) {
        self.lock().rates = FaultRates::NONE;
        self.0.given_up.send_modify(|count| *count += 1);
    }

    /// All objects are there again.
    pub fn heal(&self) {
        self.lock().away.clear();
    }

    /// Whether an object is said not to be there.
    pub fn has_objects_away(&self) -> bool {
        let state = self.lock();
        state.away.values().any(|until| *until >= state.step)
    }

    /// Comes when something gets no answer, or when the program has ended.
    pub async fn struck(&self) {
        self.0.struck.notified().await;
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// Ends the program: whatever it still asks for fails, and is not done.
    pub fn end(&self) {
        self.lock().has_ended = true;
    }

    /// The next program begins.
    pub fn begin(&self) {
        self.lock().has_ended = false;
    }

    /// Lets time pass for the objects that are there.
    pub fn pass(&self, seconds: i64) {
        self.lock().passed += seconds;
    }

    /// How many transactions reached the disk so far.
    pub fn synced(&self) -> u64 {
        self.lock().synced
    }

    /// The faults of this step.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    /// Whether, and how, a request fails.
    fn strike(&self, request: &str, about: &str) -> Option<Fault> {
        let mut state = self.lock();
        if state.has_ended {
            return Some(Fault::Before);
        }
        let name = state.name_of(about);
        let what = number_of(&format!("{request} {name}"));
        let count = state.counts.entry(what).or_default();
        *count += 1;
        let count = *count;
        let hash = mix(self.0.seed ^ mix(state.step ^ mix(what ^ mix(count))));
        let rates = state.rates;
        if hash % 1000 >= rates.per_mille {
            return None;
        }
        let fault = *rates.kinds.get((hash >> 16) as usize % rates.kinds.len().max(1))?;
        state.trace.push(format!("{fault:?} {request} {name}"));
        if fault == Fault::Crash {
            state.has_ended = true;
            drop(state);
            self.0.struck.notify_one();
        }
        Some(fault)
    }

    /// Waits until those without an answer are told to give up.
    async fn no_answer(&self) {
        let mut given_up = self.0.given_up.subscribe();
        given_up.mark_unchanged();
        self.0.struck.notify_one();
        // an error says that nobody is there any more
        let _ = given_up.changed().await;
    }
}

impl State {
    /// What an object is called in each run: partitions by what is in them, records by the order in which they came.
    fn name_of(&mut self, about: &str) -> String {
        if let Some(rest) = about.strip_prefix("partitions/") {
            let parts: Vec<&str> = rest.split('/').collect();
            let blocks = parts.last().and_then(|file| file.split('_').nth(1)).unwrap_or_default();
            let instance: Vec<&str> = parts.iter().take(2).copied().collect();
            return format!("{} {blocks}", instance.join("/"));
        }
        if about.starts_with("records/") {
            let next = format!("records {}", self.names.len());
            return self.names.entry(about.to_owned()).or_insert(next).clone();
        }
        about.to_owned()
    }
}

/// Lets others do a few things first.
async fn slowly() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
