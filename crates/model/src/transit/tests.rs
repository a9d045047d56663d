//! Blocks made by hand, and bytes made by chance.

use super::*;
use crate::wire::{MemberRecord, TypeRecord};
use proptest::prelude::*;
use std::sync::Arc;

static LAYOUTS: [EventLayout; 4] = [
    EventLayout::new(
        "LogStringEvent",
        &[EventField::reference("desc"), EventField::i64("time"), EventField::bare_text("msg")],
    ),
    EventLayout::new(
        "LogStringEventV2",
        &[EventField::reference("desc"), EventField::i64("time"), EventField::text("msg")],
    ),
    EventLayout::new(
        "LogStringInteropEventV3",
        &[
            EventField::i64("time"),
            EventField::u8("level"),
            EventField::embedded_reference("target", "StaticStringRef"),
            EventField::text("msg"),
        ],
    ),
    EventLayout::new(
        "ImageEvent",
        &[
            EventField::i64("time"),
            EventField::text("name"),
            EventField::text("format"),
            EventField::blob("data"),
        ],
    ),
];

/// Layouts of variable size as crates with decoders register them.
pub(super) fn layouts() -> EventLayouts {
    LAYOUTS.iter().collect()
}

/// A log stream with a fixed-size and a variable-size event type, as clients announce them.
fn writer() -> BlockWriter {
    let mut w = BlockWriter::new();
    let (member, reference) = (BlockWriter::member, BlockWriter::reference);
    let record = BlockWriter::type_record;
    w.dependency_type(record("StaticString", 0, vec![]));
    w.dependency_type(record("StaticStringDependency", 0, vec![]));
    w.dependency_type(record(
        "LogMetadataRecord",
        32,
        vec![
            member("id", "u64", 0, 8),
            reference("fmt_str", 8),
            reference("target", 16),
            member("level", "u32", 24, 4),
        ],
    ));
    w.dependency_type(record("PropertySetDependency", 0, vec![]));
    let property = vec![member("name", "StaticStringRef", 0, 16), member("value", "StaticStringRef", 16, 16)];
    w.dependency_type(record("Property", 32, property));
    let id = vec![MemberRecord { is_reference: true, ..member("id", "usize", 0, 8) }];
    w.dependency_type(TypeRecord { is_reference: true, ..record("StaticStringRef", 16, id.clone()) });
    w.event_type(record("LogStaticStrEvent", 16, vec![reference("desc", 0), member("time", "i64", 8, 8)]));
    w.event_type(record("LogStringEventV2", 0, vec![]));
    w.event_type(record("SomethingNew", 0, vec![]));
    w
}

fn text_dependency(id: u64, text: &str) -> Vec<u8> {
    [&id.to_le_bytes(), BlockWriter::coded_text(text).as_slice()].concat()
}

fn property(name: u64, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in [name, value] {
        // what stands behind the id is the producer's padding
        bytes.extend(id.to_le_bytes());
        bytes.extend([0xab; 8]);
    }
    bytes
}

fn property_set(id: u64, properties: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((properties.len() as u32).to_le_bytes());
    bytes.extend(properties.iter().flat_map(|(n, v)| property(*n, *v)));
    bytes
}

fn open(w: &BlockWriter) -> Result<TransitBlock, DecodeError> {
    let (dependencies, objects) = w.metadata();
    let layout = Arc::new(StreamLayout::parse(&dependencies, &objects, &layouts())?);
    TransitBlock::new(layout, &w.payload(), 1 << 20)
}

fn with_call_site() -> BlockWriter {
    let mut w = writer();
    w.dependency(1, &text_dependency(1, "hello {name}"));
    w.dependency(0, &[&2_u64.to_le_bytes()[..], b"game::world"].concat());
    let mut record = Vec::new();
    for id in [7_u64, 1, 2] {
        record.extend(id.to_le_bytes());
    }
    record.extend([4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    w.dependency(2, &record);
    w
}

#[test]
fn an_event_leads_to_its_call_site() {
    let mut w = with_call_site();
    w.event(0, &[&7_u64.to_le_bytes()[..], &5000_i64.to_le_bytes()].concat());
    let block = open(&w).unwrap();
    let event_type = block.event("LogStaticStrEvent").unwrap();
    let (desc, time) = (event_type.reference("desc").unwrap(), event_type.i64("time").unwrap());
    let event = block.events().next().unwrap().unwrap();
    assert_eq!(event.type_index, event_type.index());
    assert_eq!(time.get(&event).unwrap(), 5000);
    let d = block.dependencies();
    let site = d.record(d.find(desc.get(&event).unwrap()).unwrap()).unwrap();
    assert_eq!(d.text(site.text("target").unwrap()), Some("game::world"));
    assert_eq!(site.u32("level").unwrap(), 4);
    assert!(site.text("nope").is_err());
}

#[test]
fn events_of_unknown_types_are_walked_over() {
    let mut w = with_call_site();
    w.event(2, b"whatever");
    w.event(0, &[0; 16]);
    w.event(2, b"");
    let block = open(&w).unwrap();
    let types: Vec<u8> = block.events().map(|e| e.unwrap().type_index).collect();
    assert_eq!(types, [2, 0, 2]);
}

#[test]
fn property_sets_resolve_through_reference_types_and_ignore_padding() {
    let mut w = with_call_site();
    w.dependency(1, &text_dependency(0x8000_0000_0000_0000, "color"));
    w.dependency(3, &property_set(0x8000_0000_0000_0001, &[(0x8000_0000_0000_0000, 2)]));
    w.dependency(3, &property_set(9, &[]));
    let block = open(&w).unwrap();
    let d = block.dependencies();
    let set = d.properties(d.find(0x8000_0000_0000_0001).unwrap()).unwrap();
    let texts: Vec<_> = set.iter().map(|(n, v)| (d.text(*n).unwrap(), d.text(*v).unwrap())).collect();
    assert_eq!(texts, [("color", "game::world")]);
    assert_eq!(d.properties(d.find(9).unwrap()), Some(&[][..]));
}

#[test]
fn what_is_wrong_with_dependencies_is_said() {
    let mut messages = Vec::new();
    let mut refused = |case: &str, change: &dyn Fn(&mut BlockWriter)| {
        let mut w = with_call_site();
        change(&mut w);
        messages.push(format!("{case}: {}", open(&w).unwrap_err()));
    };
    refused("id twice", &|w| w.dependency(1, &text_dependency(1, "again")));
    refused("refers ahead", &|w| w.dependency(3, &property_set(9, &[(77, 1)])));
    refused("property that is a call site", &|w| w.dependency(3, &property_set(9, &[(7, 1)])));
    refused("false count", &|w| {
        let mut set = property_set(9, &[(1, 2)]);
        set[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        w.dependency(3, &set);
    });
    refused("short", &|w| w.dependency(0, b"1234567"));
    refused("not UTF-8", &|w| w.dependency(0, b"12345678\xff"));
    refused("unknown type of variable size", &|w| {
        let index = w.dependency_type(BlockWriter::type_record("Mystery", 0, vec![]));
        w.dependency(index, b"12345678");
    });
    refused("no id", &|w| {
        let index = w.dependency_type(BlockWriter::type_record("Odd", 8, vec![]));
        w.dependency(index, b"12345678");
    });
    refused("lying type", &|w| {
        let members = vec![BlockWriter::member("id", "u64", u64::MAX, 8)];
        let index = w.dependency_type(BlockWriter::type_record("Liar", 8, members));
        w.dependency(index, b"12345678");
    });
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_type_that_lies_is_an_error_only_where_it_is_read() {
    let mut w = with_call_site();
    for (size, members) in [
        (1 << 40, vec![]),
        (8, vec![BlockWriter::member("time", "i64", 4, 8)]),
        (8, vec![BlockWriter::member("time", "i32", 0, 4)]),
        (8, vec![BlockWriter::member("time", "i64", 0, 4)]),
        (8, vec![BlockWriter::reference("time", 4)]),
    ] {
        w.event_type(BlockWriter::type_record("Liar", size, members));
    }
    w.event(0, &[0; 16]);
    let block = open(&w).unwrap();
    assert_eq!(block.events().count(), 1);
    for liar in block.layout().events().iter().filter(|t| t.name() == "Liar") {
        assert!(liar.i64("time").is_err());
    }
}

/// Reads everything there is to read.
fn read_all(block: &TransitBlock) -> usize {
    let d = block.dependencies();
    for dependency in d.iter() {
        let _ = (d.text(dependency), d.properties(dependency));
        if let Some(record) = d.record(dependency) {
            let _ = (record.text("target"), record.u32("level"));
        }
    }
    let mut count = 0;
    for event in block.events() {
        let Ok(event) = event else { break };
        count += 1;
        let _ = block.event_to_jsonb(&event, 1 << 16, &mut Vec::new());
        for event_type in block.layout().events() {
            let _ = event_type.i64("time").and_then(|f| f.get(&event));
            let _ = event_type.reference("desc").and_then(|f| f.get(&event));
            let _ = event_type.text("msg").and_then(|f| f.get(&event)).map(|t| t.to_str().len());
            let _ = event_type.bytes("data").and_then(|f| f.get(&event)).map(<[u8]>::len);
        }
    }
    count
}

fn any_type() -> impl Strategy<Value = TypeRecord> {
    let names = prop_oneof![
        Just("StaticString"),
        Just("StaticStringDependency"),
        Just("PropertySetDependency"),
        Just("Property"),
        Just("StaticStringRef"),
        Just("StringId"),
        Just("LogStringEvent"),
        Just("LogStringEventV2"),
        Just("LogStringInteropEventV2"),
        Just("LogStringInteropEventV3"),
        Just("TaggedLogInteropEvent"),
        Just("TaggedLogString"),
        Just("ImageEvent"),
        Just("LogMetadataRecord"),
        Just("Other"),
    ];
    let member_names = prop_oneof![Just("id"), Just("time"), Just("desc"), Just("name"), Just("value")];
    let types = prop_oneof![Just("u8"), Just("u32"), Just("u64"), Just("i64"), Just("f64"), Just("StringId")];
    let edges = || prop_oneof![0_u64..40, Just(u64::MAX), Just(u64::from(u32::MAX)), Just(1 << 40)];
    let member = (member_names, types, edges(), edges(), any::<bool>()).prop_map(
        |(name, type_name, offset, size, is_reference)| MemberRecord {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            offset,
            size,
            is_reference,
        },
    );
    (names, edges(), proptest::collection::vec(member, 0..4), any::<bool>()).prop_map(
        |(name, size, members, is_reference)| TypeRecord {
            name: name.to_owned(),
            size,
            members,
            is_reference,
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_under_any_types_give_events_or_an_error(
        dependency_types in proptest::collection::vec(any_type(), 0..6),
        object_types in proptest::collection::vec(any_type(), 0..6),
        dependencies in proptest::collection::vec(prop_oneof![0_u8..6, any::<u8>()], 0..300),
        objects in proptest::collection::vec(prop_oneof![0_u8..6, any::<u8>()], 0..300),
    ) {
        let encode = crate::wire::TypeRecord::encode_all;
        let layout = StreamLayout::parse(&encode(&dependency_types), &encode(&object_types), &layouts()).unwrap();
        let size = objects.len();
        if let Ok(block) = TransitBlock::from_buffers(Arc::new(layout), dependencies, objects) {
            prop_assert!(read_all(&block) <= size);
        }
    }

    #[test]
    fn a_flipped_bit_gives_events_or_an_error(at in any::<prop::sample::Index>(), bit in 0..8, of_objects: bool) {
        let mut w = with_call_site();
        w.dependency(3, &property_set(9, &[(1, 2), (2, 1)]));
        let event = [&7_u64.to_le_bytes()[..], &5_i64.to_le_bytes(), &BlockWriter::coded_text("hi")].concat();
        w.event(1, &event);
        w.event(0, &event[..16]);
        let (dependency_types, object_types) = w.metadata();
        let layout = Arc::new(StreamLayout::parse(&dependency_types, &object_types, &layouts()).unwrap());
        let payload = w.payload();
        let mut dependencies = decompress(&payload.dependencies, 1 << 20, "dependencies").unwrap();
        let mut objects = decompress(&payload.objects, 1 << 20, "objects").unwrap();
        let buffer = if of_objects { &mut objects } else { &mut dependencies };
        let i = at.index(buffer.len());
        buffer[i] ^= 1_u8 << bit;
        if let Ok(block) = TransitBlock::from_buffers(layout, dependencies, objects) {
            read_all(&block);
        }
    }
}
