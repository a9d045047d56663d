//! `attack`: statements that take memory, time or the process, against a real server.
//!
//! | file | contents |
//! | --- | --- |
//! | `statements` | the table of statements, and what the fuzzer has found |
//! | `target` | the server: it is started again when it has ended |
//! | `ask` | a statement over HTTP, and how it ended |
//! | `watch`, `proc` | memory of the server and its children |
//! | `fuzzer` | statements of a grammar over all functions of the server |
//! | `report` | what is told |
//!
//! Statements are kept in `statements.sql`, those that the fuzzer has found in `found.sql`: these run first.

mod ask;
mod fuzzer;
mod proc;
mod report;
mod statements;
mod target;
mod watch;

use crate::binary::{Features, build};
use crate::scratch::Scratch;
use crate::{Outcome, misused};
use report::Report;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;
use target::{Asked, Limits, Target};

/// So many of the worst run at once.
const WORST: usize = 8;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    is_short: bool,
    binary: Option<PathBuf>,
    lake: Option<PathBuf>,
    fuzz: Option<Duration>,
    seed: Option<u64>,
}

/// Attacks a server, and fails if something was found.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let Some(options) = parse(arguments) else { return misused() };
    let binary = match options.binary {
        Some(binary) => binary,
        None => build(&Features::Default, "dev")?.path,
    };
    let scratch = Scratch::new()?;
    let lake = match options.lake {
        Some(lake) => lake,
        None => {
            let lake = scratch.path().join("lake");
            target::fill(&binary, &lake)?;
            lake
        }
    };
    let query_time = Duration::from_secs(if options.is_short { 3 } else { 20 });
    let limits = Limits { memory: 1024, query_memory: 256, query_time };
    let mut target = Target::start(&binary, &lake, limits)?;
    let mut report = Report::default();
    if !proc::is_there() {
        println!("there is no /proc: memory is not measured");
    }
    table(&mut target, &mut report, options.is_short)?;
    report.settled(target.settle()?);
    let time = options.fuzz.unwrap_or(Duration::from_secs(if options.is_short { 15 } else { 60 }));
    if !time.is_zero() {
        // hashers of the standard library begin by chance
        let seed = options.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() % 1_000_000);
        fuzzer::run(&mut target, &mut report, seed, time)?;
        report.settled(target.settle()?);
    }
    report.end()
}

/// What is kept, each alone, and then the worst of it at once.
fn table(target: &mut Target, report: &mut Report, is_short: bool) -> Outcome {
    let all = statements::found()?.into_iter().chain(statements::table()?);
    let mut worst: Vec<(u64, f64, String)> = Vec::new();
    Report::head();
    for kept in all.filter(|kept| kept.is_short || !is_short) {
        let round = target.run(&kept.statements)?;
        let name = match kept.statements.as_slice() {
            [one] => one.clone(),
            several => format!("{} at once: {}", several.len(), several.join("; ")),
        };
        report.row(&name, &round);
        if let [Asked { statement, seconds, .. }] = round.asked.as_slice() {
            worst.push((round.peak.unwrap_or(0), *seconds, statement.clone()));
        }
    }
    worst.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let worst: Vec<String> = worst.into_iter().take(WORST).map(|(_, _, statement)| statement).collect();
    let round = target.run(&worst)?;
    report.row(&format!("the {} worst at once", worst.len()), &round);
    for statement in worst {
        println!("- `{}`", target::clipped(&statement, 110));
    }
    Ok(())
}

/// `None` if these are no arguments of ours.
fn parse(arguments: &[&str]) -> Option<Options> {
    let (mut options, mut rest) = (Options::default(), arguments);
    loop {
        rest = match rest {
            [] => return Some(options),
            ["--short", rest @ ..] => {
                options.is_short = true;
                rest
            }
            ["--binary", path, rest @ ..] => {
                options.binary = Some(PathBuf::from(path));
                rest
            }
            ["--lake", path, rest @ ..] => {
                options.lake = Some(PathBuf::from(path));
                rest
            }
            ["--fuzz", seconds, rest @ ..] => {
                options.fuzz = Some(Duration::from_secs(seconds.parse().ok()?));
                rest
            }
            ["--seed", seed, rest @ ..] => {
                options.seed = Some(seed.parse().ok()?);
                rest
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_in_any_order_and_unknown_ones_are_refused() {
        let options =
            parse(&["--seed", "7", "--short", "--fuzz", "0", "--binary", "b", "--lake", "l"]).unwrap();
        let expected = Options {
            is_short: true,
            binary: Some(PathBuf::from("b")),
            lake: Some(PathBuf::from("l")),
            fuzz: Some(Duration::ZERO),
            seed: Some(7),
        };
        assert_eq!(options, expected);
        assert!(parse(&["--fuzz"]).is_none() && parse(&["--seed", "x"]).is_none() && parse(&["a"]).is_none());
    }
}
