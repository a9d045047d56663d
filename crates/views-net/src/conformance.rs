//! The promises of all view sets, for this one.

use belvedere_model::transit::{EventField, EventKind, EventWriter};
use belvedere_testkit::FakeProcess;
use std::ops::Range;

belvedere_testkit::conformance! {
    net_spans: Subject { view_set: "net_spans", registrations: crate::registrations, sample: super::sample },
}

/// What is sent over a connection: an object with four properties, and a call with three. Ten spans.
const CONNECTION: [Part; 13] = {
    use Part::{Begin, BeginCall, BeginObject, End, EndCall, EndObject, Property};
    [
        Begin,
        BeginObject,
        Property,
        Property,
        Property,
        Property,
        EndObject,
        BeginCall,
        Property,
        Property,
        Property,
        EndCall,
        End,
    ]
};

#[derive(Debug, Clone, Copy)]
enum Part {
    Begin,
    BeginObject,
    Property,
    EndObject,
    BeginCall,
    EndCall,
    End,
}

/// Connections one after the other, in three blocks that begin and end within one. Each span has a name of its own.
fn sample(count: usize) -> FakeProcess {
    let events = CONNECTION.len() * count.div_ceil(10);
    let of_block = events / 3 + 1;
    let blocks: Vec<_> = (0..events)
        .step_by(of_block)
        .map(|from| {
            let to = events.min(from + of_block);
            (1000 * from as i64, 1000 * (to - 1) as i64, block(from..to))
        })
        .collect();
    let mut program = FakeProcess::new("game");
    program.stream("net", blocks);
    program
}

/// The types of net events.
pub(crate) struct Types {
    pub(crate) connection: [EventKind; 2],
    pub(crate) object: [EventKind; 2],
    pub(crate) call: [EventKind; 2],
    pub(crate) property: EventKind,
}

impl Types {
    pub(crate) fn declare(writer: &mut EventWriter) -> Self {
        let (time, bits) = (EventField::i64("time"), EventField::u32("bit_size"));
        let is_outgoing = EventField::u8("is_outgoing");
        let [connection, object, call, property] =
            ["connection_name", "object_name", "function_name", "property_name"].map(EventField::reference);
        Self {
            connection: [
                writer.event_type("NetConnectionBeginEvent", &[time, connection, is_outgoing]),
                writer.event_type("NetConnectionEndEvent", &[time, bits]),
            ],
            object: [
                writer.event_type("NetObjectBeginEvent", &[time, object]),
                writer.event_type("NetObjectEndEvent", &[time, bits]),
            ],
            call: [
                writer.event_type("NetRPCBeginEvent", &[time, call]),
                writer.event_type("NetRPCEndEvent", &[time, bits]),
            ],
            property: writer.event_type("NetPropertyEvent", &[time, property, bits]),
        }
    }
}

fn block(events: Range<usize>) -> EventWriter {
    let mut writer = EventWriter::new();
    let types = Types::declare(&mut writer);
    for i in events {
        let time = 1000 * i;
        let mut name = || writer.text(&format!("part {i}"));
        match CONNECTION[i % CONNECTION.len()] {
            Part::Begin => {
                let name = name();
                writer.event(types.connection[0], (time, name, i / CONNECTION.len() % 2));
            }
            Part::BeginObject => {
                let name = name();
                writer.event(types.object[0], (time, name));
            }
            Part::BeginCall => {
                let name = name();
                writer.event(types.call[0], (time, name));
            }
            Part::Property => {
                let name = name();
                writer.event(types.property, (time, name, 1 + i % 32));
            }
            Part::EndObject => writer.event(types.object[1], (time, 200)),
            Part::EndCall => writer.event(types.call[1], (time, 200)),
            Part::End => writer.event(types.connection[1], (time, 500)),
        }
    }
    writer
}
