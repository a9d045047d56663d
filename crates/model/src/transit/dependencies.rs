//! What the events of a block refer to by id: texts, property sets and metadata records.
//!
//! Ids are addresses in the producer's memory: they are valid within one block only. The whole buffer is indexed before the
//! first event is read. A record may refer only to earlier records, so there are no cycles.

use super::DecodeError;
use super::fields::{ReferenceField, load};
use super::layout::{EventType, Kind, StreamLayout};
use super::record::next_record;
use super::text::Text;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

const BUFFER: &str = "dependencies";

/// An entry of [`Dependencies`]: a resolved id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency(u32);

impl Dependency {
    /// Position among the block's dependencies, counted from 0.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    /// Valid UTF-8 in the buffer.
    Text { start: u32, length: u32 },
    /// A text that had to be converted: index into `converted`.
    Converted(u32),
    /// A metadata record: its type and where its instance starts.
    Record { type_index: u8, start: u32 },
    /// A range of `pairs`.
    Properties { first: u32, count: u32 },
}

/// The indexed dependencies of one block.
#[derive(Debug)]
pub struct Dependencies {
    buffer: Bytes,
    layout: Arc<StreamLayout>,
    // the hasher is seeded: a client can't choose ids that all collide
    ids: HashMap<u64, Dependency, foldhash::fast::RandomState>,
    entries: Vec<Entry>,
    converted: Vec<String>,
    pairs: Vec<(Dependency, Dependency)>,
}

impl Dependencies {
    /// No dependencies.
    pub(super) fn empty(layout: Arc<StreamLayout>) -> Self {
        Self {
            buffer: Bytes::new(),
            layout,
            ids: HashMap::default(),
            entries: Vec::new(),
            converted: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Indexes a decompressed dependencies buffer.
    pub(super) fn parse(buffer: Bytes, layout: Arc<StreamLayout>) -> Result<Self, DecodeError> {
        let mut dependencies = Self { buffer: buffer.clone(), ..Self::empty(layout.clone()) };
        let mut position = 0;
        while position < buffer.len() {
            let start = position;
            let (type_, bytes) = next_record(&buffer, &mut position, &layout.dependencies, BUFFER)?;
            dependencies.add(type_, bytes, position - bytes.len()).map_err(|e| {
                DecodeError::corrupt(format!("dependency at byte {start}, a {}: {e}", type_.name))
            })?;
        }
        Ok(dependencies)
    }

    fn add(&mut self, type_: &EventType, bytes: &[u8], start: usize) -> Result<(), DecodeError> {
        if type_.size.is_some() {
            return self.add_record(type_, bytes, start);
        }
        let id = load(bytes, 0).map(u64::from_le_bytes)?;
        let entry = match type_.name.as_str() {
            "StaticString" => self.store_text(Text::read_bare(&bytes[8..])?, start + 8),
            "StaticStringDependency" => {
                self.store_text(Text::read_coded(&bytes[8..]).map(|(text, _)| text)?, start + 13)
            }
            "PropertySetDependency" => self.property_set(&bytes[8..])?,
            _ => return Err(DecodeError::corrupt("nothing is known about this type of variable size")),
        };
        self.register(id, entry)
    }

    fn store_text(&mut self, text: Text<'_>, start: usize) -> Entry {
        match text.to_str() {
            Cow::Borrowed(s) => Entry::Text { start: start as u32, length: s.len() as u32 },
            Cow::Owned(s) => {
                self.converted.push(s);
                Entry::Converted(self.converted.len() as u32 - 1)
            }
        }
    }

    fn property_set(&mut self, bytes: &[u8]) -> Result<Entry, DecodeError> {
        let property = self
            .layout
            .dependencies
            .iter()
            .find(|t| t.name == "Property")
            .ok_or_else(|| DecodeError::corrupt("the stream did not announce the type Property"))?;
        let (name, value) = (property.reference("name")?, property.reference("value")?);
        let size = property.size.unwrap_or(0) as usize;
        let count = load(bytes, 0).map(u32::from_le_bytes)?;
        let first = self.pairs.len() as u32;
        let mut rest = &bytes[4..];
        for _ in 0..count {
            // each iteration consumes at least one byte, so a wrong count ends here
            if size == 0 || rest.len() < size {
                return Err(DecodeError::corrupt(format!(
                    "{count} properties are announced, fewer are there"
                )));
            }
            let (instance, behind) = rest.split_at(size);
            let pair = (self.find(name.load(instance)?)?, self.find(value.load(instance)?)?);
            if self.text(pair.0).is_none() || self.text(pair.1).is_none() {
                return Err(DecodeError::corrupt("a property is not made of texts"));
            }
            self.pairs.push(pair);
            rest = behind;
        }
        Ok(Entry::Properties { first, count })
    }

    fn add_record(&mut self, type_: &EventType, bytes: &[u8], start: usize) -> Result<(), DecodeError> {
        if let Some(problem) = &type_.problem {
            return Err(DecodeError::corrupt(problem.clone()));
        }
        if type_.is_reference {
            return Ok(());
        }
        let id = type_
            .fields
            .iter()
            .find(|f| f.name == "id" && f.kind == Kind::U64)
            .ok_or_else(|| DecodeError::corrupt("it has no member 'id' of 64 bits"))?;
        let id = load(bytes, id.offset).map(u64::from_le_bytes)?;
        for field in type_.fields.iter().filter(|f| f.kind == Kind::Reference) {
            self.find(load(bytes, field.offset).map(u64::from_le_bytes)?)?;
        }
        self.register(id, Entry::Record { type_index: type_.index, start: start as u32 })
    }

    fn register(&mut self, id: u64, entry: Entry) -> Result<(), DecodeError> {
        let dependency = Dependency(self.entries.len() as u32);
        if self.ids.insert(id, dependency).is_some() {
            return Err(DecodeError::corrupt(format!("the id {id:#x} is there twice")));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, in the order of the buffer.
    pub fn iter(&self) -> impl Iterator<Item = Dependency> + use<> {
        (0..self.entries.len() as u32).map(Dependency)
    }

    /// Resolves an id.
    #[inline]
    pub fn find(&self, id: u64) -> Result<Dependency, DecodeError> {
        self.ids.get(&id).copied().ok_or(DecodeError::Dangling { id })
    }

    /// The text, if it is one.
    pub fn text(&self, dependency: Dependency) -> Option<&str> {
        match self.entries.get(dependency.index())? {
            Entry::Text { start, length } => {
                let bytes = self.buffer.get(*start as usize..)?.get(..*length as usize)?;
                simdutf8::basic::from_utf8(bytes).ok()
            }
            Entry::Converted(i) => self.converted.get(*i as usize).map(String::as_str),
            _ => None,
        }
    }

    /// The property set, if it is one: names and values, all of them texts.
    pub fn properties(&self, dependency: Dependency) -> Option<&[(Dependency, Dependency)]> {
        match self.entries.get(dependency.index())? {
            Entry::Properties { first, count } => self.pairs.get(*first as usize..(first + count) as usize),
            _ => None,
        }
    }

    /// The metadata record, if it is one.
    pub fn record(&self, dependency: Dependency) -> Option<DependencyRecord<'_>> {
        match self.entries.get(dependency.index())? {
            Entry::Record { type_index, start } => {
                let type_ = self.layout.dependencies.get(*type_index as usize)?;
                let end = (*start).checked_add(type_.size?)? as usize;
                let bytes = self.buffer.get(*start as usize..end)?;
                Some(DependencyRecord { dependencies: self, type_, bytes })
            }
            _ => None,
        }
    }

    /// The decompressed buffer.
    pub fn buffer(&self) -> &Bytes {
        &self.buffer
    }
}

/// A metadata record: mostly a call site.
#[derive(Debug, Clone, Copy)]
pub struct DependencyRecord<'a> {
    dependencies: &'a Dependencies,
    pub(super) type_: &'a EventType,
    pub(super) bytes: &'a [u8],
}

impl DependencyRecord<'_> {
    /// Name of the record's type.
    pub fn type_name(&self) -> &str {
        &self.type_.name
    }

    /// A text that the record refers to.
    pub fn text(&self, member: &'static str) -> Result<Dependency, DecodeError> {
        let field: ReferenceField = self.type_.reference(member)?;
        let text = self.dependencies.find(field.load(self.bytes)?)?;
        match self.dependencies.text(text) {
            Some(_) => Ok(text),
            None => Err(DecodeError::corrupt(format!("'{member}' of a {} is not a text", self.type_.name))),
        }
    }

    /// A number of at most 32 bits.
    pub fn u32(&self, member: &'static str) -> Result<u32, DecodeError> {
        self.type_.u32(member)?.load(self.bytes)
    }
}
