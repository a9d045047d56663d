//! Opening a catalog that can't be written: on a file system that is mounted read-only, in somebody else's directory, or a
//! copy. SQLite's log wants files beside the catalog even of those who only read, so there are three ways:
//!
//! 1. as any reader does, if those files are there: a writer beside us is seen;
//! 2. as a file that never changes, if there is no log: nobody has it open;
//! 3. from a copy in the directory for temporary files: if there is a log that can't be read in place, or if the catalog is
//!    of an earlier version and has to be brought up to date first.

use super::open::{LOCK_TIMEOUT, READERS, migrate_sqlite};
use super::statement::{ReadingPool, WritingPool};
use super::{Catalog, LakeError};
use crate::Cause;
use crate::files::FileIdentity;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Whether the file of a catalog is there and can't be written.
pub(super) fn is_read_only(path: &Path) -> bool {
    match OpenOptions::new().append(true).open(path) {
        Ok(_) => false,
        Err(e) => matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem),
    }
}

/// Whether SQLite failed since it could not write, or make its files beside the catalog.
pub(super) fn is_refused(error: &LakeError) -> bool {
    let text = error.to_string();
    text.contains("readonly database") || text.contains("unable to open database file")
}

/// A copy of a catalog, deleted with the last who reads it.
#[derive(Debug)]
pub(super) struct TemporaryCopy(PathBuf);

impl TemporaryCopy {
    fn new(catalog: &Path) -> io::Result<Self> {
        let copy = Self(std::env::temp_dir().join(format!("belvedere-catalog-{}", Uuid::new_v4().simple())));
        let mut directory = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        directory.create(&copy.0)?;
        for suffix in ["", "-wal"] {
            // bytes and not rights: the copy must be ours to write
            match std::fs::read(beside(catalog, suffix)) {
                Ok(bytes) => std::fs::write(beside(&copy.catalog(), suffix), bytes)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(copy)
    }

    fn catalog(&self) -> PathBuf {
        self.0.join("catalog.sqlite")
    }
}

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(LOCK_TIMEOUT)
        .disable_statement_logging()
}

/// Whether a catalog can be read this way, and needs no migration.
async fn is_current(options: &SqliteConnectOptions) -> bool {
    let Ok(mut connection) = SqliteConnection::connect_with(options).await else { return false };
    let latest = sqlx::migrate!("./migrations/sqlite").iter().map(|m| m.version).max();
    let found =
        sqlx::query_scalar::<_, Option<i64>>("SELECT MAX(version) FROM _sqlx_migrations WHERE success = 1")
            .fetch_one(&mut connection)
            .await;
    let _ = connection.close().await;
    found.is_ok_and(|found| found == latest)
}

/// Opens a catalog to read it.
pub(super) async fn open_reading(path: &Path) -> Result<Catalog, LakeError> {
    let file = FileIdentity::of(path)
        .map_err(|e| LakeError::Address(Cause::new(format!("reading {}: {e}", path.display()), e)))?;
    let has_log = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    let (mut chosen, mut copy) = (options(path), None);
    let mut is_usable = is_current(&chosen).await;
    if !is_usable && !has_log {
        chosen = chosen.immutable(true);
        is_usable = is_current(&chosen).await;
    }
    if !is_usable {
        let made = TemporaryCopy::new(path).map_err(|e| {
            let text = format!("{} can't be written, and copying it failed: {e}", path.display());
            LakeError::Address(Cause::new(text, e))
        })?;
        let writing = SqliteConnectOptions::new()
            .filename(made.catalog())
            .journal_mode(SqliteJournalMode::Wal)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&writing).await?;
        migrate_sqlite(&mut connection).await?;
        connection.close().await?;
        chosen = options(&made.catalog()).immutable(true);
        copy = Some(made);
    }
    let pool = |connections| {
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_slow_threshold(LOCK_TIMEOUT);
        ReadingPool::File(pool.connect_lazy_with(chosen.clone())).into()
    };
    let catalog = Catalog::new(pool(READERS), pool(1), WritingPool::Nobody.into());
    Ok(Catalog { file: Some(file), _copy: copy, ..catalog })
}
