//! Events as JSONB objects with all of their members, for `parse_block`.

use super::block::Event;
use super::dependencies::{Dependencies, Dependency};
use super::fields::{BytesField, TextField, load, short};
use super::layout::{EventType, Field, Kind, StreamLayout};
use super::text::Text;
use super::{DecodeError, TransitBlock};
use crate::jsonb::{Entry, Object};

/// Depth of nested records and of records that refer to records.
const MAX_DEPTH: usize = 32;
/// Values in one object. If each record refers twice to the one before, the number of values is exponential.
const MAX_VALUES: usize = 1 << 16;
/// Type name of a property set on the wire.
const PROPERTY_SET: &str = "PropertySetDependency";

impl TransitBlock {
    /// Appends an event as a JSONB object: its type as `__type`, and its members, with references resolved. It has at most
    /// `limit` bytes of text. Returns the name of the type; `None`, and appends nothing, if the event is a reference to a
    /// text. An event of variable size without a registered layout has no members.
    pub fn event_to_jsonb<'a>(
        &'a self,
        event: &Event<'a>,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a str>, DecodeError> {
        let layout = self.layout();
        let type_ = layout
            .objects
            .get(usize::from(event.type_index))
            .ok_or_else(|| DecodeError::corrupt("an event is of no type of its stream"))?;
        let mut writer =
            Writer { layout, dependencies: self.dependencies(), values: MAX_VALUES, bytes: limit, limit };
        if type_.is_reference {
            return writer.referred(type_, event.bytes, out);
        }
        writer.record(&layout.objects, type_, event.bytes, MAX_DEPTH, out)?;
        Ok(Some(&type_.name))
    }
}

struct Writer<'a> {
    layout: &'a StreamLayout,
    dependencies: &'a Dependencies,
    /// Values that may still follow.
    values: usize,
    bytes: usize,
    limit: usize,
}

impl<'a> Writer<'a> {
    fn count(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match (self.values.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(values), Some(bytes)) => {
                (self.values, self.bytes) = (values, bytes);
                Ok(())
            }
            (None, _) => Err(DecodeError::corrupt(format!("an object has more than {MAX_VALUES} values"))),
            (_, None) => Err(DecodeError::TooLarge { limit: self.limit }),
        }
    }

    /// An event that is only a reference.
    fn referred(
        &mut self,
        type_: &'a EventType,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a str>, DecodeError> {
        if let Some(problem) = &type_.problem {
            return Err(DecodeError::corrupt(problem.clone()));
        }
        let id = type_.fields.iter().find(|f| f.name == "id").ok_or_else(|| DecodeError::Member {
            type_name: type_.name.clone(),
            member: "id",
            kind: "reference",
        })?;
        let dependency = self.dependencies.find(load(bytes, id.offset).map(u64::from_le_bytes)?)?;
        if self.dependencies.text(dependency).is_some() {
            return Ok(None);
        }
        let name = self.dependencies.record(dependency).map_or(PROPERTY_SET, |r| r.type_.name.as_str());
        self.dependency(dependency, MAX_DEPTH, out)?;
        Ok(Some(name))
    }

    /// A record of one of `types`, which are those of its buffer.
    fn record(
        &mut self,
        types: &'a [EventType],
        type_: &'a EventType,
        bytes: &'a [u8],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<Entry, DecodeError> {
        if let Some(problem) = &type_.problem {
            return Err(DecodeError::corrupt(problem.clone()));
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(DecodeError::corrupt(format!("records are more than {MAX_DEPTH} levels deep")));
        };
        let mut object = Object::default();
        self.count(type_.name.len())?;
        object.put("__type", |out| Entry::text(out, &type_.name));
        for field in &type_.fields {
            let mut failed = None;
            object.put(&field.name, |out| {
                self.value(types, field, bytes, depth, out).unwrap_or_else(|e| {
                    failed = Some(e);
                    Entry::null()
                })
            });
            if let Some(e) = failed {
                return Err(e);
            }
        }
        Ok(object.finish(out))
    }

    fn value(
        &mut self,
        types: &'a [EventType],
        field: &'a Field,
        bytes: &'a [u8],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<Entry, DecodeError> {
        self.count(field.name.len())?;
        let offset = field.offset;
        let event = Event { type_index: 0, bytes };
        Ok(match field.kind {
            Kind::U8 => Entry::integer(out, load::<1>(bytes, offset).map(|[byte]| byte.into())?),
            Kind::U32 => Entry::integer(out, load(bytes, offset).map(u32::from_le_bytes)?.into()),
            Kind::U64 => Entry::unsigned(out, load(bytes, offset).map(u64::from_le_bytes)?),
            Kind::I64 => Entry::integer(out, load(bytes, offset).map(i64::from_le_bytes)?),
            Kind::F64 => Entry::float(out, load(bytes, offset).map(f64::from_le_bytes)?),
            Kind::Reference => {
                let id = load(bytes, offset).map(u64::from_le_bytes)?;
                self.dependency(self.dependencies.find(id)?, depth, out)?
            }
            Kind::Text { skip } => self.text(TextField { offset, skip, is_bare: false }.get(&event)?, out)?,
            Kind::BareText => self.text(TextField { offset, skip: 0, is_bare: true }.get(&event)?, out)?,
            Kind::Blob { skip } => {
                let blob = BytesField { offset, skip }.get(&event)?;
                Entry::text(out, &format!("<binary {} bytes>", blob.len()))
            }
            Kind::Nested { index } => {
                let nested = types
                    .get(index as usize)
                    .ok_or_else(|| DecodeError::corrupt("a member is of a type behind the first 256"))?;
                let rest = bytes.get(offset as usize..).ok_or_else(short)?;
                let inner = match nested.size {
                    Some(size) => rest.get(..size as usize).ok_or_else(short)?,
                    None => rest,
                };
                self.record(types, nested, inner, depth, out)?
            }
        })
    }

    fn text(&mut self, value: Text<'a>, out: &mut Vec<u8>) -> Result<Entry, DecodeError> {
        let value = value.to_str();
        self.count(value.len())?;
        Ok(Entry::text(out, &value))
    }

    fn dependency(
        &mut self,
        dependency: Dependency,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<Entry, DecodeError> {
        let dependencies = self.dependencies;
        if let Some(value) = dependencies.text(dependency) {
            self.count(value.len())?;
            return Ok(Entry::text(out, value));
        }
        if let Some(record) = dependencies.record(dependency) {
            let types = &self.layout.dependencies;
            return self.record(types, record.type_, record.bytes, depth, out);
        }
        let pairs = dependencies
            .properties(dependency)
            .ok_or_else(|| DecodeError::corrupt("an event refers to something that can't be read"))?;
        let mut object = Object::default();
        object.put("__type", |out| Entry::text(out, PROPERTY_SET));
        for (name, value) in pairs {
            let not_text = || DecodeError::corrupt("a property is not made of texts");
            let name = dependencies.text(*name).ok_or_else(not_text)?;
            let value = dependencies.text(*value).ok_or_else(not_text)?;
            self.count(name.len() + value.len())?;
            object.put(name, |out| Entry::text(out, value));
        }
        Ok(object.finish(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transit::BlockWriter;
    use crate::wire::{MemberRecord, TypeRecord};
    use std::sync::Arc;

    fn shown(w: &BlockWriter) -> Result<Vec<Option<String>>, DecodeError> {
        let (dependencies, objects) = w.metadata();
        let layout = Arc::new(StreamLayout::parse(&dependencies, &objects, &super::super::tests::layouts())?);
        let block = TransitBlock::new(layout, &w.payload(), 1 << 20)?;
        let show = |event: Event<'_>| {
            let mut value = Vec::new();
            let name = block.event_to_jsonb(&event, 1 << 20, &mut value)?;
            Ok(name.map(|_| crate::jsonb::Jsonb::new(&value).unwrap().to_string()))
        };
        block.events().map(|event| show(event?)).collect()
    }

    fn dependency_text(id: u64, text: &str) -> Vec<u8> {
        [&id.to_le_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn what_an_event_refers_to_and_what_is_nested_stands_in_its_place() {
        let mut w = BlockWriter::new();
        let (member, reference) = (BlockWriter::member, BlockWriter::reference);
        let text = w.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
        let members = vec![member("id", "u64", 0, 8), reference("name", 8)];
        let site = w.dependency_type(BlockWriter::type_record("Site", 16, members));
        w.dependency(text, &dependency_text(1, "main"));
        w.dependency(site, &[2_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat());
        let members =
            vec![reference("site", 0), member("at", "Point", 8, 9), member("name", "StringId", 17, 8)];
        let event = w.event_type(BlockWriter::type_record("Event", 25, members));
        let members = vec![member("x", "f64", 0, 8), member("y", "u8", 8, 1)];
        w.event_type(BlockWriter::type_record("Point", 9, members));
        let id = vec![MemberRecord { is_reference: true, ..member("id", "usize", 0, 8) }];
        let stands_for =
            w.event_type(TypeRecord { is_reference: true, ..BlockWriter::type_record("StringId", 8, id) });
        let new = w.event_type(BlockWriter::type_record("New", 0, vec![]));
        w.event(
            event,
            &[&2_u64.to_le_bytes()[..], &1.5_f64.to_le_bytes(), &[7], &1_u64.to_le_bytes()].concat(),
        );
        w.event(stands_for, &1_u64.to_le_bytes());
        w.event(stands_for, &2_u64.to_le_bytes());
        w.event(new, b"xyz");
        let site = r#"{"__type":"Site","id":2,"name":"main"}"#;
        let event = r#"{"__type":"Event","at":{"__type":"Point","x":1.5,"y":7},"name":"main","site":"#;
        assert_eq!(
            shown(&w).unwrap(),
            [
                Some(format!("{event}{site}}}")),
                None,
                Some(site.to_owned()),
                Some(r#"{"__type":"New"}"#.to_owned())
            ]
        );
    }

    #[test]
    fn what_would_be_without_end_is_an_error() {
        // each refers twice to the one before
        let mut w = BlockWriter::new();
        let text = w.dependency_type(BlockWriter::type_record("StaticString", 0, vec![]));
        let members = vec![
            BlockWriter::member("id", "u64", 0, 8),
            BlockWriter::reference("a", 8),
            BlockWriter::reference("b", 16),
        ];
        let pair = w.dependency_type(BlockWriter::type_record("Pair", 24, members));
        w.dependency(text, &dependency_text(0, "leaf"));
        for id in 1..25_u64 {
            w.dependency(pair, &[id.to_le_bytes(), (id - 1).to_le_bytes(), (id - 1).to_le_bytes()].concat());
        }
        let top = w.event_type(BlockWriter::type_record("Top", 8, vec![BlockWriter::reference("pair", 0)]));
        w.event(top, &24_u64.to_le_bytes());
        let error = shown(&w).unwrap_err().to_string();
        assert!(error.contains("more than 65536 values"), "{error}");

        let mut w = BlockWriter::new();
        let members = vec![BlockWriter::member("again", "Loop", 0, 8)];
        let endless = w.event_type(BlockWriter::type_record("Loop", 8, members));
        w.event(endless, &[0; 8]);
        let error = shown(&w).unwrap_err().to_string();
        assert!(error.contains("levels deep"), "{error}");
    }
}
