//! Where in the code a span comes from.
//!
//! Two kinds of spans: those whose name belongs to the place in the code (`SpanRecord`), and those that are given a name
//! each time (a location and a name).

use belvedere_view::prelude::*;
use foldhash::{HashMap, HashMapExt};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash32;

/// A longer text is not a name: it would stand in every row that leaves.
const LONGEST: usize = 64 << 10;
/// Not resolved yet.
const UNKNOWN: u32 = u32::MAX;

/// A place in the code, and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) name: &'a str,
    pub(crate) target: &'a str,
    pub(crate) filename: &'a str,
    pub(crate) line: u32,
    pub(crate) hash: u32,
}

/// The same with texts of its own: what a state keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSite {
    name: String,
    target: String,
    filename: String,
    line: u32,
    hash: u32,
}

impl StoredSite {
    pub(crate) fn as_site(&self) -> Site<'_> {
        let Self { name, target, filename, line, hash } = self;
        Site { name, target, filename, line: *line, hash: *hash }
    }

    /// Bytes of text.
    pub(crate) fn text_bytes(&self) -> usize {
        self.name.len() + self.target.len() + self.filename.len()
    }
}

impl From<Site<'_>> for StoredSite {
    fn from(site: Site<'_>) -> Self {
        Self {
            name: site.name.to_owned(),
            target: site.target.to_owned(),
            filename: site.filename.to_owned(),
            line: site.line,
            hash: site.hash,
        }
    }
}

/// What tells places in the code apart: four XXH32, each with the one before as its seed.
pub(crate) fn hash(name: &str, filename: &str, target: &str, line: u32) -> u32 {
    let parts: [&[u8]; 4] = [name.as_bytes(), filename.as_bytes(), target.as_bytes(), &line.to_le_bytes()];
    parts.into_iter().fold(0, XxHash32::oneshot)
}

/// The places that events of one block refer to, numbered.
#[derive(Debug)]
pub(crate) struct Sites<'a> {
    dependencies: &'a Dependencies,
    by_record: Vec<u32>,
    by_name: HashMap<(Dependency, Dependency), u32>,
    sites: Vec<Site<'a>>,
}

impl<'a> Sites<'a> {
    /// The places of a block; the first numbers are those of `stored`.
    pub(crate) fn new(dependencies: &'a Dependencies, stored: &'a [StoredSite]) -> Self {
        Self {
            dependencies,
            by_record: vec![UNKNOWN; dependencies.len()],
            by_name: HashMap::new(),
            sites: stored.iter().map(StoredSite::as_site).collect(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &Site<'a> {
        &self.sites[number as usize]
    }

    pub(crate) fn all(&self) -> &[Site<'a>] {
        &self.sites
    }

    /// The number of a place that has a name of its own.
    #[inline]
    pub(crate) fn of_record(&mut self, id: u64) -> Result<u32, DecodeError> {
        let record = self.dependencies.find(id)?;
        match self.by_record[record.index()] {
            UNKNOWN => self.resolve(record, None),
            number => Ok(number),
        }
    }

    /// The number of a place with the name that it was given.
    #[inline]
    pub(crate) fn of_name(&mut self, location: u64, name: u64) -> Result<u32, DecodeError> {
        let (location, name) = (self.dependencies.find(location)?, self.dependencies.find(name)?);
        match self.by_name.get(&(location, name)) {
            Some(number) => Ok(*number),
            None => self.resolve(location, Some(name)),
        }
    }

    #[cold]
    fn resolve(&mut self, record: Dependency, name: Option<Dependency>) -> Result<u32, DecodeError> {
        let dependencies = self.dependencies;
        let found = dependencies.record(record).ok_or_else(|| {
            DecodeError::corrupt("a span refers to something else than a place in the code")
        })?;
        let text = |text: Dependency| -> Result<&'a str, DecodeError> {
            let text = dependencies.text(text).ok_or_else(|| {
                DecodeError::corrupt("a span refers to something else where a text should be")
            })?;
            if text.len() > LONGEST { Err(DecodeError::TooLarge { limit: LONGEST }) } else { Ok(text) }
        };
        let called = match name {
            Some(name) => text(name)?,
            None => text(found.text("name")?)?,
        };
        let (target, filename, line) =
            (text(found.text("target")?)?, text(found.text("file")?)?, found.u32("line")?);
        let hash = hash(called, filename, target, line);
        let number = self.sites.len() as u32;
        self.sites.push(Site { name: called, target, filename, line, hash });
        match name {
            Some(name) => drop(self.by_name.insert((record, name), number)),
            None => self.by_record[record.index()] = number,
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn hashes_are_those_that_the_protocol_knows() {
        assert_eq!(hash("update", "src/game.rs", "game::world", 42), 3_295_023_824);
        assert_eq!(hash("main-1", "", "", 0), 36_056_932);
    }
}
