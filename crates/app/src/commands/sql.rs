//! `belvedere sql`: a prompt with history; statements end with a semicolon. Without a terminal it runs what it is
//! given and fails if one statement did.

use super::lake::{open_existing, range};
use super::query::answer;
use crate::args::SqlArgs;
use crate::format::Format;
use crate::is_broken_pipe;
use anyhow::{Context, Result, bail};
use belvedere_core::Lake;
use belvedere_core::datafusion::sql::parser::DFParser;
use belvedere_core::time::TimeRange;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

const WELCOME: &str = "Statements end with ';'. SELECT * FROM list_view_sets(); shows what there is. \
                       Ctrl-C stops a query, exit or Ctrl-D leaves.";

pub(crate) async fn sql(args: SqlArgs) -> Result<()> {
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let outcome =
        if std::io::stdin().is_terminal() { prompt(&lake, range).await } else { script(&lake, range).await };
    lake.close().await;
    outcome
}

async fn prompt(lake: &Lake, range: TimeRange) -> Result<()> {
    eprintln!("{WELCOME}");
    let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".belvedere_history"));
    let mut editor = DefaultEditor::new().context("the terminal can't be used")?;
    if let Some(path) = &history {
        // the first time there is none
        let _ = editor.load_history(path);
    }
    let mut text = String::new();
    loop {
        let prompt = if text.is_empty() { "belvedere> " } else { "      ...> " };
        // reading a line waits for a person: not on a thread of the runtime
        let (returned, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(prompt);
            (editor, line)
        })
        .await?;
        editor = returned;
        match line {
            Ok(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(e).context("the terminal can't be read"),
        }
        match text.trim().trim_end_matches(';') {
            "quit" | "exit" | "\\q" => break,
            "help" => {
                eprintln!("{WELCOME}");
                text.clear();
                continue;
            }
            "" => text.clear(),
            _ if text.trim_end().ends_with(';') => {
                let _ = editor.add_history_entry(text.trim().replace('\n', " "));
                for statement in split(&text) {
                    let began = Instant::now();
                    match run(lake, statement, range).await {
                        Ok(()) => eprintln!("{:.3} s", began.elapsed().as_secs_f64()),
                        Err(e) => eprintln!("{e:#}"),
                    }
                }
                text.clear();
            }
            _ => {}
        }
    }
    if let Some(path) = &history {
        // a prompt without history is still a prompt
        let _ = editor.save_history(path);
    }
    Ok(())
}

async fn script(lake: &Lake, range: TimeRange) -> Result<()> {
    let text = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    let mut failed = 0;
    for statement in split(&text) {
        match run(lake, statement, range).await {
            Err(e) if is_broken_pipe(&e) => return Ok(()),
            Err(e) => {
                eprintln!("{e:#}");
                failed += 1;
            }
            Ok(()) => {}
        }
    }
    match failed {
        0 => Ok(()),
        1 => bail!("a statement failed"),
        _ => bail!("{failed} statements failed"),
    }
}

/// The statements in a text. What can't be parsed is one statement: the engine says what is wrong with it.
fn split(text: &str) -> Vec<String> {
    match DFParser::parse_sql(text) {
        Ok(statements) => statements.iter().map(ToString::to_string).collect(),
        Err(_) => vec![text.to_owned()],
    }
}

/// Answers one statement, unless Ctrl-C is quicker.
async fn run(lake: &Lake, statement: String, range: TimeRange) -> Result<()> {
    tokio::select! {
        outcome = answer(lake, &statement, range, Format::Table, std::io::stdout()) => outcome,
        _ = tokio::signal::ctrl_c() => bail!("stopped"),
    }
}
