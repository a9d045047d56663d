//! A lake that lives through faults: what it promises, tried with seeds.
//!
//! A run sends numbered ticks, materializes, merges, retires, expires, checks, repairs, crashes and opens again, while
//! requests to the object store and the catalog fail by a plan. After each step the faults pause, and the tables are
//! asked. Rows of each acknowledged block must be there exactly once, or be said to be missing; what was there must stay;
//! retention takes only what it may. At the end everything is sent, faults are gone, and nothing may be missing.
//!
//! Steps and faults follow from the seed. One thread runs everything that is asynchronous, and no clock decides anything,
//! apart from the minute in which partitions are merged; what threads for decoding do side by side changes no fault. So a
//! seed that fails fails again.

mod ledger;
mod programs;
mod steps;
#[cfg(test)]
mod tests;
mod world;

use crate::faults::Faults;
use crate::random::Random;
use ledger::Ledger;
use programs::Programs;
use std::fmt::{Display, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::World;

pub use world::Backends;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Steps.
    pub steps: u64,
    /// Requests that failed by the plan.
    pub faults: u64,
    /// Programs that ended in the middle, power cuts and lost catalogs.
    pub crashes: u64,
    /// Answers that were compared with the ledger.
    pub answers: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.crashes += other.crashes;
        self.answers += other.answers;
    }
}

/// A promise that was broken, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// The backends.
    pub backends: Backends,
    /// What is wrong.
    pub what: String,
    /// The steps before, with their faults.
    pub trace: Vec<String>,
}

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {} on {}: {}", self.seed, self.backends, self.what)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        write!(f, "again: cargo xtask simulate --seed {} --runs 1 --backends {}", self.seed, self.backends)
    }
}

impl std::error::Error for Broken {}

/// Lives through a seed, with files in an empty directory.
pub fn simulate(seed: u64, backends: Backends, directory: &Path) -> Result<Summary, Box<Broken>> {
    let broken = |what: String, trace| Box::new(Broken { seed, backends, what, trace });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| broken(format!("there is no runtime: {e}"), Vec::new()))?;
    runtime.block_on(async {
        let mut run = Run::new(seed, backends, directory);
        match run.live().await {
            Ok(()) => Ok(run.summary),
            Err(what) => Err(broken(what, run.trace)),
        }
    })
}

/// A run.
struct Run {
    random: Random,
    faults: Faults,
    world: World,
    programs: Arc<Programs>,
    ledger: Arc<Mutex<Ledger>>,
    /// Something stored was damaged for good.
    is_damaged: bool,
    /// Files of partitions were damaged, and nobody has looked since.
    has_damaged_files: bool,
    /// A file was said not to be there, and no maintenance has looked for it since: queries may do without it, and what its
    /// blocks don't give any more is missing until then.
    has_files_in_doubt: bool,
    /// When steps began, nanoseconds since the Unix epoch.
    moments: Vec<i64>,
    summary: Summary,
    trace: Vec<String>,
}

impl Run {
    fn new(seed: u64, backends: Backends, directory: &Path) -> Self {
        let mut random = Random::new(seed);
        let programs = Programs::new(&mut random);
        let faults = Faults::new(seed);
        Self {
            world: World::new(backends, directory, faults.clone(), random.chance(50)),
            faults,
            ledger: Arc::new(Mutex::new(Ledger::new(&programs))),
            programs: Arc::new(programs),
            is_damaged: false,
            has_damaged_files: false,
            has_files_in_doubt: false,
            moments: Vec::new(),
            summary: Summary::default(),
            trace: Vec::new(),
            random,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
