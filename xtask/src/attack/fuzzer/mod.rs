//! A fuzzer of SQL: statements of a grammar over everything that a server has.

mod grammar;
mod kind;
mod random;
mod registry;
mod sources;
mod values;

use super::report::Report;
use super::statements;
use super::target::Target;
use crate::Outcome;
use grammar::Grammar;
use registry::Registry;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// So many run one after the other, and so many at once after them.
const ALONE: usize = 24;
const AT_ONCE: usize = 8;
/// Many statements find more than long ones.
const QUERY_TIME: Duration = Duration::from_secs(3);
/// Bytes of a request.
const MOST_BYTES: usize = 1 << 20;
/// How often memory is looked at, in turns of the above.
const SETTLED_EVERY: usize = 10;

/// The next statement that fits into a request: of one that does not, only the length would be looked at.
fn fitting(grammar: &mut Grammar) -> String {
    loop {
        let statement = grammar.statement();
        if statements::expand(&statement).len() < MOST_BYTES {
            return statement;
        }
    }
}

/// Runs statements of this seed for a while.
pub(super) fn run(target: &mut Target, report: &mut Report, seed: u64, time: Duration) -> Outcome {
    target.limit_time(QUERY_TIME)?;
    let registry = Registry::load(|sql| target.rows(sql))?;
    println!("\nfuzzer: seed {seed}, {} functions, {:.0?}", registry.functions.len(), time);
    let end = Instant::now() + time;
    let mut grammar = Grammar::new(&registry, seed);
    let (mut count, mut turns) = (0_usize, 0_usize);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    while Instant::now() < end {
        let is_burst = turns % (ALONE + 1) == ALONE;
        let statements: Vec<String> =
            (0..if is_burst { AT_ONCE } else { 1 }).map(|_| fitting(&mut grammar)).collect();
        let round = target.run(&statements)?;
        count += statements.len();
        for asked in &round.asked {
            *ends.entry(asked.end.to_string()).or_default() += 1;
        }
        if !round.findings.is_empty() {
            report.found(&round, &format!("seed {seed}"));
            statements::keep(&statements)?;
        }
        turns += 1;
        if turns.is_multiple_of(SETTLED_EVERY * (ALONE + 1)) {
            report.settled(target.settle()?);
        }
    }
    let ends: Vec<String> = ends.into_iter().map(|(end, count)| format!("{end}: {count}")).collect();
    println!("fuzzer: seed {seed}, {count} statements; {}", ends.join(", "));
    Ok(())
}
