//! Writes events by the names and types of their members: for tests and samples.

use super::event_layout::{EventField, FieldKind};
use super::writer::BlockWriter;
use std::collections::HashMap;

/// Builds a block out of typed events, as a client library would: types are declared with their members, values are
/// given in the order of the members, and what events refer to gets its ids here.
///
/// ```
/// use belvedere_model::transit::{EventField, EventWriter};
///
/// let mut log = EventWriter::new();
/// let message = log.event_type(
///     "LogStringInteropEventV3",
///     &[
///         EventField::i64("time"),
///         EventField::u8("level"),
///         EventField::embedded_reference("target", "StaticStringRef"),
///         EventField::text("msg"),
///     ],
/// );
/// let target = log.text("shop::till");
/// log.event(message, (1_000, 2, target, "the till is stuck"));
/// assert_eq!(log.count(), 1);
/// ```
///
/// All blocks of a stream declare the same types in the same order, whether they use them or not.
#[derive(Debug)]
pub struct EventWriter {
    block: BlockWriter,
    events: Vec<Shape>,
    records: HashMap<u8, Shape>,
    texts: HashMap<String, Reference>,
    /// Types of references that are announced.
    embedded: Vec<String>,
    last_id: u64,
}

/// A type of events that [`EventWriter::event_type`] declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKind(u8);

/// A type of records that [`EventWriter::record_type`] declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKind(u8);

/// What an event refers to: a text, a property set or a record of the same block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference(u64);

/// A value of a member. It is made of integers, floats, texts, bytes and [`Reference`]s.
#[derive(Debug, Clone, Copy)]
pub struct EventValue<'a>(Value<'a>);

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Integer(i64),
    Float(f64),
    Reference(Reference),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Values of one event, in the order of its type's members: a tuple.
pub trait EventValues<'a> {
    #[doc(hidden)]
    fn values(self) -> Vec<EventValue<'a>>;
}

/// A type's members, as they lie in its records.
#[derive(Debug)]
struct Shape {
    name: String,
    /// Bytes of an instance; `None`: one value behind the other.
    size: Option<usize>,
    /// Each with its place in an instance of fixed size.
    fields: Vec<(EventField, usize)>,
}

// always announced, in this order
const TEXT: u8 = 0;
const PROPERTY_SET: u8 = 1;

impl Default for EventWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl EventWriter {
    /// A block without events.
    pub fn new() -> Self {
        let mut block = BlockWriter::new();
        block.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
        block.dependency_type(BlockWriter::type_record("PropertySetDependency", 0, vec![]));
        let pair = vec![BlockWriter::reference("name", 0), BlockWriter::reference("value", 8)];
        block.dependency_type(BlockWriter::type_record("Property", 16, pair));
        Self {
            block,
            events: Vec::new(),
            records: HashMap::new(),
            texts: HashMap::new(),
            embedded: Vec::new(),
            last_id: 0,
        }
    }

    /// Declares a type of events. One with a text or a blob among its members is of variable size: it is read by the
    /// [`EventLayout`](super::EventLayout) that is registered under its name, which has the same members.
    pub fn event_type(&mut self, name: &str, members: &[EventField]) -> EventKind {
        let is_fixed = members.iter().all(|m| m.kind.is_fixed() && m.embedded_type().is_none());
        let index = if is_fixed {
            let shape = Shape::fixed(name, members);
            let index = self.block.event_type(shape.announcement());
            self.events.push(shape);
            index
        } else {
            for type_name in members.iter().filter_map(EventField::embedded_type) {
                if !self.embedded.iter().any(|known| known == type_name) {
                    self.embedded.push(type_name.to_owned());
                    let index = self.block.event_type(BlockWriter::reference_type(type_name));
                    self.events.push(Shape::fixed(type_name, &[]));
                    debug_assert_eq!(usize::from(index) + 1, self.events.len());
                }
            }
            let fields = members.iter().map(|m| (*m, 0)).collect();
            self.events.push(Shape { name: name.to_owned(), size: None, fields });
            self.block.event_type(BlockWriter::type_record(name, 0, vec![]))
        };
        EventKind(index)
    }

    /// Declares a type of records that events refer to: descriptions of metrics, places in the code. Each gets a member
    /// `id` beside these.
    pub fn record_type(&mut self, name: &str, members: &[EventField]) -> RecordKind {
        let id = EventField::i64("id");
        let members: Vec<EventField> = std::iter::once(id).chain(members.iter().copied()).collect();
        let shape = Shape::fixed(name, &members);
        let mut announcement = shape.announcement();
        for member in announcement.members.iter_mut().filter(|m| m.name == "id") {
            "u64".clone_into(&mut member.type_name);
        }
        let index = self.block.dependency_type(announcement);
        self.records.insert(index, shape);
        RecordKind(index)
    }

    /// A text to refer to. The same text is sent once.
    pub fn text(&mut self, text: &str) -> Reference {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let reference = self.next_id();
        let bytes = [&reference.0.to_le_bytes()[..], text.as_bytes()].concat();
        self.block.dependency(TEXT, &bytes);
        self.texts.insert(text.to_owned(), reference);
        reference
    }

    /// A property set to refer to.
    pub fn properties(&mut self, pairs: &[(&str, &str)]) -> Reference {
        let texts: Vec<u64> =
            pairs.iter().flat_map(|(name, value)| [self.text(name).0, self.text(value).0]).collect();
        let reference = self.next_id();
        let mut bytes = reference.0.to_le_bytes().to_vec();
        bytes.extend((pairs.len() as u32).to_le_bytes());
        texts.iter().for_each(|text| bytes.extend(text.to_le_bytes()));
        self.block.dependency(PROPERTY_SET, &bytes);
        reference
    }

    /// A record to refer to, with values for all members but `id`.
    ///
    /// # Panics
    /// If they are not values of the members.
    pub fn record<'a>(&mut self, kind: RecordKind, values: impl EventValues<'a>) -> Reference {
        let reference = self.next_id();
        let id = EventValue(Value::Integer(reference.0 as i64));
        let values: Vec<EventValue<'a>> = std::iter::once(id).chain(values.values()).collect();
        let bytes = self.records.get(&kind.0).map(|shape| shape.encode(&values)).unwrap_or_default();
        self.block.dependency(kind.0, &bytes);
        reference
    }

    /// Appends an event, with values for all members.
    ///
    /// # Panics
    /// If they are not values of the members.
    pub fn event<'a>(&mut self, kind: EventKind, values: impl EventValues<'a>) {
        let bytes = self.events[usize::from(kind.0)].encode(&values.values());
        self.block.event(kind.0, &bytes);
    }

    /// Number of events so far.
    pub fn count(&self) -> i32 {
        self.block.count()
    }

    fn next_id(&mut self) -> Reference {
        self.last_id += 1;
        Reference(self.last_id)
    }
}

impl AsRef<BlockWriter> for EventWriter {
    fn as_ref(&self) -> &BlockWriter {
        &self.block
    }
}

impl Shape {
    /// Members as in a struct of C: each aligned to its size.
    fn fixed(name: &str, members: &[EventField]) -> Self {
        let mut end = 0_usize;
        let mut fields = Vec::new();
        for member in members {
            let size = member.kind.size();
            end = end.next_multiple_of(size.max(1));
            fields.push((*member, end));
            end += size;
        }
        Self { name: name.to_owned(), size: Some(end.next_multiple_of(8)), fields }
    }

    fn announcement(&self) -> crate::wire::TypeRecord {
        let members = self.fields.iter().map(|(field, offset)| {
            let offset = *offset as u64;
            match field.kind {
                FieldKind::Reference => BlockWriter::reference(field.name, offset),
                kind => BlockWriter::member(field.name, kind.type_name(), offset, kind.size() as u64),
            }
        });
        BlockWriter::type_record(&self.name, self.size.unwrap_or(0) as u64, members.collect())
    }

    fn encode(&self, values: &[EventValue<'_>]) -> Vec<u8> {
        let (name, count) = (&self.name, self.fields.len());
        assert_eq!(values.len(), count, "a {name} has {count} members");
        let mut bytes = Vec::new();
        for ((field, offset), value) in self.fields.iter().zip(values) {
            if self.size.is_some() {
                bytes.resize(*offset, 0);
            }
            let is_written = field.kind.write(value.0, &mut bytes);
            assert!(is_written, "member '{}' of a {name} can't be {:?}", field.name, value.0);
        }
        if let Some(size) = self.size {
            bytes.resize(size, 0);
        }
        bytes
    }
}

impl EventField {
    fn embedded_type(&self) -> Option<&'static str> {
        match self.kind {
            FieldKind::EmbeddedReference(type_name) => Some(type_name),
            _ => None,
        }
    }
}

impl FieldKind {
    const fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U32 => 4,
            Self::I64 | Self::F64 | Self::Reference | Self::EmbeddedReference(_) => 8,
            Self::Text | Self::BareText | Self::Blob => 0,
        }
    }

    const fn type_name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U32 => "u32",
            Self::F64 => "f64",
            _ => "i64",
        }
    }

    /// Appends a value; `false` if it is none of that kind.
    fn write(self, value: Value<'_>, bytes: &mut Vec<u8>) -> bool {
        match (self, value) {
            (Self::U8, Value::Integer(value)) => match u8::try_from(value) {
                Ok(value) => bytes.push(value),
                Err(_) => return false,
            },
            (Self::U32, Value::Integer(value)) => match u32::try_from(value) {
                Ok(value) => bytes.extend(value.to_le_bytes()),
                Err(_) => return false,
            },
            (Self::I64, Value::Integer(value)) => bytes.extend(value.to_le_bytes()),
            (Self::F64, Value::Float(value)) => bytes.extend(value.to_le_bytes()),
            (Self::Reference | Self::EmbeddedReference(_), Value::Reference(Reference(id))) => {
                bytes.extend(id.to_le_bytes());
            }
            (Self::Text, Value::Text(text)) => bytes.extend(BlockWriter::coded_text(text)),
            (Self::BareText, Value::Text(text)) => bytes.extend(text.as_bytes()),
            (Self::Blob, Value::Bytes(blob)) => {
                bytes.extend((blob.len() as u32).to_le_bytes());
                bytes.extend(blob);
            }
            _ => return false,
        }
        true
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl From<$type> for EventValue<'_> {
            fn from(value: $type) -> Self {
                Self(Value::Integer(value as i64))
            }
        }
    )*};
}

integers!(i32, i64, u8, u32, u64, usize);

impl From<f64> for EventValue<'_> {
    fn from(value: f64) -> Self {
        Self(Value::Float(value))
    }
}

impl From<Reference> for EventValue<'_> {
    fn from(value: Reference) -> Self {
        Self(Value::Reference(value))
    }
}

impl<'a> From<&'a str> for EventValue<'a> {
    fn from(value: &'a str) -> Self {
        Self(Value::Text(value))
    }
}

impl<'a> From<&'a String> for EventValue<'a> {
    fn from(value: &'a String) -> Self {
        Self(Value::Text(value))
    }
}

impl<'a> From<&'a [u8]> for EventValue<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self(Value::Bytes(value))
    }
}

impl<'a> From<&'a Vec<u8>> for EventValue<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self(Value::Bytes(value))
    }
}

macro_rules! tuples {
    ($($($value:ident)+;)*) => {$(
        impl<'a, $($value: Into<EventValue<'a>>),+> EventValues<'a> for ($($value,)+) {
            fn values(self) -> Vec<EventValue<'a>> {
                #[allow(non_snake_case, reason = "named after the types")]
                let ($($value,)+) = self;
                vec![$($value.into()),+]
            }
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transit::{EventLayout, EventLayouts, StreamLayout, TransitBlock};
    use std::sync::Arc;

    const MEMBERS: &[EventField] =
        &[EventField::i64("time"), EventField::embedded_reference("target", "Ref"), EventField::text("msg")];
    static MESSAGE: EventLayout = EventLayout::new("Message", MEMBERS);

    fn open(writer: &EventWriter) -> TransitBlock {
        let block: &BlockWriter = writer.as_ref();
        let (dependencies, objects) = block.metadata();
        let layouts = EventLayouts::from_iter([&MESSAGE]);
        let layout = Arc::new(StreamLayout::parse(&dependencies, &objects, &layouts).unwrap());
        TransitBlock::new(layout, &block.payload(), 1 << 20).unwrap()
    }

    #[test]
    fn what_is_written_by_name_and_type_is_read_by_name_and_type() {
        let mut writer = EventWriter::new();
        let place = writer.record_type("Place", &[EventField::u32("line"), EventField::reference("file")]);
        let members = [
            EventField::u8("level"),
            EventField::f64("value"),
            EventField::u32("depth"),
            EventField::reference("place"),
            EventField::reference("set"),
        ];
        let tick = writer.event_type("Tick", &members);
        let message = writer.event_type("Message", MEMBERS);
        let file = writer.text("main.rs");
        assert_eq!(writer.text("main.rs"), file);
        let (at, set) = (writer.record(place, (7, file)), writer.properties(&[("user", "Ada")]));
        writer.event(tick, (3, 0.5, 9, at, set));
        writer.event(message, (-5, file, "hi"));
        let block = open(&writer);
        let events: Vec<_> = block.events().map(Result::unwrap).collect();
        let (tick, message) = (block.event("Tick").unwrap(), block.event("Message").unwrap());
        assert_eq!(tick.u32("level").unwrap().get(&events[0]), Ok(3));
        assert_eq!(tick.f64("value").unwrap().get(&events[0]), Ok(0.5));
        assert_eq!(tick.u32("depth").unwrap().get(&events[0]), Ok(9));
        let found = |member| {
            let id = tick.reference(member).unwrap().get(&events[0]).unwrap();
            block.dependencies().find(id).unwrap()
        };
        let record = block.dependencies().record(found("place")).unwrap();
        assert_eq!(record.u32("line"), Ok(7));
        assert_eq!(block.dependencies().text(record.text("file").unwrap()), Some("main.rs"));
        assert_eq!(block.dependencies().properties(found("set")).unwrap().len(), 1);
        assert_eq!(message.i64("time").unwrap().get(&events[1]), Ok(-5));
        assert_eq!(message.text("msg").unwrap().get(&events[1]).unwrap().to_str(), "hi");
    }

    #[test]
    #[should_panic(expected = "member 'level' of a Tick can't be Integer(256)")]
    fn a_value_that_does_not_fit_its_member_is_a_mistake() {
        let mut writer = EventWriter::new();
        let tick = writer.event_type("Tick", &[EventField::u8("level")]);
        writer.event(tick, (256,));
    }
}
