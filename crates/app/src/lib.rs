//! Belvedere: a telemetry lakehouse. This crate is the binary, and the library that a custom binary calls:
//!
//! ```no_run
//! // use my_views as _; // links a view crate of your own
//! fn main() -> std::process::ExitCode {
//!     belvedere::main()
//! }
//! ```
//!
//! Invariant: flags, environment variables and ports are known here and nowhere else.

mod args;
mod commands;
mod format;
mod linked;

pub use belvedere_core as core;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let default_level = match arguments.command {
        Command::Serve(_) => "info",
        // commands report faults themselves
        _ => "off",
    };
    start_log(default_level);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Command::Serve(_) = arguments.command {
        // the network needs few threads, and each one more is one more to be woken for a request
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
    let text = format!("{error:#}");
    eprintln!("belvedere: {}", text.lines().collect::<Vec<_>>().join(" "));
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

/// Whoever reads our output may have closed it: that is no failure worth words. Some writers wrap the
/// operating system's error in a text.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| e.to_string().contains("Broken pipe"))
}
