//! Scopes and attribute sets of one block.

use crate::accept::resource_message;
use crate::identity::Resource;
use crate::proto::{Fields, ProtoError, Value};
use crate::request::MAX_MESSAGES;
use crate::values::{AnyValue, hex, key_value, sound, utf8};
use arrow::array::{ArrayRef, BinaryArray, DictionaryArray, Int32Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use belvedere_model::ProcessInfo;
use belvedere_model::jsonb::{Entry, Object};
use belvedere_view::arrow;
use belvedere_view::decoder::DecodeError;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What a message says is wrong with it.
pub(crate) fn corrupt(error: ProtoError) -> DecodeError {
    DecodeError::corrupt(error)
}

/// Records of one instrumentation scope (`ScopeSpans`, `ScopeLogs`, `ScopeMetrics`).
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// Its name, empty if it has none.
    pub(crate) name: &'a str,
    /// What is said of the scope in the properties of each of its records.
    pub(crate) extras: Vec<(Cow<'static, str>, AnyValue<'a>)>,
    /// Bytes that these take on the wire, about.
    pub(crate) repeated: usize,
    /// Its spans, log records or metrics.
    pub(crate) records: Vec<&'a [u8]>,
}

/// The scopes of a block. What stands in the properties of each record of a scope, and `repeated` bytes more, may take
/// at most `limit` bytes altogether, whatever a query wants of it.
pub(crate) fn scopes(message: &[u8], repeated: usize, limit: usize) -> Result<Vec<Scope<'_>>, DecodeError> {
    let mut scopes: Vec<Scope<'_>> = Vec::new();
    let mut messages = 0;
    for field in Fields::new(message) {
        if let (2, Value::Bytes(scope)) = field.map_err(corrupt)? {
            scopes.push(scope_of(scope).map_err(corrupt)?);
            messages += 1 + scopes.last().map_or(0, |scope| scope.records.len());
            // a request with more was not taken
            if messages > MAX_MESSAGES as usize {
                return Err(DecodeError::TooLarge { limit });
            }
        }
    }
    let of_scope = |scope: &Scope<'_>| scope.records.len().saturating_mul(repeated + scope.repeated);
    if scopes.iter().map(of_scope).fold(0, usize::saturating_add) > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    Ok(scopes)
}

fn scope_of(message: &[u8]) -> Result<Scope<'_>, ProtoError> {
    let (mut name, mut version, mut schema_url, mut repeated) = ("", "", "", 0);
    let (mut attributes, mut records) = (Vec::new(), Vec::new());
    for field in Fields::new(message) {
        match field? {
            (1, scope) => {
                repeated += scope.bytes().len();
                for field in Fields::new(scope.bytes()) {
                    match field? {
                        (1, v) => name = utf8(1, v.bytes())?,
                        (2, v) => version = utf8(2, v.bytes())?,
                        (3, v) => attributes.push(key_value(v.bytes())),
                        _ => {}
                    }
                }
            }
            (2, record) => records.push(record.bytes()),
            (3, v) => {
                repeated += v.bytes().len();
                schema_url = utf8(3, v.bytes())?;
            }
            _ => {}
        }
    }
    let mut extras = Vec::new();
    for (key, text) in
        [("otel.scope.name", name), ("otel.scope.version", version), ("otel.scope.schema_url", schema_url)]
    {
        if !text.is_empty() {
            extras.push((Cow::Borrowed(key), AnyValue::Text(text)));
        }
    }
    for (key, value) in attributes {
        if value != AnyValue::Absent {
            extras.push((Cow::Owned(format!("otel.scope.attr.{key}")), value));
        }
    }
    Ok(Scope { name, extras, repeated, records })
}

/// The attributes of one record, and where in its bytes they lie.
#[derive(Debug, Default)]
pub(crate) struct AttributeList<'a> {
    messages: Vec<&'a [u8]>,
    /// The bytes from the first to the last one, as long as nothing else is between them.
    region: Option<&'a [u8]>,
    begin: usize,
    end: usize,
    is_scattered: bool,
}

impl<'a> AttributeList<'a> {
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.region = None;
        self.is_scattered = false;
    }

    /// Adds an attribute of a record: `begin` and `end` are where its field lies there.
    #[inline]
    pub(crate) fn add(&mut self, record: &'a [u8], begin: usize, end: usize, message: &'a [u8]) {
        if self.messages.is_empty() {
            self.begin = begin;
        } else if self.end != begin {
            self.is_scattered = true;
        }
        self.end = end;
        self.region = if self.is_scattered { None } else { record.get(self.begin..end) };
        self.messages.push(message);
    }
}

/// What stands among a record's properties beside its attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extra<'a> {
    Value(AnyValue<'a>),
    /// As hexadecimal digits.
    TraceId([u8; 16]),
    SpanId([u8; 8]),
}

impl<'a> Extra<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Value(AnyValue::Text(text))
    }
}

/// Attribute sets as a dictionary column of JSONB objects. Sets that lie in the same bytes are one entry.
pub(crate) struct AttributeSets<'a> {
    known: HashMap<(usize, &'a [u8]), i32, foldhash::fast::FixedState>,
    /// Sets that were looked for, and those that were found: who repeats nothing is not looked for any more.
    looked: usize,
    found: usize,
    object: Object<'a>,
    values: BinaryColumn,
    limit: usize,
}

impl<'a> AttributeSets<'a> {
    /// Sets of records that take `bytes` together; they may take at most `limit`.
    pub(crate) fn new(bytes: usize, limit: usize) -> Self {
        Self {
            known: HashMap::default(),
            looked: 0,
            found: 0,
            object: Object::default(),
            values: BinaryColumn::with_room(bytes),
            limit,
        }
    }

    /// The key of the set of a record in the scope of that number, which depends on nothing else.
    #[inline]
    pub(crate) fn key(
        &mut self,
        number: usize,
        scope: &'a Scope<'a>,
        list: &AttributeList<'a>,
    ) -> Result<i32, DecodeError> {
        let region = if list.messages.is_empty() { Some(&[][..]) } else { list.region };
        let is_worth_it = self.looked < 256 || self.found * 8 > self.looked;
        let Some(region) = region.filter(|region| is_worth_it || region.is_empty()) else {
            return self.own_key(scope, list, []);
        };
        self.looked += 1;
        if let Some(key) = self.known.get(&(number, region)) {
            self.found += 1;
            return Ok(*key);
        }
        let key = self.own_key(scope, list, [])?;
        self.known.insert((number, region), key);
        Ok(key)
    }

    /// The key of a set of its own, with more members. Of equal names the attribute comes before the scope's, and
    /// that before the `extras`: the last one counts.
    pub(crate) fn own_key(
        &mut self,
        scope: &'a Scope<'a>,
        list: &AttributeList<'a>,
        extras: impl IntoIterator<Item = (&'a str, Extra<'a>)>,
    ) -> Result<i32, DecodeError> {
        for message in &list.messages {
            let (key, value) = key_value(message);
            self.object.put(key, |out| value.to_jsonb(out));
        }
        for (key, value) in &scope.extras {
            self.object.put(key, |out| value.to_jsonb(out));
        }
        for (key, extra) in extras {
            self.object.put(key, |out| match extra {
                Extra::Value(value) => value.to_jsonb(out),
                Extra::TraceId(id) => Entry::text(out, &hex(&id)),
                Extra::SpanId(id) => Entry::text(out, &hex(&id)),
            });
        }
        self.object.finish(&mut self.values.bytes);
        self.values.end(self.limit)?;
        Ok(self.values.len() as i32 - 1)
    }

    /// The column for the keys of all rows.
    pub(crate) fn finish(self, keys: Vec<i32>) -> Result<ArrayRef, DecodeError> {
        DictionaryArray::try_new(Int32Array::from(keys), self.values.finish()?)
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(DecodeError::mistake)
    }
}

/// A column of bytes that is filled in place: append to `bytes`, then end the value.
#[derive(Debug)]
pub(crate) struct BinaryColumn {
    pub(crate) bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Default for BinaryColumn {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl BinaryColumn {
    /// An empty column with memory for so many bytes.
    fn with_room(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Ends a value; at most `limit` bytes may be in the column.
    pub(crate) fn end(&mut self, limit: usize) -> Result<(), DecodeError> {
        let limit = limit.min(i32::MAX as usize);
        if self.bytes.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        self.offsets.push(self.bytes.len() as i32);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, DecodeError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        BinaryArray::try_new(offsets, Buffer::from_vec(self.bytes), None)
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(DecodeError::mistake)
    }
}

/// Bytes of a text in a dictionary column: it stands in every row that leaves, so longer ones are cut.
const MAX_LABEL: usize = 64 << 10;

/// Texts as a dictionary column.
#[derive(Debug, Default)]
pub(crate) struct Labels<'a> {
    keys: HashMap<&'a str, i32, foldhash::fast::FixedState>,
    texts: Vec<&'a str>,
}

impl<'a> Labels<'a> {
    #[inline]
    pub(crate) fn key(&mut self, text: &'a str) -> i32 {
        let texts = &mut self.texts;
        *self.keys.entry(text).or_insert_with(|| {
            texts.push(Self::cut(text));
            texts.len() as i32 - 1
        })
    }

    /// As much of a text as may stand in a dictionary column.
    pub(crate) fn cut(text: &str) -> &str {
        &text[..text.floor_char_boundary(MAX_LABEL)]
    }

    /// The texts by their keys.
    pub(crate) fn texts(self) -> Vec<&'a str> {
        self.texts
    }
}

/// The attributes of a resource as one JSONB object.
pub(crate) fn resource_object(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let resource = resource_message(message).map_err(corrupt)?;
    let (mut object, mut bytes) = (Object::default(), Vec::new());
    for (_, value) in sound(&resource).filter(|(number, _)| *number == 1) {
        let (key, value) = key_value(value.bytes());
        object.put(key, |out| value.to_jsonb(out));
    }
    object.finish(&mut bytes);
    Ok(bytes)
}

/// The attributes of the resource that are not as the process was announced with, under the names of the process'
/// properties: those that don't tell processes apart may change.
pub(crate) fn changed_attributes(
    message: &[u8],
    process: &ProcessInfo,
) -> Result<Vec<(String, String)>, DecodeError> {
    let resource = resource_message(message).map_err(corrupt)?;
    let resource = Resource::read(&resource).map_err(corrupt)?;
    Ok(resource.unlike(process).into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}
