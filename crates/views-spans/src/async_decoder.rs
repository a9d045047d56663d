//! Asynchronous spans of native clients, out of the blocks of thread streams.

use crate::call_site::Sites;
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
    fn columns(&self) -> &'static [&'static str] {
        &[
            "time",
            "event_type",
            "span_id",
            "parent_span_id",
            "name",
            "filename",
            "target",
            "line",
            "depth",
            "hash",
            "properties",
        ]
    }

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
        rows.put("time", times)?;
        rows.put("span_id", ids)?;
        rows.put("parent_span_id", parents)?;
        rows.put("depth", depths)?;
        rows.put_labels("event_type", kinds, ["begin", "end"])?;
        put_sites(rows, &sites, dependencies, &places)?;
        if rows.wants("properties") {
            rows.put("properties", sets.finish(properties)?)?;
        }
        Ok(count)
    }
}

/// Puts the columns that follow from the place in the code; `places` has its number for each row.
pub(crate) fn put_sites(
    rows: &mut Rows<'_>,
    sites: &Sites<'_>,
    dependencies: &belvedere_model::transit::Dependencies,
    places: &[u32],
) -> Result<(), DecodeError> {
    type Part = for<'s> fn(&crate::call_site::Site<'s>) -> &'s str;
    let parts: [(&str, Part); 3] =
        [("name", |s| s.name), ("target", |s| s.target), ("filename", |s| s.filename)];
    for (column, part) in parts {
        if rows.wants(column) {
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
            rows.put(column, texts.finish(of_rows)?)?;
        }
    }
    if rows.wants("hash") {
        rows.put("hash", places.iter().map(|p| sites.get(*p).hash).collect::<Vec<_>>())?;
    }
    if rows.wants("line") {
        rows.put("line", places.iter().map(|p| sites.get(*p).line).collect::<Vec<_>>())?;
    }
    Ok(())
}
