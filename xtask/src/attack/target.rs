//! The server that is attacked, and what is asked of it.

use super::ask::{self, End};
use super::proc;
use super::watch::{Seen, Watch};
use crate::binary::command;
use crate::cargo::run as run_to_end;
use crate::server::Server;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) const MIB: u64 = 1 << 20;
/// What the process may have beside what `--memory` is for.
const BESIDE_MEMORY: u64 = 256 * MIB;
/// A server with this much is killed: others use this machine too.
const CEILING: u64 = 4096 * MIB;
/// A query that is over its time ends soon after.
const GRACE: Duration = Duration::from_secs(10);
/// How long the next query may take.
const NEXT: Duration = Duration::from_secs(2);
/// So many programs have filled the lake.
const DEMOS: usize = 4;
/// How long memory may take to go down.
const SETTLING: Duration = Duration::from_secs(15);
/// How much may stay.
const STAYS: u64 = 100 * MIB;

/// What the server is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// `--memory`, in MiB.
    pub(super) memory: u64,
    /// `--query-memory`, in MiB.
    pub(super) query_memory: u64,
    /// `--query-time`.
    pub(super) query_time: Duration,
}

/// A statement and its end.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// As it is written: see [`super::statements::expand`].
    pub(super) statement: String,
    pub(super) end: End,
    pub(super) seconds: f64,
}

/// Statements that ran at once.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) asked: Vec<Asked>,
    /// The most memory meanwhile, in bytes.
    pub(super) peak: Option<u64>,
    /// What must not be.
    pub(super) findings: Vec<String>,
}

/// A server, and another one when it has ended.
pub(super) struct Target {
    binary: PathBuf,
    lake: PathBuf,
    limits: Limits,
    server: Server,
    /// Memory when it had answered its first queries.
    at_rest: Option<u64>,
}

impl Target {
    pub(super) fn start(binary: &Path, lake: &Path, limits: Limits) -> Result<Self, String> {
        let server = serve(binary, lake, limits)?;
        let mut target =
            Self { binary: binary.to_owned(), lake: lake.to_owned(), limits, server, at_rest: None };
        target.warm_up()?;
        Ok(target)
    }

    /// The rows of a short answer.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        ask::rows(self.server.address()?, sql)
    }

    /// Runs statements at once, and looks at what is left of the server. An error is one of this program or machine.
    pub(super) fn run(&mut self, statements: &[String]) -> Result<Round, String> {
        self.server.take_lines();
        let address = self.server.address()?;
        let patience = self.limits.query_time + GRACE;
        let watch = Watch::start(self.server.id(), CEILING);
        let asked = std::thread::scope(|scope| {
            let ask = |statement: &String| {
                let (sql, statement) = (super::statements::expand(statement), statement.clone());
                move || {
                    let begin = Instant::now();
                    let end = ask::ask(address, &sql, patience);
                    Asked { statement, end, seconds: begin.elapsed().as_secs_f64() }
                }
            };
            let threads: Vec<_> = statements.iter().map(|statement| scope.spawn(ask(statement))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        let is_lost = |asked: &Asked| matches!(asked.end, End::Broken(_) | End::Cut { .. });
        // a process that aborts closes its connections before it can be waited for
        let ended =
            self.ended_within(Duration::from_millis(if asked.iter().any(is_lost) { 1000 } else { 0 }));
        let next = if ended.is_none() { self.next().err() } else { None };
        let seen = watch.finish();
        let lines = self.server.take_lines();
        let mut findings: Vec<String> =
            ended.as_ref().map(|how| death(how, seen, &lines)).into_iter().collect();
        findings.extend(next);
        let most = self.limits.memory * MIB + BESIDE_MEMORY;
        if let Some(peak) = seen.peak.filter(|peak| *peak > most) {
            findings.push(format!("{} MB of memory, more than {} MB", peak / MIB, most / MIB));
        }
        // what it left behind must not be held against the next one
        let is_spent = !findings.is_empty();
        findings.extend(asked.iter().filter_map(|asked| fault(asked, ended.is_none(), &lines)));
        if is_spent {
            self.restart()?;
        }
        Ok(Round { asked, peak: seen.peak, findings })
    }

    /// Memory that did not come back, and how much it is now.
    pub(super) fn settle(&mut self) -> Result<(Option<u64>, Option<String>), String> {
        let Some(before) = self.at_rest else { return Ok((None, None)) };
        let end = Instant::now() + SETTLING;
        loop {
            let now = self.memory();
            if now.is_some_and(|now| now <= before + STAYS) {
                return Ok((now, None));
            }
            if end <= Instant::now() {
                let finding = format!(
                    "{} MB stay, {} MB were there before",
                    now.unwrap_or_default() / MIB,
                    before / MIB
                );
                self.restart()?;
                return Ok((now, Some(finding)));
            }
            pause(Duration::from_millis(200));
        }
    }

    /// Starts anew with this time limit.
    pub(super) fn limit_time(&mut self, query_time: Duration) -> Result<(), String> {
        self.limits.query_time = query_time;
        self.restart()
    }

    fn memory(&self) -> Option<u64> {
        let id = self.server.id();
        proc::is_there().then(|| proc::sum(id, &proc::children(id)))
    }

    fn ended_within(&mut self, time: Duration) -> Option<String> {
        let end = Instant::now() + time;
        loop {
            match self.server.ended() {
                Some(status) => return Some(status.to_string()),
                None if end <= Instant::now() => return None,
                None => pause(Duration::from_millis(10)),
            }
        }
    }

    /// Whether the next query is answered.
    fn next(&self) -> Result<(), String> {
        let address = self.server.address()?;
        let begin = Instant::now();
        match ask::ask(address, "SELECT 1", NEXT) {
            End::Answered(200) => Ok(()),
            end => {
                let again = ask::ask(address, "SELECT 1", NEXT + GRACE);
                let after = begin.elapsed().as_secs_f64();
                Err(format!(
                    "no next query is answered in {NEXT:.0?}: {end}; then, after {after:.1} s: {again}"
                ))
            }
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        self.server = serve(&self.binary, &self.lake, self.limits)?;
        self.warm_up()
    }

    /// The first queries load what stays loaded.
    fn warm_up(&mut self) -> Result<(), String> {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
        for table in self.rows(tables)?.into_iter().flatten() {
            self.rows(&format!("SELECT * FROM {table} ORDER BY 1 LIMIT 1000"))?;
        }
        self.at_rest = self.memory();
        Ok(())
    }
}

fn serve(binary: &Path, lake: &Path, limits: Limits) -> Result<Server, String> {
    let (memory, query_memory) = (limits.memory.to_string(), limits.query_memory.to_string());
    let time = format!("{}s", limits.query_time.as_secs());
    let flags = ["--memory", &memory, "--query-memory", &query_memory, "--query-time", &time];
    Server::start_with(binary, lake, &flags)
}

/// Fills a lake: some programs send to it what they log and measure.
pub(super) fn fill(binary: &Path, lake: &Path) -> Result<(), String> {
    let lake = lake.display().to_string();
    for _ in 0..DEMOS {
        let mut demo = command(binary, &["demo", "--once", "--lake", &lake]);
        demo.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        run_to_end(demo)?;
    }
    Ok(())
}

/// How a server ended, with its last lines.
fn death(how: &str, seen: Seen, lines: &[String]) -> String {
    if seen.is_killed {
        return format!("the server was killed by this program, for more than {} MB", CEILING / MIB);
    }
    let last = lines.iter().rev().take(3).rev().map(|line| clipped(line, 200)).collect::<Vec<_>>();
    format!("the server ended with {how}: {}", last.join(" | "))
}

/// What is wrong with an end, whatever the statement is.
fn fault(asked: &Asked, is_alive: bool, lines: &[String]) -> Option<String> {
    let of_kind = |status: u16| [200, 400, 429, 501, 504].contains(&status);
    match &asked.end {
        End::Silent => Some(format!("no answer after {:.0} s", asked.seconds)),
        // of a server that is gone: said once
        End::Broken(_) | End::Cut { .. } if !is_alive => None,
        End::Broken(said) => Some(format!("the connection was lost: {said}")),
        end => match end.status() {
            Some(status) if of_kind(status) => None,
            Some(status) => {
                // the log has more: a panic is said there in two lines
                let panics =
                    lines.iter().zip(lines.iter().skip(1)).filter(|(line, _)| line.contains("panicked at"));
                let panics: String =
                    panics.take(1).map(|(line, what)| clipped(&format!(" ({line} {what})"), 300)).collect();
                Some(format!("status {status}: {}{panics}", clipped(end.said(), 300)))
            }
            None => Some("cut off, and nobody said why".to_owned()),
        },
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when another process has ended or gives back memory"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The beginning of a text.
pub(super) fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(end: End) -> Option<String> {
        fault(&Asked { statement: String::new(), end, seconds: 1.0 }, true, &[])
    }

    fn refused(status: u16) -> End {
        End::Refused { status, kind: "internal".to_owned(), said: "a bug".to_owned() }
    }

    #[test]
    fn a_limit_is_no_fault_and_an_internal_error_is_one() {
        assert!(fault_of(End::Answered(200)).is_none());
        assert!([400, 429, 501, 504].into_iter().all(|status| fault_of(refused(status)).is_none()));
        assert_eq!(fault_of(refused(500)).unwrap(), "status 500: a bug");
        assert!(fault_of(refused(503)).is_some() && fault_of(End::Silent).is_some());
    }

    #[test]
    fn rows_that_end_with_a_limit_are_no_fault_but_those_that_just_end_are() {
        let cut = |kind: &str| End::Cut { kind: kind.to_owned(), said: String::new() };
        assert!(fault_of(cut("too_long")).is_none());
        assert!(fault_of(cut("internal")).is_some() && fault_of(cut("")).is_some());
    }

    #[test]
    fn a_text_is_clipped_between_letters() {
        assert_eq!((clipped("äöü", 2), clipped("äö", 2)), ("äö…".to_owned(), "äö".to_owned()));
    }
}
