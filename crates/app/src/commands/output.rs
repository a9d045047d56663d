//! Files that appear when they are whole: one that is there already stays as it is until then.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file under construction, beside the place where it will be. Dropping it leaves nothing behind.
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

    /// Puts the file in its place.
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
            // what is left of it is of no use, and the error that led here is the one to tell
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}
