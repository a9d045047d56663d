//! Files that are replaced only when they are complete.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A new file under a temporary name beside its final one. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    is_finished: bool,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished)
            .with_context(|| format!("{} can't be created", unfinished.display()))?;
        Ok(Self { path: path.to_owned(), unfinished, file: BufWriter::new(file), is_finished: false })
    }

    /// Where to write to.
    pub(crate) fn writer(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Renames the file to its final name.
    pub(crate) fn finish(mut self) -> Result<()> {
        let failed = || format!("{} can't be written", self.path.display());
        self.file.flush().with_context(failed)?;
        std::fs::rename(&self.unfinished, &self.path).with_context(failed)?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // best effort: the error that led here is the one to report
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}
