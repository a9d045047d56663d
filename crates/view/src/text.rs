//! Arrow columns of what transit blocks hold: texts without copying them, dictionaries by dependency.

use arrow_array::builder::{BinaryBuilder, StringBuilder, make_view};
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringViewArray};
use arrow_buffer::{Buffer, ScalarBuffer};
use belvedere_model::transit::{DecodeError, Dependencies, Dependency, Text, TransitBlock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A text column whose values stay where they are: in the block's buffers.
pub struct TextColumn {
    objects: Buffer,
    dependencies: Buffer,
    own: String,
    views: Vec<Place>,
    /// Bytes of values that were copied.
    length: usize,
    limit: usize,
}

#[derive(Clone, Copy)]
struct Place {
    buffer: u8,
    start: u32,
    length: u32,
}

const OBJECTS: u8 = 0;
const DEPENDENCIES: u8 = 1;
const OWN: u8 = 2;

impl TextColumn {
    /// A column over the buffers of `block`, with at most `limit` bytes of text of its own.
    pub fn new(block: &TransitBlock, limit: usize) -> Self {
        Self {
            objects: Buffer::from(block.objects().clone()),
            dependencies: Buffer::from(block.dependencies().buffer().clone()),
            own: String::new(),
            views: Vec::new(),
            length: 0,
            limit: limit.min(i32::MAX as usize),
        }
    }

    fn push(&mut self, buffer: u8, start: usize, length: usize) -> Result<(), DecodeError> {
        // texts that stay where they are cost nothing, however often they are shared
        if buffer == OWN {
            self.length += length;
            if self.length > self.limit {
                return Err(DecodeError::TooLarge { limit: self.limit });
            }
        }
        self.views.push(Place { buffer, start: start as u32, length: length as u32 });
        Ok(())
    }

    /// Appends a text of an event of the block.
    #[inline]
    pub fn push_text(&mut self, text: Text<'_>) -> Result<(), DecodeError> {
        let start = (text.bytes.as_ptr() as usize).wrapping_sub(self.objects.as_ptr() as usize);
        if text.is_wide || start.saturating_add(text.bytes.len()) > self.objects.len() {
            return self.push_str(&text.to_str());
        }
        self.push(OBJECTS, start, text.bytes.len())
    }

    /// Appends a text that the block's events refer to.
    #[inline]
    pub fn push_dependency(
        &mut self,
        dependencies: &Dependencies,
        text: Dependency,
    ) -> Result<(), DecodeError> {
        let text = dependencies.text(text).ok_or_else(not_a_text)?;
        let start = (text.as_ptr() as usize).wrapping_sub(self.dependencies.as_ptr() as usize);
        if start.saturating_add(text.len()) > self.dependencies.len() {
            return self.push_str(text);
        }
        self.push(DEPENDENCIES, start, text.len())
    }

    /// Appends any other text, by copying it.
    pub fn push_str(&mut self, text: &str) -> Result<(), DecodeError> {
        let start = self.own.len();
        self.push(OWN, start, text.len())?;
        self.own.push_str(text);
        Ok(())
    }

    /// The column, a `Utf8View`. Bytes that are not UTF-8 become U+FFFD.
    pub fn finish(self) -> Result<ArrayRef, DecodeError> {
        let buffers = [self.objects, self.dependencies, Buffer::from_vec(self.own.into_bytes())];
        let bytes = |p: &Place| {
            buffers[p.buffer as usize]
                .get(p.start as usize..)
                .and_then(|b| b.get(..p.length as usize))
                .unwrap_or_default()
        };
        let views: Vec<u128> =
            self.views.iter().map(|p| make_view(bytes(p), p.buffer.into(), p.start)).collect();
        match StringViewArray::try_new(ScalarBuffer::from(views), buffers.to_vec(), None) {
            Ok(array) => Ok(Arc::new(array)),
            // rare enough to be found out last
            Err(_) => Ok(Arc::new(StringViewArray::from_iter_values(
                self.views.iter().map(|p| String::from_utf8_lossy(bytes(p))),
            ))),
        }
    }
}

fn not_a_text() -> DecodeError {
    DecodeError::corrupt("an event refers to something else where a text should be")
}

/// Bytes of a text in a dictionary column.
const MAX_LABEL: usize = 64 << 10;

/// Gives dependencies that are texts their keys in a dictionary column.
pub struct TextDictionary<'a> {
    dependencies: &'a Dependencies,
    /// Key by dependency; -1 if it has none yet.
    keys: Vec<i32>,
    by_text: HashMap<&'a str, i32>,
    values: StringBuilder,
}

impl<'a> TextDictionary<'a> {
    /// An empty dictionary over the texts of a block.
    pub fn new(dependencies: &'a Dependencies) -> Self {
        Self {
            dependencies,
            keys: vec![-1; dependencies.len()],
            by_text: HashMap::new(),
            values: StringBuilder::new(),
        }
    }

    /// The key of a text in the dependencies.
    #[inline]
    pub fn key(&mut self, text: Dependency) -> Result<i32, DecodeError> {
        match self.keys[text.index()] {
            -1 => {
                let value = self.dependencies.text(text).ok_or_else(not_a_text)?;
                // a label stands in every row that leaves
                if value.len() > MAX_LABEL {
                    return Err(DecodeError::TooLarge { limit: MAX_LABEL });
                }
                let key = self.literal(value);
                self.keys[text.index()] = key;
                Ok(key)
            }
            key => Ok(key),
        }
    }

    /// The key of any other text.
    pub fn literal(&mut self, text: &'a str) -> i32 {
        let next = self.by_text.len() as i32;
        *self.by_text.entry(text).or_insert_with(|| {
            self.values.append_value(text);
            next
        })
    }

    /// The column for the keys of all rows.
    pub fn finish(mut self, keys: Vec<i32>) -> Result<ArrayRef, DecodeError> {
        dictionary(keys, Arc::new(self.values.finish()))
    }
}

/// Gives property sets their keys in a dictionary column of JSONB objects with sorted keys. Key 0 is the
/// empty set.
pub struct PropertyDictionary<'a> {
    dependencies: &'a Dependencies,
    keys: Vec<i32>,
    values: BinaryBuilder,
    count: i32,
    length: usize,
    limit: usize,
}

impl<'a> PropertyDictionary<'a> {
    /// A dictionary with the empty set over the property sets of a block, of at most `limit` bytes.
    pub fn new(dependencies: &'a Dependencies, limit: usize) -> Self {
        let mut values = BinaryBuilder::new();
        values.append_value(belvedere_model::jsonb::Jsonb::encode_texts([]));
        Self { dependencies, keys: vec![-1; dependencies.len()], values, count: 1, length: 0, limit }
    }

    /// The key of the empty set.
    pub const EMPTY: i32 = 0;

    /// The key of a property set in the dependencies.
    #[inline]
    pub fn key(&mut self, set: Dependency) -> Result<i32, DecodeError> {
        match self.keys[set.index()] {
            -1 => self.encode(set),
            key => Ok(key),
        }
    }

    #[cold]
    fn encode(&mut self, set: Dependency) -> Result<i32, DecodeError> {
        let pairs = property_texts(self.dependencies, set)?;
        // many sets may share few long texts: what comes out is counted, not what went in
        self.length += pairs.iter().map(|(k, v)| k.len() + v.len() + 16).sum::<usize>();
        if self.length > self.limit {
            return Err(DecodeError::TooLarge { limit: self.limit });
        }
        let key = self.count;
        self.values.append_value(belvedere_model::jsonb::Jsonb::encode_texts(pairs));
        self.count += 1;
        self.keys[set.index()] = key;
        Ok(key)
    }

    /// The column for the keys of all rows.
    pub fn finish(mut self, keys: Vec<i32>) -> Result<ArrayRef, DecodeError> {
        dictionary(keys, Arc::new(self.values.finish()))
    }
}

/// A property set as texts, sorted by name; of a name that is there twice, the last one counts.
fn property_texts(dependencies: &Dependencies, set: Dependency) -> Result<BTreeMap<&str, &str>, DecodeError> {
    let pairs = dependencies
        .properties(set)
        .ok_or_else(|| DecodeError::corrupt("an event refers to something else than a property set"))?;
    pairs
        .iter()
        .map(|(k, v)| {
            let text = |d| dependencies.text(d).ok_or_else(not_a_text);
            Ok((text(*k)?, text(*v)?))
        })
        .collect()
}

fn dictionary(keys: Vec<i32>, values: ArrayRef) -> Result<ArrayRef, DecodeError> {
    DictionaryArray::try_new(Int32Array::from(keys), values)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(DecodeError::mistake)
}

#[cfg(test)]
mod tests;
