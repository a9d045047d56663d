//! Registrations that contradict themselves or each other.

use super::{PARTIALS, tables_of};
use crate::error::AssemblyError;
use belvedere_view::{Column, EventTime, Instances, Origin, Source, ViewSet};
use std::collections::{BTreeMap, BTreeSet};

/// All view sets, by name, with the crates that register them.
pub(super) type ByName = BTreeMap<&'static str, (&'static ViewSet, &'static str)>;

/// A source from another crate must know the view set's columns as they are.
pub(super) fn check_filled(set: &ViewSet, filled: &[Column]) -> Result<(), String> {
    for column in filled {
        let name = column.name;
        match set.columns.iter().find(|c| c.name == name) {
            None => return Err(format!("there is no column '{name}'")),
            Some(c) if c.origin != Origin::Decoder => {
                return Err(format!("the column '{name}' is filled by core"));
            }
            Some(c) if c.column_type.engine() != column.column_type.engine() => {
                let (is, filled) = (c.column_type.to_text(), column.column_type.to_text());
                return Err(format!("the column '{name}' is {is}, the source has it as {filled}"));
            }
            Some(_) => {}
        }
    }
    let is_forgotten = |c: &&Column| {
        c.origin == Origin::Decoder && !c.nullable && filled.iter().all(|filled| filled.name != c.name)
    };
    match set.columns.iter().find(is_forgotten) {
        Some(column) => Err(format!("nothing fills the column '{}', which has no NULLs", column.name)),
        None => Ok(()),
    }
}

pub(super) fn duplicate(kind: &'static str, name: &str, first: &str, second: &str) -> AssemblyError {
    AssemblyError::Duplicate {
        kind,
        name: name.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
}

pub(super) fn check_view_set(set: &'static ViewSet, crate_name: &str) -> Result<(), AssemblyError> {
    let invalid = |reason: String| {
        Err(AssemblyError::Invalid {
            what: format!("view set '{}'", set.name),
            crate_name: crate_name.to_owned(),
            reason,
        })
    };
    if set.name.is_empty() || set.about.is_empty() || set.columns.is_empty() {
        return invalid("it needs a name, a description and columns".to_owned());
    }
    if set.name == PARTIALS {
        return invalid("the name is reserved for the rows that merge SQL reads".to_owned());
    }
    // it becomes a folder in the object store and a table in SQL
    if !set.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return invalid("its name can only contain lower-case letters, digits and '_'".to_owned());
    }
    if let Source::Sql(sql) = &set.source {
        if let Some(missing) = sql.sort.iter().find(|s| set.columns.iter().all(|c| c.name != **s)) {
            return invalid(format!("its rows can't be sorted by '{missing}': it has no such column"));
        }
        let has_time = |what| set.columns.iter().find(|c| c.event_time == what);
        let times = [has_time(EventTime::Instant), has_time(EventTime::Begin), has_time(EventTime::End)];
        if let Some(time) = times.into_iter().flatten().find(|c| !sql.sort.contains(&c.name)) {
            return invalid(format!(
                "rows with different '{}' must not be merged into one: sort by it",
                time.name
            ));
        }
        if set.instances != Instances::Global {
            return invalid("a SQL view has only the instance 'global'".to_owned());
        }
    }
    let mut seen = BTreeSet::new();
    if let Some(column) = set.columns.iter().find(|c| !seen.insert(c.name)) {
        return invalid(format!("the column '{}' is declared twice", column.name));
    }
    let count = |what| set.columns.iter().filter(|c| c.event_time == what).count();
    match (count(EventTime::Instant), count(EventTime::Begin), count(EventTime::End)) {
        (0, 0, 0) | (1, 0, 0) | (0, 1, 1) => Ok(()),
        _ => invalid("event time must be one instant, or one begin and one end".to_owned()),
    }
}

pub(super) fn unusable(set: &ViewSet, crate_name: &str, reason: String) -> AssemblyError {
    AssemblyError::Invalid {
        what: format!("view set '{}'", set.name),
        crate_name: crate_name.to_owned(),
        reason,
    }
}

/// A query over others says which they are, since its rows change with theirs, and needs tables of them: global ones, or
/// those of the same kind of instance.
pub(super) fn check_query(
    set: &'static ViewSet,
    sql: &str,
    crate_name: &str,
    all: &ByName,
) -> Result<(), AssemblyError> {
    let failed = |reason| Err(unusable(set, crate_name, reason));
    let tables = match tables_of(sql) {
        Ok(tables) => tables,
        Err(e) => return failed(format!("its query can't be read: {e}")),
    };
    let unsaid =
        |table: &&String| all.contains_key(table.as_str()) && !set.depends_on.contains(&table.as_str());
    if let Some(table) = tables.iter().find(unsaid) {
        return failed(format!("its query reads '{table}': name it in depends_on"));
    }
    let read = || set.depends_on.iter().filter_map(|name| all.get(name)).map(|(set, _)| *set);
    let kinds = set.instances.kinds();
    for read in read().filter(|s| !s.instances.has_global()) {
        let theirs = read.instances.kinds();
        if let Some(kind) = kinds.iter().find(|kind| !theirs.contains(kind)) {
            return failed(format!(
                "it has the instance kind '{kind}' and reads '{}', which has only '{}'; give it the same",
                read.name,
                theirs.join("', '")
            ));
        }
    }
    let is_alone = |kind: &&&str| **kind != "global" && !read().any(|s| s.instances.kinds().contains(kind));
    match kinds.iter().find(is_alone) {
        Some(kind) => failed(format!(
            "it has the instance kind '{kind}', but nothing that it reads has: every instance would be the \
             same"
        )),
        None => Ok(()),
    }
}

/// What is kept for some blocks must be the rows of these blocks.
pub(super) fn check_kept(set: &'static ViewSet, crate_name: &str, all: &ByName) -> Result<(), AssemblyError> {
    let read = set.depends_on.iter().filter_map(|name| all.get(name)).map(|(set, _)| *set);
    match read.into_iter().find(|s| matches!(s.source, Source::Query(_))) {
        Some(read) => Err(unusable(
            set,
            crate_name,
            format!(
                "it is materialized in parts, but '{}' is computed for each query: read what that reads",
                read.name
            ),
        )),
        None => Ok(()),
    }
}
