//! Input from a terminal: history, statements of several lines, completion by Tab.

use super::catalog::Catalog;
use super::complete::complete;
use super::statements::split;
use anyhow::{Context, Result};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Editor, Helper};
use std::path::PathBuf;

const PROMPT: &str = "belvedere> ";
/// Statements in the history.
const HISTORY: usize = 2000;

/// Input from the terminal.
pub(super) enum Typed {
    /// Statements and commands.
    Text(String),
    /// Nothing: Ctrl-C.
    Nothing,
    /// Ctrl-D.
    End,
}

/// A terminal.
pub(super) struct Terminal {
    /// `None` while a line is read.
    editor: Option<Editor<SqlHelper, DefaultHistory>>,
    history: Option<PathBuf>,
}

impl Terminal {
    /// Opens the terminal and loads the history.
    pub(super) fn new(catalog: Catalog) -> Result<Self> {
        let failed = "the terminal can't be used";
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY)
            .context(failed)?
            .history_ignore_space(true)
            .build();
        let mut editor = Editor::with_config(config).context(failed)?;
        editor.set_helper(Some(SqlHelper { catalog }));
        let history = history_file();
        if let Some(path) = &history {
            // the first time there is no history
            let _ = editor.load_history(path);
        }
        Ok(Self { editor: Some(editor), history })
    }

    /// Waits for input.
    pub(super) async fn read(&mut self) -> Result<Typed> {
        let mut editor = self.editor.take().context("the terminal was closed")?;
        // blocking input must not occupy a thread of the runtime
        let (editor, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(PROMPT);
            (editor, line)
        })
        .await?;
        self.editor = Some(editor);
        match line {
            Ok(text) => {
                self.remember(text.trim_end());
                Ok(Typed::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(e) => Err(e).context("the terminal can't be read"),
        }
    }

    /// Saves the history. Errors are ignored: a prompt works without history.
    fn remember(&mut self, text: &str) {
        let Some(editor) = self.editor.as_mut().filter(|_| !text.is_empty()) else { return };
        let _ = editor.add_history_entry(text);
        if let Some(path) = &self.history {
            if let Some(directory) = path.parent() {
                let _ = std::fs::create_dir_all(directory);
            }
            let _ = editor.append_history(path);
        }
    }
}

/// The platform's directory for the state of programs.
fn history_file() -> Option<PathBuf> {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = given.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(state.join("belvedere/history"))
}

struct SqlHelper {
    catalog: Catalog,
}

impl Completer for SqlHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = complete(&self.catalog, line, position);
        let pairs = words.into_iter().map(|word| Pair { display: word.clone(), replacement: word });
        Ok((start, pairs.collect()))
    }
}

impl Validator for SqlHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let is_word = ["quit", "exit", "help"].iter().any(|w| text.trim().eq_ignore_ascii_case(w));
        Ok(if is_word || split(text).is_complete() {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Hinter for SqlHelper {
    type Hint = String;
}

impl Highlighter for SqlHelper {}

impl Helper for SqlHelper {}
