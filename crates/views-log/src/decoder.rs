//! Log blocks of native clients, every event type that a published client has ever sent.
//!
//! Two families: events of the client's own macros refer to a call site (`desc`) that has level, target and
//! text; events that come through a logging bridge carry level and target themselves.

use crate::log_entries;
use crate::template::render;
use belvedere_view::prelude::*;

/// Decodes log blocks.
#[derive(Debug)]
pub(crate) struct LogDecoder;

/// How the events of one type are read.
enum Shape {
    CallSite {
        desc: ReferenceField,
        time: I64Field,
        properties: Option<ReferenceField>,
        message: Message,
    },
    Bridge {
        level: U32Field,
        target: ReferenceField,
        time: I64Field,
        properties: Option<ReferenceField>,
        message: Message,
    },
    /// Not a log event: no row.
    Unknown,
}

/// Where the text of a message is.
#[derive(Clone, Copy)]
enum Message {
    /// The call site's text, as it is.
    OfCallSite,
    /// The call site's text, filled in with the event's properties.
    Template,
    /// In the event.
    Inline(TextField),
    /// In the dependencies.
    Reference(ReferenceField),
}

fn shape(event: &EventType) -> Result<Shape, DecodeError> {
    let call_site = |properties, message| -> Result<Shape, DecodeError> {
        let (desc, time) = (event.reference("desc")?, event.i64("time")?);
        Ok(Shape::CallSite { desc, time, properties, message })
    };
    let bridge = |properties, message| -> Result<Shape, DecodeError> {
        Ok(Shape::Bridge {
            level: event.u32("level")?,
            target: event.reference("target")?,
            time: event.i64("time")?,
            properties,
            message,
        })
    };
    match event.name() {
        "LogStaticStrEvent" => call_site(None, Message::OfCallSite),
        "LogStringEvent" | "LogStringEventV2" => call_site(None, Message::Inline(event.text("msg")?)),
        "TaggedLogString" => {
            call_site(Some(event.reference("properties")?), Message::Inline(event.text("msg")?))
        }
        "TaggedLogStaticStrEvent" => call_site(Some(event.reference("properties")?), Message::OfCallSite),
        "TaggedLogTemplateEvent" => call_site(Some(event.reference("properties")?), Message::Template),
        "LogStaticStrInteropEvent" | "LogStaticStrInteropEventV2" => {
            bridge(None, Message::Reference(event.reference("msg")?))
        }
        "LogStringInteropEventV2" | "LogStringInteropEventV3" => {
            bridge(None, Message::Inline(event.text("msg")?))
        }
        "TaggedLogInteropEvent" => {
            bridge(Some(event.reference("properties")?), Message::Inline(event.text("msg")?))
        }
        _ => Ok(Shape::Unknown),
    }
}

#[derive(Clone, Copy)]
struct CallSite {
    level: i32,
    target: i32,
    text: Dependency,
}

/// What a property set says instead of the call site.
#[derive(Clone, Copy, Default)]
struct Overrides {
    level: Option<i32>,
    target: Option<Dependency>,
}

/// Things that are resolved once for each dependency of a block.
struct Resolved<'a> {
    dependencies: &'a Dependencies,
    targets: TextDictionary<'a>,
    call_sites: Vec<Option<CallSite>>,
    overrides: Vec<Option<Overrides>>,
}

impl Resolved<'_> {
    fn call_site(&mut self, desc: Dependency) -> Result<CallSite, DecodeError> {
        if let Some(site) = self.call_sites[desc.index()] {
            return Ok(site);
        }
        let record = self
            .dependencies
            .record(desc)
            .ok_or_else(|| DecodeError::corrupt("a log event refers to something else than a call site"))?;
        let site = CallSite {
            level: record.u32("level")? as i32,
            target: self.targets.key(record.text("target")?)?,
            text: record.text("fmt_str")?,
        };
        self.call_sites[desc.index()] = Some(site);
        Ok(site)
    }

    fn overrides(&mut self, set: Dependency) -> Result<Overrides, DecodeError> {
        if let Some(overrides) = self.overrides[set.index()] {
            return Ok(overrides);
        }
        let mut overrides = Overrides::default();
        for (name, value) in property_set(self.dependencies, set)? {
            match self.dependencies.text(*name) {
                Some("level") => {
                    // a word that is no level leaves the call site's: the property itself is kept
                    overrides.level = self.dependencies.text(*value).and_then(level).or(overrides.level);
                }
                Some("target") => overrides.target = Some(*value),
                _ => {}
            }
        }
        self.overrides[set.index()] = Some(overrides);
        Ok(overrides)
    }
}

fn property_set(d: &Dependencies, set: Dependency) -> Result<&[(Dependency, Dependency)], DecodeError> {
    d.properties(set)
        .ok_or_else(|| DecodeError::corrupt("a log event refers to something else than a property set"))
}

fn level(word: &str) -> Option<i32> {
    let words = ["fatal", "error", "warning", "info", "debug", "trace"];
    words.iter().position(|w| *w == word).map(|i| i as i32 + 1)
}

impl BlockDecoder for LogDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        let dependencies = transit.dependencies();
        let shapes: Vec<Result<Shape, DecodeError>> = transit.layout().events().iter().map(shape).collect();
        let mut resolved = Resolved {
            dependencies,
            targets: TextDictionary::new(dependencies),
            call_sites: vec![None; dependencies.len()],
            overrides: vec![None; dependencies.len()],
        };
        let mut sets = PropertyDictionary::new(dependencies, rows.text_limit());
        let mut messages = TextColumn::new(transit, rows.text_limit());
        // the announced number of events is only a hint
        let hint = (block.info().nb_objects.max(0) as usize).min(transit.objects().len() / 8);
        let mut times = Vec::with_capacity(hint);
        let mut targets = Vec::with_capacity(hint);
        let mut levels = Vec::with_capacity(hint);
        let mut properties = Vec::with_capacity(hint);
        let mut rendered = String::new();

        for event in transit.events() {
            let event = event?;
            let (site, set, message, time) = match &shapes[usize::from(event.type_index)] {
                Ok(Shape::CallSite { desc, time, properties, message }) => {
                    let mut site = resolved.call_site(dependencies.find(desc.get(&event)?)?)?;
                    let set = find(*properties, &event, dependencies)?;
                    if let Some(set) = set {
                        let overrides = resolved.overrides(set)?;
                        site.level = overrides.level.unwrap_or(site.level);
                        if let Some(target) = overrides.target {
                            site.target = resolved.targets.key(target)?;
                        }
                    }
                    (site, set, message, time.get(&event)?)
                }
                Ok(Shape::Bridge { level, target, time, properties, message }) => {
                    let target = dependencies.find(target.get(&event)?)?;
                    let site = CallSite {
                        level: level.get(&event)? as i32,
                        target: resolved.targets.key(target)?,
                        text: target,
                    };
                    (site, find(*properties, &event, dependencies)?, message, time.get(&event)?)
                }
                Ok(Shape::Unknown) => continue,
                Err(e) => return Err(e.clone()),
            };
            match message {
                Message::Inline(text) => messages.push_text(text.get(&event)?)?,
                Message::OfCallSite => messages.push_dependency(dependencies, site.text)?,
                Message::Reference(text) => {
                    messages.push_dependency(dependencies, dependencies.find(text.get(&event)?)?)?;
                }
                Message::Template => {
                    let set = set.map_or(Ok(&[][..]), |set| property_set(dependencies, set))?;
                    let property = |name: &str| {
                        let pair = set.iter().find(|p| dependencies.text(p.0) == Some(name))?;
                        dependencies.text(pair.1)
                    };
                    let template = dependencies.text(site.text).unwrap_or_default();
                    rendered.clear();
                    render(template, property, &mut rendered, rows.text_limit())?;
                    messages.push_str(&rendered)?;
                }
            }
            times.push(clock.time_of(time));
            targets.push(site.target);
            levels.push(site.level);
            properties.push(match set {
                Some(set) => sets.key(set)?,
                None => PropertyDictionary::EMPTY,
            });
        }

        let count = times.len();
        rows.put(&log_entries::TIME, times)?;
        rows.put(&log_entries::LEVEL, levels)?;
        rows.put_with(&log_entries::TARGET, || resolved.targets.finish(targets))?;
        rows.put_with(&log_entries::MSG, || messages.finish())?;
        rows.put_with(&log_entries::PROPERTIES, || sets.finish(properties))?;
        Ok(count)
    }
}

#[inline]
fn find(
    field: Option<ReferenceField>,
    event: &Event<'_>,
    dependencies: &Dependencies,
) -> Result<Option<Dependency>, DecodeError> {
    match field {
        Some(field) => dependencies.find(field.get(event)?).map(Some),
        None => Ok(None),
    }
}
