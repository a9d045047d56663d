//! Registrations, checked and in order.

use super::checks::{ByName, check_filled, check_kept, check_query, check_view_set, duplicate, unusable};
use super::dependencies::in_order;
use super::nearest;
use crate::error::AssemblyError;
use belvedere_model::transit::{EventLayout, EventLayouts};
use belvedere_view::{
    API_VERSION, BlockParserRegistration, BlockSource, Column, Decoder, Extension, Item, Origin, ParseBlock,
    Registration, Source, ViewSet,
};
use std::collections::BTreeMap;

/// Everything that a program's crates registered, fit together. The same for every order of the input.
#[derive(Debug, Clone)]
pub struct Assembly {
    /// By dependency, ties by name.
    view_sets: Vec<(&'static ViewSet, &'static str)>,
    /// Block sources by view set.
    sources: BTreeMap<&'static str, Vec<BlockSource>>,
    /// Layouts of native events by type name.
    layouts: BTreeMap<&'static str, (&'static EventLayout, &'static str)>,
    /// What this crate and others give a meaning.
    extensions: Vec<(&'static dyn Extension, &'static str)>,
    /// Block parsers by format.
    parsers: BTreeMap<&'static str, (&'static BlockParserRegistration, &'static str)>,
    /// Crates and their versions.
    crates: BTreeMap<&'static str, &'static str>,
    /// What it was made of.
    registrations: Vec<&'static Registration>,
}

impl Assembly {
    /// Fits registrations together. A registration that is in the list twice (the very same one) counts
    /// once.
    pub fn new(
        registrations: impl IntoIterator<Item = &'static Registration>,
    ) -> Result<Self, AssemblyError> {
        let mut registrations: Vec<&'static Registration> = registrations.into_iter().collect();
        registrations.sort_by_key(|r| (r.crate_name, item_key(&r.item), std::ptr::from_ref(*r) as usize));
        registrations.dedup_by(|a, b| std::ptr::eq(*a, *b));

        let mut assembly = Self {
            view_sets: Vec::new(),
            sources: BTreeMap::new(),
            layouts: BTreeMap::new(),
            extensions: Vec::new(),
            parsers: BTreeMap::new(),
            crates: BTreeMap::new(),
            registrations: registrations.clone(),
        };
        let mut view_sets: BTreeMap<&'static str, (&'static ViewSet, &'static str)> = BTreeMap::new();
        let mut others = Vec::new();
        for r in registrations {
            if r.api_version != API_VERSION {
                return Err(AssemblyError::ApiVersion {
                    crate_name: r.crate_name.to_owned(),
                    found: r.api_version,
                    expected: API_VERSION,
                });
            }
            assembly.crates.insert(r.crate_name, r.crate_version);
            match &r.item {
                Item::ViewSet(set) => {
                    check_view_set(set, r.crate_name)?;
                    if let Some((_, first)) = view_sets.insert(set.name, (set, r.crate_name)) {
                        return Err(duplicate("view set", set.name, first, r.crate_name));
                    }
                }
                Item::BlockSource(source) => others.push((source, r.crate_name)),
                Item::EventLayout(layout) => {
                    if let Some((_, first)) = assembly.layouts.insert(layout.name(), (layout, r.crate_name)) {
                        return Err(duplicate("layout of events", layout.name(), first, r.crate_name));
                    }
                }
                Item::Extension(extension) => assembly.extensions.push((*extension, r.crate_name)),
                Item::BlockParser(parser) => {
                    if let Some((_, first)) = assembly.parsers.insert(parser.format, (parser, r.crate_name)) {
                        return Err(duplicate("parser of blocks", parser.format, first, r.crate_name));
                    }
                }
                other => {
                    return Err(AssemblyError::Invalid {
                        what: format!("the registration {other:?}"),
                        crate_name: r.crate_name.to_owned(),
                        reason: "this version of belvedere-core does not know its kind of registration"
                            .to_owned(),
                    });
                }
            }
        }
        assembly.check_extensions()?;
        assembly.check_makers(&view_sets)?;
        assembly.view_sets = in_order(&view_sets)?;
        for (set, crate_name) in assembly.view_sets.clone() {
            match &set.source {
                Source::Blocks(source) => assembly.add_source(set, *source, None, crate_name)?,
                Source::Query(sql) => check_query(set, sql, crate_name, &view_sets)?,
                Source::Sql(_) => check_kept(set, crate_name, &view_sets)?,
                // what makers make has been looked at
                _ => {}
            }
        }
        for (registration, crate_name) in others {
            let Some((set, _)) = view_sets.get(registration.view_set) else {
                if registration.is_optional {
                    continue;
                }
                return Err(AssemblyError::Missing {
                    dependent: format!("a block source for '{}'", registration.source.format),
                    crate_name: crate_name.to_owned(),
                    missing: registration.view_set.to_owned(),
                    hint: nearest(registration.view_set, view_sets.keys().copied()),
                });
            };
            assembly.add_source(set, registration.source, Some(registration.columns), crate_name)?;
        }
        Ok(assembly)
    }

    /// The same with more registrations.
    pub(crate) fn with(
        &self,
        more: impl IntoIterator<Item = &'static Registration>,
    ) -> Result<Self, AssemblyError> {
        Self::new(self.registrations.iter().copied().chain(more))
    }

    /// The same, and an error if one of these crates registered nothing.
    pub fn expecting(
        registrations: impl IntoIterator<Item = &'static Registration>,
        crates: &[&str],
    ) -> Result<Self, AssemblyError> {
        let assembly = Self::new(registrations)?;
        match crates.iter().find(|c| !assembly.crates.contains_key(**c)) {
            Some(silent) => Err(AssemblyError::NothingRegistered((*silent).to_owned())),
            None => Ok(assembly),
        }
    }

    /// All view sets: each after what it depends on, ties by name.
    pub fn view_sets(&self) -> impl Iterator<Item = &'static ViewSet> + '_ {
        self.view_sets.iter().map(|(set, _)| *set)
    }

    /// The same, with the crates that registered them.
    pub fn view_sets_with_crates(&self) -> impl Iterator<Item = (&'static ViewSet, &'static str)> + '_ {
        self.view_sets.iter().copied()
    }

    /// The block sources of a view set.
    pub fn sources(&self, view_set: &str) -> Vec<BlockSource> {
        self.sources.get(view_set).cloned().unwrap_or_default()
    }

    /// All extensions of one type, with the crates that registered them.
    pub fn extensions<T: Extension>(&self) -> impl Iterator<Item = (&'static T, &'static str)> + '_ {
        self.extensions
            .iter()
            .filter_map(|(extension, crate_name)| Some((extension.downcast_ref()?, *crate_name)))
    }

    /// The layouts of native events of variable size.
    pub fn layouts(&self) -> EventLayouts {
        self.layouts.values().map(|(layout, _)| *layout).collect()
    }

    /// What reads the objects of blocks of that format.
    pub fn parser(&self, format: &str) -> Option<ParseBlock> {
        self.parsers.get(format).map(|(parser, _)| parser.parse)
    }

    /// Crates that registered something, with their versions.
    pub fn crates(&self) -> &BTreeMap<&'static str, &'static str> {
        &self.crates
    }

    fn check_extensions(&self) -> Result<(), AssemblyError> {
        let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (extension, crate_name) in &self.extensions {
            for name in extension.names() {
                if let Some(first) = seen.insert((extension.kind(), name), crate_name) {
                    return Err(duplicate(extension.kind(), name, first, crate_name));
                }
            }
        }
        Ok(())
    }

    /// Makers and view sets that come from makers belong to each other one to one.
    fn check_makers(&self, view_sets: &ByName) -> Result<(), AssemblyError> {
        let makers =
            || self.extensions.iter().filter_map(|(e, crate_name)| Some((e.makes_view_set()?, *crate_name)));
        for (view_set, crate_name) in makers() {
            match view_sets.get(view_set) {
                Some((set, _)) if matches!(set.source, Source::Maker) => {}
                Some((set, _)) => {
                    return Err(unusable(
                        set,
                        crate_name,
                        "it has both a maker and another source".to_owned(),
                    ));
                }
                None => {
                    return Err(AssemblyError::Missing {
                        dependent: "a maker".to_owned(),
                        crate_name: crate_name.to_owned(),
                        missing: view_set.to_owned(),
                        hint: nearest(view_set, view_sets.keys().copied()),
                    });
                }
            }
        }
        let without_maker =
            |set: &ViewSet| matches!(set.source, Source::Maker) && makers().all(|(name, _)| name != set.name);
        match view_sets.values().find(|(set, _)| without_maker(set)) {
            Some((set, crate_name)) => Err(unusable(
                set,
                crate_name,
                "no crate registers a maker for it: use register_maker!".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Adds a source that fills these columns; `None`: all that core does not fill, since the view set's own source is
    /// written for just these.
    fn add_source(
        &mut self,
        set: &'static ViewSet,
        source: BlockSource,
        columns: Option<&'static [Column]>,
        crate_name: &'static str,
    ) -> Result<(), AssemblyError> {
        let what =
            || format!("the source of '{}' for {} blocks tagged '{}'", set.name, source.format, source.tag);
        let invalid = |reason: String| AssemblyError::Invalid {
            what: what(),
            crate_name: crate_name.to_owned(),
            reason,
        };
        if !matches!(set.source, Source::Blocks(_)) {
            return Err(invalid("the view set does not come from blocks".to_owned()));
        }
        if let Some(columns) = columns {
            check_filled(set, columns).map_err(&invalid)?;
        }
        if let Decoder::Stateful(_) = source.decoder {
            if set.instances.has_global() {
                return Err(invalid(
                    "a stateful decoder supports only instances of processes or streams".to_owned(),
                ));
            }
            let of_blocks = |c: &&Column| matches!(c.origin, Origin::BlockId | Origin::InsertTime);
            if let Some(column) = set.columns.iter().find(of_blocks) {
                return Err(invalid(format!(
                    "'{}' belongs to one block, but a row of a stateful decoder can \
                                            come from several",
                    column.name
                )));
            }
        }
        let sources = self.sources.entry(set.name).or_default();
        let kind = |s: &BlockSource| std::mem::discriminant(&s.decoder);
        if sources.iter().any(|s| kind(s) != kind(&source)) {
            return Err(invalid(
                "another source of the view set has the other kind of decoder: either all of them are \
                 stateful, or none"
                    .to_owned(),
            ));
        }
        if sources.iter().any(|s| s.tag == source.tag && s.format == source.format) {
            return Err(duplicate("block source", &what(), crate_name, crate_name));
        }
        sources.push(source);
        Ok(())
    }
}

fn item_key(item: &Item) -> (u8, &'static str) {
    match item {
        Item::ViewSet(set) => (0, set.name),
        Item::BlockSource(s) => (1, s.view_set),
        Item::EventLayout(layout) => (2, layout.name()),
        Item::BlockParser(p) => (3, p.format),
        Item::Extension(extension) => (4, extension.names().first().copied().unwrap_or_default()),
        _ => (5, ""),
    }
}
