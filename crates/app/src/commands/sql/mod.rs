//! `belvedere sql`: a prompt with history and completion; statements end with a semicolon. Without a terminal it runs its
//! standard input as a script, until the first error.

mod catalog;
mod commands;
mod complete;
mod editor;
mod scan;
mod session;
mod statements;

use super::lake::range;
use super::source::Source;
use crate::args::SqlArgs;
use anyhow::Result;
use catalog::Catalog;
use editor::{Terminal, Typed};
use session::{Session, Then};
use statements::{Piece, split};
use std::io::IsTerminal;

const WELCOME: &str = "Statements end with ';'. \\d lists the view sets, \\h shows help, \\q quits.";

pub(crate) async fn sql(args: SqlArgs) -> Result<()> {
    let range = range(&args.range)?;
    let source = Source::open(&args.source).await?;
    let outcome = if std::io::stdin().is_terminal() {
        prompt(&source, Session::new(&source, range, true, args.strict)).await
    } else {
        script(Session::new(&source, range, false, args.strict)).await
    };
    source.close().await;
    outcome
}

async fn prompt(source: &Source, mut session: Session<'_>) -> Result<()> {
    let catalog = Catalog::read(source).await.unwrap_or_else(|e| {
        note!(
            "Tab completion of names is not available, because the names can't be listed: {}",
            belvedere_lake::with_causes(&*e)
        );
        Catalog::default()
    });
    let mut terminal = Terminal::new(catalog)?;
    note!("{WELCOME}");
    loop {
        let text = match terminal.read().await? {
            Typed::Text(text) => text,
            Typed::Nothing => continue,
            Typed::End => return Ok(()),
        };
        for piece in pieces(&text) {
            match session.run(&piece).await {
                Ok(Then::GoOn) => {}
                Ok(Then::Leave) => return Ok(()),
                Err(e) => note!("{}", belvedere_lake::with_causes(&*e)),
            }
        }
    }
}

async fn script(mut session: Session<'_>) -> Result<()> {
    let text = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    for piece in pieces(&text) {
        if session.run(&piece).await? == Then::Leave {
            break;
        }
    }
    Ok(())
}

/// The statements and commands of a text. The last statement needs no semicolon.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let found = split(text);
    let rest = found.rest.map(Piece::Statement);
    found.pieces.into_iter().chain(rest).collect()
}
