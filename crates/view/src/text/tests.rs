//! Columns over blocks made by hand.

use super::*;
use arrow_array::cast::AsArray;
use belvedere_model::transit::{BlockWriter, EventField, EventLayout, StreamLayout};
use proptest::prelude::*;

static MESSAGE: EventLayout =
    EventLayout::new("Message", &[EventField::i64("time"), EventField::text("msg")]);

/// A stream of messages; its dependencies are texts and sets of one property.
fn writer() -> BlockWriter {
    let mut w = BlockWriter::new();
    let record = BlockWriter::type_record;
    w.dependency_type(record("StaticStringDependency", 0, vec![]));
    w.dependency_type(record("PropertySetDependency", 0, vec![]));
    let property = vec![BlockWriter::reference("name", 0), BlockWriter::reference("value", 8)];
    w.dependency_type(record("Property", 16, property));
    w.event_type(record("Message", 0, vec![]));
    w
}

fn text_dependency(id: u64, text: &str) -> Vec<u8> {
    [&id.to_le_bytes(), BlockWriter::coded_text(text).as_slice()].concat()
}

fn property_set(id: u64, (name, value): (u64, u64)) -> Vec<u8> {
    [&id.to_le_bytes()[..], &1_u32.to_le_bytes(), &name.to_le_bytes(), &value.to_le_bytes()].concat()
}

fn message(coded_text: &[u8]) -> Vec<u8> {
    [&5_i64.to_le_bytes()[..], coded_text].concat()
}

fn open(w: &BlockWriter) -> TransitBlock {
    let (dependencies, objects) = w.metadata();
    let layout = StreamLayout::parse(&dependencies, &objects, &[&MESSAGE].into_iter().collect()).unwrap();
    TransitBlock::new(Arc::new(layout), &w.payload(), 1 << 20).unwrap()
}

/// The messages of a block.
fn messages(block: &TransitBlock) -> ArrayRef {
    let msg = block.event("Message").unwrap().text("msg").unwrap();
    let mut column = TextColumn::new(block, 1 << 20);
    for event in block.events() {
        column.push_text(msg.get(&event.unwrap()).unwrap()).unwrap();
    }
    column.finish().unwrap()
}

proptest! {
    #[test]
    fn texts_come_back_as_they_were_written(texts in proptest::collection::vec(".{0,40}", 0..20)) {
        let mut w = writer();
        for text in &texts {
            w.event(0, &message(&BlockWriter::coded_text(text)));
        }
        let column = messages(&open(&w));
        let found: Vec<_> = column.as_string_view().iter().map(|t| t.unwrap().to_owned()).collect();
        prop_assert_eq!(found, texts);
    }
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters_in_a_column() {
    let mut w = writer();
    for text in [&b"caf\xe9 with more than twelve bytes"[..], b"ok", b"\xff"] {
        let mut coded = vec![0];
        coded.extend((text.len() as u32).to_le_bytes());
        coded.extend(text);
        w.event(0, &message(&coded));
    }
    let column = messages(&open(&w));
    let texts: Vec<_> = column.as_string_view().iter().map(|t| t.unwrap()).collect();
    assert_eq!(texts, ["caf\u{fffd} with more than twelve bytes", "ok", "\u{fffd}"]);
}

#[test]
fn few_long_texts_that_many_sets_share_do_not_make_memory_without_bound() {
    let mut w = writer();
    w.dependency(0, &text_dependency(1, "name"));
    w.dependency(0, &text_dependency(100, &"x".repeat(1000)));
    for id in 1000..2000 {
        w.dependency(1, &property_set(id, (1, 100)));
    }
    let block = open(&w);
    let d = block.dependencies();
    let mut sets = PropertyDictionary::new(d, 100_000);
    let outcome: Result<Vec<i32>, _> = (1000..2000).map(|id| sets.key(d.find(id).unwrap())).collect();
    assert_eq!(outcome, Err(DecodeError::TooLarge { limit: 100_000 }));
    let mut column = TextColumn::new(&block, 100_000);
    let text = d.find(100).unwrap();
    // shared texts stay where they are …
    assert_eq!((0..1000).try_for_each(|_| column.push_dependency(d, text)), Ok(()));
    // … copies count
    let outcome = (0..1000).try_for_each(|_| column.push_str(d.text(text).unwrap()));
    assert_eq!(outcome, Err(DecodeError::TooLarge { limit: 100_000 }));
}
