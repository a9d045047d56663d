//! Asynchronous spans of native clients, out of the blocks of thread streams.

use crate::async_events;
use crate::call_site::{Site, Sites};
use belvedere_view::prelude::*;

/// Decodes the asynchronous events of thread blocks.
#[derive(Debug)]
pub(crate) struct AsyncDecoder;

/// How the events of one type are read.
struct Shape {
    is_begin: bool,
    place: ReferenceField,
    name: Option<ReferenceField>,
    properties: Option<ReferenceField>,
    span_id: I64Field,
    parent_span_id: I64Field,
    depth: U32Field,
    time: I64Field,
}

/// `None`: not an asynchronous event, no row.
fn shape(event: &EventType) -> Result<Option<Shape>, DecodeError> {
    let (is_begin, is_named, is_tagged) = match event.name() {
        "BeginAsyncSpanEvent" => (true, false, false),
        "EndAsyncSpanEvent" => (false, false, false),
        "TaggedEndAsyncSpanEvent" => (false, false, true),
        "BeginAsyncNamedSpanEvent" | "BeginAsyncDynNamedSpanEvent" => (true, true, false),
        "EndAsyncNamedSpanEvent" | "EndAsyncDynNamedSpanEvent" => (false, true, false),
        "TaggedEndAsyncNamedSpanEvent" => (false, true, true),
        _ => return Ok(None),
    };
    Ok(Some(Shape {
        is_begin,
        place: event.reference(if is_named { "span_location" } else { "span_desc" })?,
        name: if is_named { Some(event.reference("name")?) } else { None },
        properties: if is_tagged { Some(event.reference("properties")?) } else { None },
        span_id: event.i64("span_id")?,
        parent_span_id: event.i64("parent_span_id")?,
        depth: event.u32("depth")?,
        time: event.i64("time")?,
    }))
}

impl Shape {
    fn site(&self, event: &Event<'_>, sites: &mut Sites<'_>) -> Result<u32, DecodeError> {
        match self.name {
            Some(name) => sites.of_name(self.place.get(event)?, name.get(event)?),
            None => sites.of_record(self.place.get(event)?),
        }
    }
}

impl BlockDecoder for AsyncDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        let dependencies = transit.dependencies();
        let shapes: Vec<Result<Option<Shape>, DecodeError>> =
            transit.layout().events().iter().map(shape).collect();
        let mut sites = Sites::new(dependencies, &[]);
        let mut sets = PropertyDictionary::new(dependencies, rows.text_limit());
        let (mut times, mut kinds, mut properties) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut parents, mut depths) = (Vec::new(), Vec::new(), Vec::new());
        let mut places: Vec<u32> = Vec::new();
        for event in transit.events() {
            let event = event?;
            let shape = match &shapes[usize::from(event.type_index)] {
                Ok(Some(shape)) => shape,
                Ok(None) => continue,
                Err(e) => return Err(e.clone()),
            };
            places.push(shape.site(&event, &mut sites)?);
            times.push(clock.time_of(shape.time.get(&event)?));
            kinds.push(i32::from(!shape.is_begin));
            ids.push(shape.span_id.get(&event)?);
            parents.push(shape.parent_span_id.get(&event)?);
            depths.push(shape.depth.get(&event)?);
            properties.push(match shape.properties {
                Some(set) => sets.key(dependencies.find(set.get(&event)?)?)?,
                None => PropertyDictionary::EMPTY,
            });
        }
        let count = times.len();
        rows.put(&async_events::TIME, times)?;
        rows.put(&async_events::SPAN_ID, ids)?;
        rows.put(&async_events::PARENT_SPAN_ID, parents)?;
        rows.put(&async_events::DEPTH, depths)?;
        rows.put_labels(&async_events::EVENT_TYPE, kinds, ["begin", "end"])?;
        put_sites(rows, &SITE, &sites, dependencies, &places)?;
        rows.put_with(&async_events::PROPERTIES, || sets.finish(properties))?;
        Ok(count)
    }
}

/// The columns that follow from the place in the code, of one of the view sets.
#[derive(Debug)]
pub(crate) struct SiteColumns {
    pub(crate) name: Column,
    pub(crate) target: Column,
    pub(crate) filename: Column,
    pub(crate) line: Column,
    pub(crate) hash: Column,
}

const SITE: SiteColumns = SiteColumns {
    name: async_events::NAME,
    target: async_events::TARGET,
    filename: async_events::FILENAME,
    line: async_events::LINE,
    hash: async_events::HASH,
};

/// Puts the columns that follow from the place in the code; `places` has its number for each row.
pub(crate) fn put_sites(
    rows: &mut Rows<'_>,
    columns: &SiteColumns,
    sites: &Sites<'_>,
    dependencies: &Dependencies,
    places: &[u32],
) -> Result<(), DecodeError> {
    type Part = for<'s> fn(&Site<'s>) -> &'s str;
    let parts: [(&Column, Part); 3] =
        [(&columns.name, |s| s.name), (&columns.target, |s| s.target), (&columns.filename, |s| s.filename)];
    for (column, part) in parts {
        rows.put_with(column, || {
            let mut texts = TextDictionary::new(dependencies);
            // only what is there: states carry places that no row of this block is of
            let mut keys = vec![-1; sites.all().len()];
            let of_rows = places.iter().map(|place| {
                let key = &mut keys[*place as usize];
                if *key < 0 {
                    *key = texts.literal(part(sites.get(*place)));
                }
                *key
            });
            let of_rows = of_rows.collect();
            texts.finish(of_rows)
        })?;
    }
    let numbers = |part: fn(&Site<'_>) -> u32| -> Result<Vec<u32>, DecodeError> {
        Ok(places.iter().map(|place| part(sites.get(*place))).collect())
    };
    rows.put_with(&columns.hash, || numbers(|site| site.hash))?;
    rows.put_with(&columns.line, || numbers(|site| site.line))
}
