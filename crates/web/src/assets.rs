//! The files: embedded by the build, or those of a directory, for development.

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use sha2::{Digest, Sha256};
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

/// Where the application's own files are.
#[derive(Debug)]
enum Place {
    Embedded,
    Directory(PathBuf),
}

/// A module of a page that a crate registered.
#[derive(Debug)]
struct Module {
    path: String,
    gzip: Vec<u8>,
}

/// All files of the application, and modules of pages.
#[derive(Debug)]
pub(crate) struct Assets {
    place: Place,
    modules: Vec<Module>,
    build: String,
}

impl Assets {
    /// The embedded files, or those of a directory, and modules of others: path and content of each.
    pub(crate) fn new(directory: Option<PathBuf>, modules: &[(String, &'static str)]) -> Self {
        let mut all = Sha256::new_with_prefix(BUILD);
        for (path, source) in modules {
            all.update(path.as_bytes());
            all.update([0]);
            all.update((source.len() as u64).to_le_bytes());
            all.update(source);
        }
        let hash = all.finalize().iter().take(BUILD.len() / 2).map(|byte| format!("{byte:02x}")).collect();
        let modules = modules.iter().map(|(path, source)| {
            let mut gzip = Vec::new();
            // reading from memory and writing to it do not fail
            let _ = GzEncoder::new(source.as_bytes(), Compression::default()).read_to_end(&mut gzip);
            Module { path: path.clone(), gzip }
        });
        Self {
            modules: modules.collect(),
            build: if directory.is_some() { FROM_DIRECTORY.to_owned() } else { hash },
            place: directory.map_or(Place::Embedded, Place::Directory),
        }
    }

    /// What stands for the build in the addresses of files.
    pub(crate) fn build(&self) -> &str {
        &self.build
    }

    /// Whether a file never changes under its address.
    pub(crate) fn are_immutable(&self) -> bool {
        matches!(self.place, Place::Embedded)
    }

    /// A file, compressed if it is kept so and the client takes that.
    pub(crate) fn file(&self, path: &str, takes_gzip: bool) -> Option<File> {
        let compressed = |gzip: Cow<'static, [u8]>, media_type| {
            let content = if takes_gzip { gzip } else { inflate(&gzip)?.into() };
            Some(File { media_type, content, is_gzip: takes_gzip })
        };
        if let Some(module) = self.modules.iter().find(|module| module.path == path) {
            return compressed(module.gzip.clone().into(), media_type(path)?);
        }
        match &self.place {
            Place::Embedded => {
                let asset = ASSETS.iter().find(|asset| asset.path == path)?;
                compressed(Cow::Borrowed(asset.gzip), asset.media_type)
            }
            Place::Directory(directory) => {
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
        match self.place {
            Place::Embedded => {
                ASSETS.iter().map(|asset| asset.path).filter(|p| begins(p)).map(str::to_owned).collect()
            }
            // a browser finds them by itself, one after the other
            Place::Directory(_) => Vec::new(),
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
