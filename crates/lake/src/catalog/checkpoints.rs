//! SQLite's log goes into the catalog's file beside the commits, not within one of them.
//!
//! A commit writes to the log only. When the log is long, SQLite copies it into the file, page by page, and syncs that: by
//! default within whichever commit comes next, which then takes 15 ms and more, and so does each request that waits for
//! it. Here a connection of its own does it, while commits go on. A log that grows all the same, since commits never
//! pause, is copied within a commit as before: by then there is little left to copy.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// Values that are written before the log is copied again: about 300 blocks, which touch some 2000 pages.
const EVERY_VALUES: usize = 8192;

/// Copies the log each time that enough was written.
#[derive(Debug)]
pub(super) struct Checkpoints {
    written: AtomicUsize,
    wake: mpsc::Sender<()>,
    task: Mutex<Option<(JoinHandle<()>, mpsc::Sender<()>)>>,
}

impl Checkpoints {
    /// Starts a task for the database that these options open, which must exist.
    pub(super) fn start(options: SqliteConnectOptions) -> Self {
        let (wake, mut awoken) = mpsc::channel::<()>(1);
        let (stop, mut stopped) = mpsc::channel::<()>(1);
        let task = tokio::spawn(async move {
            let mut connection = None;
            loop {
                tokio::select! {
                    biased;
                    Some(()) = awoken.recv() => {}
                    _ = stopped.recv() => break,
                }
                if connection.is_none() {
                    connection = options.connect().await.ok();
                }
                if let Some(open) = &mut connection
                    && let Err(e) = pass(open).await
                {
                    // the next commits find the log long, and try it themselves
                    tracing::debug!("the catalog's log could not be copied: {e}");
                    connection = None;
                }
            }
            if let Some(connection) = connection {
                let _ = connection.close().await;
            }
        });
        Self { written: AtomicUsize::new(0), wake, task: Mutex::new(Some((task, stop))) }
    }

    /// So many values were written.
    pub(super) fn wrote(&self, values: usize) {
        let written = self.written.fetch_add(values, Ordering::Relaxed) + values;
        if written >= EVERY_VALUES {
            self.written.store(0, Ordering::Relaxed);
            // if it has not begun with the last one yet, it will see these values too
            let _ = self.wake.try_send(());
        }
    }

    /// Ends the task, after what it is doing.
    pub(super) async fn stop(&self) {
        let task = self.task.lock().await.take();
        if let Some((task, stop)) = task {
            drop(stop);
            let _ = task.await;
        }
    }
}

/// Copies as much of the log as can be copied without keeping anybody waiting.
async fn pass(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::SqliteJournalMode;

    #[tokio::test]
    async fn what_was_written_gets_into_the_file_while_the_writer_has_it_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("wal_autocheckpoint", "0");
        let mut writer = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE t (a)").execute(&mut writer).await.unwrap();
        sqlx::query("INSERT INTO t VALUES (zeroblob(1000000))").execute(&mut writer).await.unwrap();
        let size = || std::fs::metadata(&path).unwrap().len();
        assert!(size() < 100_000);
        let checkpoints = Checkpoints::start(options);
        checkpoints.wrote(EVERY_VALUES - 1);
        checkpoints.wrote(1);
        checkpoints.stop().await;
        assert!(size() > 1_000_000, "{} bytes", size());
        checkpoints.wrote(EVERY_VALUES);
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut writer).await.unwrap();
    }
}
