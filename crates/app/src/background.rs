//! Threads for work that requests of other kinds are not to wait behind.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of their own. What runs there when they are dropped breaks off.
#[derive(Debug)]
pub(crate) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

/// Bytes of a thread's stack: what evaluates an expression goes as deep as the expression does.
pub(crate) const STACK: usize = 16 << 20;

impl Threads {
    /// So many, also others for blocking work; all give way to the rest of the program, the larger `nice` is the more.
    pub(crate) fn start(name: &str, threads: usize, nice: i32) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .thread_stack_size(STACK)
            .on_thread_start(move || give_way(nice))
            .enable_all()
            .build()
            .with_context(|| format!("threads for {name} could not be started"))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where to spawn.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // waiting for them is not allowed in a task
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// On Linux a thread has a priority of its own.
#[cfg(target_os = "linux")]
fn give_way(nice: i32) {
    // a courtesy: without it the work is the same
    let _ = rustix::process::setpriority_process(None, nice);
}

#[cfg(not(target_os = "linux"))]
fn give_way(_: i32) {}
