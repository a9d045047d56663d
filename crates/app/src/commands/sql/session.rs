//! Runs the statements and commands of a prompt or a script.

use super::commands::{Command, help};
use super::statements::Piece;
use crate::commands::query::answer;
use crate::commands::source::Source;
use crate::format::Format;
use anyhow::{Context, Result, bail};
use belvedere_model::time::{TimeRange, to_rfc3339};
use std::fs::File;
use std::io::IsTerminal;
use std::time::Instant;

const VIEW_SETS: &str = "SELECT view_set_name AS view_set, instances, description FROM list_view_sets() \
                         ORDER BY view_set_name";

/// Whether the session continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Leave,
}

/// The source and the settings.
pub(super) struct Session<'a> {
    source: &'a Source,
    range: TimeRange,
    format: Format,
    output: Option<Output>,
    is_timed: bool,
    /// A result that lacks rows is an error.
    is_strict: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(source: &'a Source, range: TimeRange, is_timed: bool, is_strict: bool) -> Self {
        Self { source, range, format: Format::Table, output: None, is_timed, is_strict }
    }

    /// Runs one statement or command, until its end or Ctrl-C.
    pub(super) async fn run(&mut self, piece: &Piece<'_>) -> Result<Then> {
        match piece {
            Piece::Command(line) => {
                let command = line.parse().map_err(anyhow::Error::msg)?;
                return self.command(command).await;
            }
            Piece::Statement(word) if ["quit", "exit"].iter().any(|w| word.eq_ignore_ascii_case(w)) => {
                return Ok(Then::Leave);
            }
            Piece::Statement(word) if word.eq_ignore_ascii_case("help") => note!("{}", help()),
            Piece::Statement(sql) => {
                let began = Instant::now();
                let rows = self.answer(sql, self.range).await?;
                if self.is_timed {
                    let word = if rows == 1 { "row" } else { "rows" };
                    note!("{rows} {word} in {:.3} s", began.elapsed().as_secs_f64());
                }
            }
        }
        Ok(Then::GoOn)
    }

    async fn command(&mut self, command: Command) -> Result<Then> {
        match command {
            Command::Describe(None) => drop(self.answer(VIEW_SETS, TimeRange::ALL).await?),
            Command::Describe(Some(name)) => {
                let is_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"'));
                if !is_name {
                    bail!("'{name}' is not the name of a view set; \\d lists them");
                }
                self.answer(&format!("DESCRIBE {name}"), TimeRange::ALL).await?;
            }
            Command::Begin(time) => {
                self.range.begin = time.as_deref().map(TimeRange::parse_bound).transpose()?;
                self.say_range();
            }
            Command::End(time) => {
                self.range.end = time.as_deref().map(TimeRange::parse_bound).transpose()?;
                self.say_range();
            }
            Command::Format(format) => self.format = format,
            Command::Output(path) => self.output = path.map(Output::create).transpose()?,
            Command::Timing => {
                self.is_timed = !self.is_timed;
                note!("timing is {}", if self.is_timed { "on" } else { "off" });
            }
            Command::Help => note!("{}", help()),
            Command::Quit => return Ok(Then::Leave),
        }
        Ok(Then::GoOn)
    }

    fn say_range(&self) {
        let bound = |word: &str, time: Option<i64>| time.map(|time| format!(" {word} {}", to_rfc3339(time)));
        let (from, to) = (bound("from", self.range.begin), bound("to", self.range.end));
        if from.is_none() && to.is_none() {
            note!("events of all times")
        } else {
            note!("events{}{}", from.unwrap_or_default(), to.unwrap_or_default())
        }
    }

    /// Runs one statement. Returns the number of its rows.
    async fn answer(&mut self, sql: &str, range: TimeRange) -> Result<u64> {
        let (source, format, is_strict) = (self.source, self.format, self.is_strict);
        if self.output.is_none() && format.is_binary() && std::io::stdout().is_terminal() {
            bail!("{format:?} can't be written to a terminal: use \\o FILE");
        }
        let output = &mut self.output;
        let answered = async {
            match output {
                None => answer(source, sql, range, format, std::io::stdout(), is_strict).await,
                Some(output) => {
                    let file = output.for_answer(format)?;
                    answer(source, sql, range, format, file, is_strict).await
                }
            }
        };
        tokio::select! {
            rows = answered => rows,
            _ = tokio::signal::ctrl_c() => bail!("cancelled"),
        }
    }
}

/// A file to which answers are appended.
struct Output {
    path: String,
    file: File,
    /// Format of the last answer in it.
    last: Option<Format>,
}

impl Output {
    fn create(path: String) -> Result<Self> {
        let file = File::create(&path).with_context(|| format!("{path} can't be created"))?;
        Ok(Self { path, file, last: None })
    }

    /// The writer for one more answer.
    fn for_answer(&mut self, format: Format) -> Result<&mut File> {
        if self.last.is_some_and(|last| last.is_binary() || format.is_binary()) {
            bail!(
                "{} already has a result, and a {:?} file can hold only one: use \\o FILE with another file",
                self.path,
                self.last.filter(|last| last.is_binary()).unwrap_or(format)
            );
        }
        self.last = Some(format);
        Ok(&mut self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn source() -> Source {
        Source::Lake(belvedere_core::Lake::in_memory().await.unwrap())
    }

    #[tokio::test]
    async fn answers_go_to_a_file_in_the_format_that_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b.csv");
        let source = source().await;
        let mut session = Session::new(&source, TimeRange::ALL, false, false);
        let output = format!("o {}", path.display());
        for piece in [
            Piece::Command("format csv"),
            Piece::Command(&output),
            Piece::Statement("SELECT 1 AS one"),
            Piece::Statement("SELECT 2 AS two"),
        ] {
            assert_eq!(session.run(&piece).await.unwrap(), Then::GoOn);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n1\ntwo\n2\n");
        session.run(&Piece::Command("format parquet")).await.unwrap();
        let error = session.run(&Piece::Statement("SELECT 3")).await.unwrap_err();
        assert!(error.to_string().contains("already has a result"), "{error}");
    }

    #[tokio::test]
    async fn a_range_is_set_and_taken_back() {
        let source = source().await;
        let mut session = Session::new(&source, TimeRange::ALL, false, false);
        session.run(&Piece::Command("begin 2026-01-01")).await.unwrap();
        session.run(&Piece::Command("end 2026-01-02T00:00:00Z")).await.unwrap();
        let day = 86_400_000_000_000;
        assert_eq!(session.range.end.unwrap() - session.range.begin.unwrap(), day);
        assert!(session.run(&Piece::Command("begin yesterday")).await.is_err());
        session.run(&Piece::Command("begin")).await.unwrap();
        session.run(&Piece::Command("end")).await.unwrap();
        assert_eq!(session.range, TimeRange::ALL);
    }

    #[tokio::test]
    async fn leaving_has_many_names() {
        let source = source().await;
        let mut session = Session::new(&source, TimeRange::ALL, false, false);
        for piece in [Piece::Command("q"), Piece::Statement("exit"), Piece::Statement("QUIT")] {
            assert_eq!(session.run(&piece).await.unwrap(), Then::Leave);
        }
    }
}
