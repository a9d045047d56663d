//! Runtimes of their own for queries and background work, so that ingestion does not wait behind them.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime with threads of its own. Dropping it aborts what runs there.
#[derive(Debug)]
pub(crate) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

/// Priority of queries: they give way to ingestion.
pub(crate) const QUERY_NICE: i32 = 10;

/// Stack size of threads: the engine recurses as deep as an expression is nested.
pub(crate) const STACK_BYTES: usize = 16 << 20;

impl Threads {
    /// Starts that many worker threads. They, and the runtime's threads for blocking work, run with the priority `nice`.
    pub(crate) fn start(name: &str, threads: usize, nice: i32) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || lower_priority(nice))
            .enable_all()
            .build()
            .with_context(|| format!("threads for {name} could not be started"))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// The handle to spawn on.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // waiting for the threads is not allowed within a task
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Sets the priority of this thread. On Linux each thread has its own.
#[cfg(target_os = "linux")]
pub(crate) fn lower_priority(nice: i32) {
    // best effort: without it everything works the same
    let _ = rustix::process::setpriority_process(None, nice);
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn lower_priority(_: i32) {}
