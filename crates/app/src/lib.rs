//! Belvedere: a telemetry lakehouse. This crate is the binary, and the library that a custom binary calls:
//!
//! ```no_run
//! // use my_views as _; // links a view crate of your own
//! fn main() -> std::process::ExitCode {
//!     belvedere::main()
//! }
//! ```
//!
//! A [`Lake`] embeds in a program, or in a test of one: feed it, and assert on it with SQL.
//!
//! ```
//! # #[cfg(feature = "log")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! use belvedere::Lake;
//! use belvedere_testkit::FakeProcess;
//! use belvedere_model::transit::{EventField, EventWriter};
//!
//! // what a client library would send: here two messages
//! let mut log = EventWriter::new();
//! let message = log.event_type(
//!     "LogStringInteropEventV3",
//!     &[
//!         EventField::i64("time"),
//!         EventField::u8("level"),
//!         EventField::embedded_reference("target", "StaticStringRef"),
//!         EventField::text("msg"),
//!     ],
//! );
//! let target = log.text("shop");
//! log.event(message, (1_000, 4, target, "open"));
//! log.event(message, (2_000, 2, target, "the till is stuck"));
//! let mut program = FakeProcess::new("shop");
//! program.stream("log", [(1_000, 2_000, log)]);
//!
//! let lake = Lake::in_memory().await?;
//! program.send_to(lake.connection()).await?;
//! let errors = lake.sql("SELECT msg FROM log_entries WHERE level <= 2 AND exe = 'shop'").await?;
//! assert_eq!(errors[0].num_rows(), 1);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "log"))]
//! # fn main() {}
//! ```
//!
//! Invariant: only this crate knows flags, environment variables and ports.

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod note;

mod access;
mod allocator;
mod args;
mod background;
mod budget;
mod commands;
mod format;
mod linked;
mod listener;
mod schema_docs;

pub use belvedere_core::Lake;
pub use linked::Linked;
pub use {belvedere_core as core, belvedere_lake as lake, belvedere_model as model, belvedere_view as view};

/// The guide for authors of view crates: what it shows compiles.
#[cfg(all(doctest, feature = "spans", feature = "log"))]
#[doc = include_str!("../../../docs/view-crates.md")]
mod guide {}

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// Runs the command line of this process, with the view crates that are linked into it.
pub fn main() -> ExitCode {
    main_with(&[])
}

/// The same with view crates that the program names: their names and their `registrations`. A crate that is linked by
/// `use my_views as _;` need not be named. For a crate that is named, having registered nothing is an error, and a linker
/// that drops constructors does no harm.
///
/// ```ignore
/// belvedere::main_with(&[("my-views", my_views::registrations)])
/// ```
pub fn main_with(crates: &[Linked]) -> ExitCode {
    linked::add(crates);
    let arguments = Arguments::parse();
    let default_level = match arguments.command {
        Command::Serve(_) => "info",
        Command::QueryWorker => "warn",
        // commands report errors themselves
        _ => "off",
    };
    start_log(default_level);
    if let Command::QueryWorker = arguments.command {
        // threads that are started from here on have it too
        background::lower_priority(background::QUERY_NICE);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.thread_stack_size(background::STACK_BYTES);
    if let Command::Serve(_) = arguments.command {
        // the network needs few threads, and with more of them a request wakes more
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads(cores.div_ceil(4));
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&anyhow::Error::from(e).context("threads could not be started")),
    };
    let outcome = runtime.block_on(commands::run(arguments.command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let text = belvedere_lake::with_causes(&**error);
    note!("belvedere: {}", text.lines().collect::<Vec<_>>().join(" "));
    ExitCode::FAILURE
}

fn start_log(default_level: &str) {
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse_lossy(std::env::var("BELVEDERE_LOG").unwrap_or_else(|_| default_level.to_owned()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

/// Whether the reader of our output closed it, as `head` does. That is not an error worth reporting.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| {
        let kind = e.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        kind == Some(std::io::ErrorKind::BrokenPipe)
    })
}
