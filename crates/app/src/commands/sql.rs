//! `belvedere sql`: a prompt with history. A statement ends with a semicolon.

use super::lake::{open_existing, range};
use super::query::answer;
use crate::args::SqlArgs;
use crate::format::Format;
use anyhow::{Context, Result};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

pub(crate) async fn sql(args: SqlArgs) -> Result<()> {
    let range = range(&args.range)?;
    let lake = open_existing(&args.lake).await?;
    let is_interactive = std::io::stdin().is_terminal();
    if is_interactive {
        eprintln!(
            "End a statement with ';'. 'SELECT * FROM list_view_sets();' shows what there is. Ctrl-D leaves."
        );
    }
    let history = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".belvedere_history"));
    let mut editor = DefaultEditor::new().context("the terminal can't be used")?;
    if let Some(path) = &history {
        // the first time there is none
        let _ = editor.load_history(path);
    }
    let mut statement = String::new();
    loop {
        let prompt = if statement.is_empty() { "belvedere> " } else { "      ...> " };
        // reading a line waits for a person: not on a thread of the runtime
        let (returned, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(prompt);
            (editor, line)
        })
        .await?;
        editor = returned;
        match line {
            Ok(line) => {
                statement.push_str(&line);
                statement.push('\n');
            }
            Err(ReadlineError::Interrupted) => {
                statement.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(e).context("the terminal can't be read"),
        }
        let text = statement.trim();
        if ["quit", "exit", "\\q"].contains(&text) {
            break;
        }
        if !text.ends_with(';') {
            continue;
        }
        let _ = editor.add_history_entry(text.replace('\n', " "));
        let began = Instant::now();
        match answer(&lake, text, range, Format::Table, std::io::stdout()).await {
            Ok(()) if is_interactive => eprintln!("{:.3} s", began.elapsed().as_secs_f64()),
            Ok(()) => {}
            Err(e) => eprintln!("{e:#}"),
        }
        statement.clear();
    }
    if let Some(path) = &history {
        // a prompt without history is still a prompt
        let _ = editor.save_history(path);
    }
    lake.close().await;
    Ok(())
}
