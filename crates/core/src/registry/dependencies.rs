//! View sets in the order of their dependencies.

use super::nearest;
use crate::error::AssemblyError;
use belvedere_view::ViewSet;
use std::collections::BTreeMap;

/// Orders view sets so that each comes after what it depends on, ties by name.
pub(super) fn in_order(
    view_sets: &BTreeMap<&'static str, (&'static ViewSet, &'static str)>,
) -> Result<Vec<(&'static ViewSet, &'static str)>, AssemblyError> {
    for (set, crate_name) in view_sets.values() {
        if let Some(missing) = set.depends_on.iter().find(|d| !view_sets.contains_key(*d)) {
            return Err(AssemblyError::Missing {
                dependent: format!("view set '{}'", set.name),
                crate_name: (*crate_name).to_owned(),
                missing: (*missing).to_owned(),
                hint: nearest(missing, view_sets.keys().copied()),
            });
        }
    }
    let mut waiting = view_sets.clone();
    let mut ordered: Vec<(&'static ViewSet, &'static str)> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting
            .values()
            .find(|(set, _)| set.depends_on.iter().all(|d| !waiting.contains_key(d)))
            .copied();
        match ready {
            Some(next) => {
                waiting.remove(next.0.name);
                ordered.push(next);
            }
            None => return Err(AssemblyError::Cycle(cycle(&waiting))),
        }
    }
    Ok(ordered)
}

/// Follows dependencies among view sets that all wait until one comes up twice.
pub(super) fn cycle(waiting: &BTreeMap<&'static str, (&'static ViewSet, &'static str)>) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut next = waiting.keys().next().copied();
    while let Some(name) = next {
        if let Some(start) = path.iter().position(|p| *p == name) {
            path.drain(..start);
            path.push(name);
            break;
        }
        path.push(name);
        next = waiting
            .get(name)
            .and_then(|(set, _)| set.depends_on.iter().find(|d| waiting.contains_key(*d)))
            .copied();
    }
    let named: Vec<String> = path
        .iter()
        .map(|name| match waiting.get(name) {
            Some((_, crate_name)) => format!("{name} ({crate_name})"),
            None => (*name).to_owned(),
        })
        .collect();
    named.join(" → ")
}
