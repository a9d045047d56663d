//! Property sets, whatever shape they have: JSONB objects or lists of {key, value}.

use crate::arg_column::ArgColumn;
use arrow::array::{Array, AsArray, BinaryViewArray, ListArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use belvedere_model::jsonb::Jsonb;
use datafusion::error::{DataFusionError, Result};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Sets of properties. An entry whose name or value is NULL is ignored.
#[allow(clippy::large_enum_variant, reason = "there is one for each batch")]
pub(super) enum PropertySets {
    Jsonb(BinaryViewArray),
    Lists { lists: ListArray, keys: StringViewArray, values: StringViewArray },
}

impl PropertySets {
    /// The sets in the values of an argument.
    pub(super) fn new(input: &ArgColumn) -> Result<Self> {
        let Some(lists) = input.values().as_list_opt::<i32>() else {
            return Ok(Self::Jsonb(input.bytes()?));
        };
        let column = |name: &str| -> Result<StringViewArray> {
            let column = lists.values().as_struct_opt().and_then(|pairs| pairs.column_by_name(name));
            let column = column.ok_or_else(|| {
                DataFusionError::Plan(format!(
                    "properties are lists of {{key, value}}, and {name} is missing"
                ))
            })?;
            Ok(cast(column, &DataType::Utf8View)?.as_string_view().clone())
        };
        Ok(Self::Lists { keys: column("key")?, values: column("value")?, lists: lists.clone() })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Jsonb(sets) => sets.len(),
            Self::Lists { lists, .. } => lists.len(),
        }
    }

    /// The value of a property of one set, the same in each shape: the name as it is goes before names in another case, and
    /// of these the first in the order of their bytes. Of values under one name the last counts.
    pub(super) fn get(&self, set: usize, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Jsonb(sets) => sets
                .is_valid(set)
                .then(|| Jsonb::new(sets.value(set))?.member(name))
                .flatten()
                .map(Cow::Owned),
            Self::Lists { .. } => self
                .list(set)?
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .reduce(|best, next| {
                    let rank = |key: &str| (key != name, key.to_owned());
                    if next.0 == best.0 || rank(next.0) < rank(best.0) { next } else { best }
                })
                .map(|(_, value)| Cow::Borrowed(value)),
        }
    }

    /// How many properties one set has.
    pub(super) fn count(&self, set: usize) -> Option<usize> {
        match self {
            Self::Jsonb(sets) => {
                sets.is_valid(set).then(|| Jsonb::new(sets.value(set))?.names())?.map(|n| n.len())
            }
            Self::Lists { .. } => Some(self.list(set)?.map(|(key, _)| key).collect::<BTreeSet<_>>().len()),
        }
    }

    /// All properties of one set.
    pub(super) fn pairs(&self, set: usize) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        match self {
            Self::Jsonb(sets) => {
                let members = sets
                    .is_valid(set)
                    .then(|| Jsonb::new(sets.value(set)).map(Jsonb::raw))??
                    .object_each()
                    .ok()??;
                let pairs = members.into_iter().map(|(name, value)| {
                    let value = value.as_raw();
                    let text = match value.as_str() {
                        Ok(Some(text)) => text.into_owned(),
                        _ => value.to_string(),
                    };
                    (Cow::Owned(name), Cow::Owned(text))
                });
                Some(pairs.collect())
            }
            Self::Lists { .. } => {
                Some(self.list(set)?.map(|(k, v)| (Cow::Borrowed(k), Cow::Borrowed(v))).collect())
            }
        }
    }

    /// The pairs of one list.
    fn list(&self, set: usize) -> Option<impl Iterator<Item = (&str, &str)>> {
        let Self::Lists { lists, keys, values } = self else { return None };
        if lists.is_null(set) {
            return None;
        }
        let offsets = lists.value_offsets();
        let pairs = offsets[set] as usize..offsets[set + 1] as usize;
        Some(
            pairs
                .filter(|i| keys.is_valid(*i) && values.is_valid(*i))
                .map(|i| (keys.value(i), values.value(i))),
        )
    }
}
