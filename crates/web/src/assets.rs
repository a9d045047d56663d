//! The files: embedded by the build, or those of a directory, for development.

use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// Where files of a directory have the hash of a build.
pub(crate) const FROM_DIRECTORY: &str = "dev";

/// An embedded file.
#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    media_type: &'static str,
    gzip: &'static [u8],
}

#[cfg(test)]
impl Asset {
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// Bytes that are sent.
    pub(crate) fn size(&self) -> usize {
        self.gzip.len()
    }
}

/// A file as it is sent.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) media_type: &'static str,
    pub(crate) content: Cow<'static, [u8]>,
    pub(crate) is_gzip: bool,
}

/// All files of the application.
#[derive(Debug)]
pub(crate) enum Assets {
    Embedded,
    Directory(PathBuf),
}

impl Assets {
    /// What stands for the build in the addresses of files.
    pub(crate) fn build(&self) -> &'static str {
        match self {
            Self::Embedded => BUILD,
            Self::Directory(_) => FROM_DIRECTORY,
        }
    }

    /// Whether a file never changes under its address.
    pub(crate) fn are_immutable(&self) -> bool {
        matches!(self, Self::Embedded)
    }

    /// A file, compressed if it is kept so and the client takes that.
    pub(crate) fn file(&self, path: &str, takes_gzip: bool) -> Option<File> {
        match self {
            Self::Embedded => {
                let asset = ASSETS.iter().find(|asset| asset.path == path)?;
                let content =
                    if takes_gzip { Cow::Borrowed(asset.gzip) } else { inflate(asset.gzip)?.into() };
                Some(File { media_type: asset.media_type, content, is_gzip: takes_gzip })
            }
            Self::Directory(directory) => {
                let is_inside = |part| matches!(part, Component::Normal(_));
                let media_type = media_type(path)?;
                if !Path::new(path).components().all(is_inside) {
                    return None;
                }
                let content = std::fs::read(directory.join(path)).ok()?;
                Some(File { media_type, content: content.into(), is_gzip: false })
            }
        }
    }

    /// A file of text.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.file(path, false)?.content.into_owned()).ok()
    }

    /// The modules that every page begins with, in order. A directory has those of one page, which come when it is opened.
    pub(crate) fn modules(&self) -> Vec<String> {
        let begins = |path: &str| {
            path.strip_prefix("app/").is_some_and(|name| name.ends_with(".js") && !name.contains('/'))
        };
        match self {
            Self::Embedded => {
                ASSETS.iter().map(|asset| asset.path).filter(|p| begins(p)).map(str::to_owned).collect()
            }
            // a browser finds them by itself, one after the other
            Self::Directory(_) => Vec::new(),
        }
    }
}

/// The media type of a file, as the embedded files have it.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

fn inflate(gzip: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut content).ok()?;
    Some(content)
}
