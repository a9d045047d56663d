//! Reading JSONB that may be invalid.
//!
//! The crate is made for bytes that it wrote itself, and queries hand it any bytes. Version 0.5.6 answers many wrong lengths
//! with an error (pull requests 46, 53 and 67 of databendlabs/jsonb: "fix: handle invalid jsonb value to avoid panic in
//! functions", "fix: fix jsonpath selector unwrap panic", "fix: panic when facing corrupted jsonb"), but takes texts for
//! UTF-8 without looking, which is undefined behavior if they are not, and follows nested values to any depth. So
//! [`Jsonb::new`] looks at every byte first. No issue upstream is known to us (November 2026). It goes when the crate has a
//! check of its own that covers lengths, UTF-8 and depth.

use jsonb::{RawJsonb, Value};
use std::borrow::Cow;
use std::fmt::{Display, Formatter};

/// A JSONB value whose every byte was checked: kinds, lengths, UTF-8, depth.
#[derive(Debug, Clone, Copy)]
pub struct Jsonb<'a>(&'a [u8]);

impl<'a> Jsonb<'a> {
    /// Depth of nested containers.
    pub const MAX_DEPTH: usize = 64;

    /// The value in `bytes`, or `None` if any part of it is invalid.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (check_container(bytes, Self::MAX_DEPTH)? == bytes.len()).then_some(Self(bytes))
    }

    /// Encodes an object of texts. If a key occurs twice, the last value counts.
    pub fn encode_texts<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<u8> {
        let object =
            pairs.into_iter().map(|(k, v)| (k.to_owned(), Value::String(Cow::Borrowed(v)))).collect();
        Value::Object(object).to_vec()
    }

    /// The value as the `jsonb` crate has it.
    pub fn raw(self) -> RawJsonb<'a> {
        RawJsonb::new(self.0)
    }

    /// A member of an object: a text as it is, anything else as JSON. Names are compared without ASCII case. `None` if
    /// there is no such member.
    pub fn member(self, name: &str) -> Option<String> {
        let value = self.raw().get_by_name(name, true).ok()??;
        let value = value.as_raw();
        match value.as_str() {
            Ok(Some(text)) => Some(text.into_owned()),
            _ => Some(value.to_string()),
        }
    }

    /// The names of an object's members, in their order. `None` if the value is not an object.
    pub fn names(self) -> Option<Vec<&'a str>> {
        let (header, rest) = self.0.split_first_chunk()?;
        let header = u32::from_be_bytes(*header);
        if header >> 29 != 0b010 {
            return None;
        }
        let count = (header & 0x1fff_ffff) as usize;
        let (entries, _) = rest.as_chunks::<4>();
        let mut names = rest.get(count.checked_mul(8)?..)?;
        let mut found = Vec::with_capacity(count);
        for entry in entries.get(..count)? {
            let (name, others) =
                names.split_at_checked((u32::from_be_bytes(*entry) & 0x0fff_ffff) as usize)?;
            found.push(std::str::from_utf8(name).ok()?);
            names = others;
        }
        Some(found)
    }
}

/// As JSON.
impl Display for Jsonb<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.raw().to_string())
    }
}

/// Length of the container at the start of `bytes`.
fn check_container(bytes: &[u8], depth: usize) -> Option<usize> {
    let word = |i: usize| -> Option<u32> {
        Some(u32::from_be_bytes(*bytes.get(i.checked_mul(4)?..)?.first_chunk()?))
    };
    let header = word(0)?;
    let count = (header & 0x1fff_ffff) as usize;
    let (keys, values) = match header >> 29 {
        0b100 => (0, count),
        0b010 => (count, count),
        0b001 if count == 0 => (0, 1),
        _ => return None,
    };
    let mut position = (keys + values).checked_add(1)?.checked_mul(4)?;
    for i in 0..keys + values {
        let entry = word(i + 1)?;
        let length = (entry & 0x0fff_ffff) as usize;
        let data = bytes.get(position..position.checked_add(length)?)?;
        position += length;
        let is_sound = match entry >> 28 {
            1 => std::str::from_utf8(data).is_ok(),
            _ if i < keys => false,
            0 | 3 | 4 => length == 0,
            2 => is_number(data),
            5 => depth > 0 && check_container(data, depth - 1)? == length,
            _ => false,
        };
        if !is_sound {
            return None;
        }
    }
    Some(position)
}

fn is_number(data: &[u8]) -> bool {
    match data.first() {
        Some(0x00 | 0x10 | 0x20 | 0x30) => data.len() == 1,
        Some(0x40 | 0x50) => matches!(data.len(), 2 | 3 | 5 | 9),
        Some(0x60) => data.len() == 9,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json_of(bytes: &[u8]) -> Option<String> {
        Jsonb::new(bytes).map(|value| value.to_string())
    }

    fn member(bytes: &[u8], name: &str) -> Option<String> {
        Jsonb::new(bytes)?.member(name)
    }

    fn names(bytes: &[u8]) -> Option<Vec<&str>> {
        Jsonb::new(bytes)?.names()
    }

    #[test]
    fn an_object_of_texts_has_the_documented_layout() {
        assert_eq!(Jsonb::encode_texts([]), [0x40, 0, 0, 0]);
        assert_eq!(
            Jsonb::encode_texts([("k", "v")]),
            [0x40, 0, 0, 1, 0x10, 0, 0, 1, 0x10, 0, 0, 1, b'k', b'v']
        );
    }

    #[test]
    fn members_are_found_in_any_case_and_nested_values_are_json() {
        let json = r#"{"A":"x","b":{"c":[1,-2.5,null,true]},"n":7}"#;
        let Ok(value) = jsonb::parse_value(json.as_bytes()) else { panic!("not parsed") };
        let bytes = value.to_vec();
        assert_eq!(member(&bytes, "a").as_deref(), Some("x"));
        assert_eq!(member(&bytes, "B").as_deref(), Some(r#"{"c":[1,-2.5,null,true]}"#));
        assert_eq!(member(&bytes, "n").as_deref(), Some("7"));
        assert_eq!(member(&bytes, "none"), None);
        assert_eq!(json_of(&bytes).as_deref(), Some(json));
        assert_eq!(names(&bytes), Some(vec!["A", "b", "n"]));
        assert_eq!(names(&bytes[1..]), None);
        assert_eq!(names(&Jsonb::encode_texts([])), Some(vec![]));
    }

    proptest! {
        #[test]
        fn properties_come_back(pairs in proptest::collection::btree_map(".{0,12}", ".{0,20}", 0..8)) {
            let bytes = Jsonb::encode_texts(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let json: serde_json::Value = serde_json::from_str(&json_of(&bytes).unwrap()).unwrap();
            prop_assert_eq!(json, serde_json::to_value(pairs).unwrap());
        }

        #[test]
        fn damaged_jsonb_is_read_or_refused(
            pairs in proptest::collection::btree_map("[a-c]{0,3}", ".{0,9}", 0..4),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Jsonb::encode_texts(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            for (at, byte) in damage {
                let i = at.index(bytes.len());
                bytes[i] = byte;
            }
            let _ = (json_of(&bytes), member(&bytes, "a"), names(&bytes));
            bytes.truncate(cut.index(bytes.len()));
            let _ = (json_of(&bytes), member(&bytes, "a"), names(&bytes));
        }

        #[test]
        fn any_bytes_are_jsonb_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (json_of(&bytes), member(&bytes, "a"), names(&bytes));
        }
    }
}
