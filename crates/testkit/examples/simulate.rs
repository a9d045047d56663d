//! Runs the simulation with many seeds: see `cargo xtask simulate`, which has the flags.

use belvedere_testkit::simulation::{Backends, Broken, Summary, simulate};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Traces that are shown.
const SHOWN: usize = 5;

struct Flags {
    seconds: u64,
    seed: u64,
    runs: u64,
    threads: usize,
    backends: Vec<Backends>,
}

fn flags() -> Result<Flags, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut flags = Flags { seconds: u64::MAX, seed: 1, runs: u64::MAX, threads, backends: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
        match flag.as_str() {
            "--seconds" => flags.seconds = number()?,
            "--seed" => flags.seed = number()?,
            "--runs" => flags.runs = number()?,
            "--threads" => flags.threads = number()?.max(1) as usize,
            "--backends" => flags.backends.push(value.parse()?),
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    if flags.backends.is_empty() {
        flags.backends = vec![Backends::Directory, Backends::Store];
        if belvedere_testkit::backend("postgres").is_some() {
            flags.backends.push(Backends::Postgres);
        }
    }
    if flags.seconds == u64::MAX && flags.runs == u64::MAX {
        flags.seconds = 60;
    }
    Ok(flags)
}

/// Lives through one seed, in a directory of its own.
fn live(seed: u64, backends: Backends) -> Result<Summary, Box<Broken>> {
    let name = format!("belvedere-simulation-{}-{seed}-{backends}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let broken = |what: String| Box::new(Broken { seed, backends, what, trace: Vec::new() });
    std::fs::create_dir_all(&directory).map_err(|e| broken(format!("{}: {e}", directory.display())))?;
    // a panic is a finding like any other
    let lived = std::panic::catch_unwind(|| simulate(seed, backends, &directory));
    let _ = std::fs::remove_dir_all(&directory);
    lived.unwrap_or_else(|_| Err(broken("it panicked".to_owned())))
}

fn main() -> ExitCode {
    let flags = match flags() {
        Ok(flags) => flags,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    let (next, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new((Summary::default(), Vec::<(u64, Backends)>::new()));
    let work = || {
        while began.elapsed() < Duration::from_secs(flags.seconds) {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= flags.runs {
                break;
            }
            let seed = flags.seed.wrapping_add(run);
            let backends = flags.backends[seed as usize % flags.backends.len()];
            let lived = live(seed, backends);
            runs.fetch_add(1, Ordering::Relaxed);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            match lived {
                Ok(summary) => total.0 += summary,
                Err(broken) => {
                    match total.1.len() < SHOWN {
                        true => println!("BROKEN  {broken}\n"),
                        false => println!("BROKEN  seed {seed} on {backends}: {}\n", broken.what),
                    }
                    total.1.push((seed, backends));
                }
            }
        }
    };
    std::thread::scope(|scope| (0..flags.threads).for_each(|_| drop(scope.spawn(work))));
    let (summary, broken) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} seeds from {} in {} s: {} steps, {} faults, {} crashes, {} answers compared; {} seeds broke a promise",
        runs.into_inner(),
        flags.seed,
        began.elapsed().as_secs(),
        summary.steps,
        summary.faults,
        summary.crashes,
        summary.answers,
        broken.len()
    );
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
