//! Packets of a trace, one behind the other.
//!
//! Texts that come again are sent once and then named by a number; so that memory does not grow with what a program
//! makes up, only the first of them are.

use super::proto::{
    DebugAnnotation, EventKind, InternedData, InternedText, SourceLocation, TracePacket, TrackDescriptor,
    TrackEvent,
};
use foldhash::HashMap;
use prost::Message;

/// Texts, or places in the code, that get a number.
const NUMBERED: usize = 50_000;
/// Field 1 of a trace, its packets: of variable length.
const PACKET: u8 = 1 << 3 | 2;
/// All packets are of one sequence.
const SEQUENCE: u32 = 1;
const STATE_CLEARED: u32 = 1;
const NEEDS_STATE: u32 = 2;

/// What a slice or an instant is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    /// Empty for none.
    pub(super) category: &'a str,
    /// File and line.
    pub(super) place: Option<(&'a str, u32)>,
}

/// Makes the bytes of a trace.
#[derive(Default)]
pub(super) struct TraceWriter {
    bytes: Vec<u8>,
    is_begun: bool,
    names: HashMap<String, u64>,
    categories: HashMap<String, u64>,
    places: HashMap<(String, u32), u64>,
}

impl TraceWriter {
    /// Bytes that wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the bytes so far.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Announces a track.
    pub(super) fn track(&mut self, track: TrackDescriptor) {
        self.packet(TracePacket { track_descriptor: Some(track), ..TracePacket::default() });
    }

    pub(super) fn begin(&mut self, track: u64, time: i64, label: Label<'_>, notes: Vec<DebugAnnotation>) {
        self.labelled(EventKind::SliceBegin, track, time, label, notes);
    }

    pub(super) fn end(&mut self, track: u64, time: i64) {
        let event =
            TrackEvent { kind: EventKind::SliceEnd.into(), track_uuid: track, ..TrackEvent::default() };
        self.event(time, event, None);
    }

    pub(super) fn instant(&mut self, track: u64, time: i64, label: Label<'_>, notes: Vec<DebugAnnotation>) {
        self.labelled(EventKind::Instant, track, time, label, notes);
    }

    pub(super) fn value(&mut self, track: u64, time: i64, value: f64) {
        let event = TrackEvent {
            kind: EventKind::Counter.into(),
            track_uuid: track,
            double_counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.event(time, event, None);
    }

    fn labelled(
        &mut self,
        kind: EventKind,
        track: u64,
        time: i64,
        label: Label<'_>,
        debug_annotations: Vec<DebugAnnotation>,
    ) {
        let mut new = InternedData::default();
        let mut event =
            TrackEvent { kind: kind.into(), track_uuid: track, debug_annotations, ..TrackEvent::default() };
        // what an instant is called is a message: it will hardly come again
        let number = match kind {
            EventKind::Instant => None,
            _ => number_of_text(&mut self.names, label.name, &mut new.event_names),
        };
        match number {
            Some(iid) => event.name_iid = Some(iid),
            None => event.name = Some(label.name.to_owned()),
        }
        if !label.category.is_empty() {
            match number_of_text(&mut self.categories, label.category, &mut new.event_categories) {
                Some(iid) => event.category_iids = vec![iid],
                None => event.categories = vec![label.category.to_owned()],
            }
        }
        if let Some((file, line)) = label.place {
            event.source_location_iid = self.place(file, line, &mut new);
        }
        let has_new = !(new.event_names.is_empty()
            && new.event_categories.is_empty()
            && new.source_locations.is_empty());
        self.event(time, event, has_new.then_some(new));
    }

    fn place(&mut self, file: &str, line: u32, new: &mut InternedData) -> Option<u64> {
        // looked up by a key of its own: a place costs one small copy
        let key = (file.to_owned(), line);
        if let Some(iid) = self.places.get(&key) {
            return Some(*iid);
        }
        if self.places.len() >= NUMBERED {
            return None;
        }
        let iid = self.places.len() as u64 + 1;
        new.source_locations.push(SourceLocation { iid, file_name: file.to_owned(), line_number: line });
        self.places.insert(key, iid);
        Some(iid)
    }

    fn event(&mut self, time: i64, event: TrackEvent, interned_data: Option<InternedData>) {
        self.packet(TracePacket {
            timestamp: Some(time.max(0) as u64),
            track_event: Some(event),
            interned_data,
            ..TracePacket::default()
        });
    }

    fn packet(&mut self, mut packet: TracePacket) {
        packet.trusted_packet_sequence_id = SEQUENCE;
        packet.sequence_flags = NEEDS_STATE;
        if !self.is_begun {
            self.is_begun = true;
            packet.first_packet_on_sequence = true;
            packet.sequence_flags |= STATE_CLEARED;
        }
        self.bytes.push(PACKET);
        // a vector takes whatever comes
        let written = packet.encode_length_delimited(&mut self.bytes);
        debug_assert!(written.is_ok(), "a vector has room");
    }
}

/// The number of a text; it is announced with `new` if it has just got one. `None` if there are too many.
fn number_of_text(
    numbers: &mut HashMap<String, u64>,
    text: &str,
    new: &mut Vec<InternedText>,
) -> Option<u64> {
    if let Some(iid) = numbers.get(text) {
        return Some(*iid);
    }
    if numbers.len() >= NUMBERED {
        return None;
    }
    let iid = numbers.len() as u64 + 1;
    new.push(InternedText { iid, name: text.to_owned() });
    numbers.insert(text.to_owned(), iid);
    Some(iid)
}

/// A number to be shown with a slice.
pub(super) fn note(name: &str, value: i64) -> DebugAnnotation {
    DebugAnnotation { name: name.to_owned(), int_value: Some(value), ..DebugAnnotation::default() }
}
