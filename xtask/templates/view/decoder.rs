//! From blocks of native clients to rows: one for each `{{Set}}Event`.

use crate::{{set}}::COLUMNS;
use belvedere_core::arrow::array::ArrayRef;
use belvedere_view::prelude::*;
use belvedere_view::Origin;
use belvedere_model::transit::{Event, EventType, I64Field, ReferenceField, TransitBlock};
use std::sync::LazyLock;

/// Decodes blocks with `{{Set}}Event`s.
#[derive(Debug)]
pub(crate) struct {{Set}}Decoder;

/// All that core does not fill: derived, so that a new column is not to be named in one more place.
static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| COLUMNS.iter().filter(|c| c.origin == Origin::Decoder).map(|c| c.name).collect());

impl BlockDecoder for {{Set}}Decoder {
    fn columns(&self) -> &'static [&'static str] {
        &NAMES
    }

    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        // a stream that did not announce the type has no events of it
        let Some(kind) = transit.event("{{Set}}Event") else { return Ok(0) };
        let events = Events { transit, kind };
        let times = events.each(kind.i64("time")?, |time, event| Ok(clock.time_of(time.get(event)?)))?;
        let count = times.len();
        rows.put("time", times)?;
        // a line for each column: a double is `kind.f64("weight")?, F64Field::get`
        rows.put("number", events.each(kind.i64("number")?, I64Field::get)?)?;
        rows.put("label", events.texts(kind.reference("label")?)?)?;
        Ok(count)
    }
}

/// The events of one type in a block, to be read column by column.
struct Events<'a> {
    transit: &'a TransitBlock,
    kind: &'a EventType,
}

impl Events<'_> {
    /// A value of each event. An event that can't be read is an error: it costs the block's rows, not the query.
    fn each<F: Copy, T>(
        &self,
        field: F,
        mut value: impl FnMut(F, &Event<'_>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let events = self.transit.events();
        let ours = events.filter(|e| !matches!(e, Ok(e) if e.type_index != self.kind.index()));
        ours.map(|event| value(field, &event?)).collect()
    }

    /// The text that each event refers to: a reference is an id, whose text came once with the block.
    fn texts(&self, field: ReferenceField) -> Result<ArrayRef, DecodeError> {
        let dependencies = self.transit.dependencies();
        let mut texts = TextDictionary::new(dependencies);
        let keys = self.each(field, |field, event| texts.key(dependencies.find(field.get(event)?)?))?;
        texts.finish(keys)
    }
}
