//! JSONB: [`Object`] and [`Entry`] write values member by member, without building a tree first; [`Jsonb`] reads bytes
//! that may be invalid.
//!
//! The layout is that of the `jsonb` crate (as Databend has it): a container is a header (kind and number of
//! members), one entry for each key and each value (kind and length), then the keys, then the values. Numbers
//! take as many bytes as they need. The keys of an object are sorted.
//!
//! ```
//! use belvedere_model::jsonb::{Entry, Jsonb, Object};
//! let (mut object, mut bytes) = (Object::default(), Vec::new());
//! object.put("unit", |out| Entry::text(out, "ms"));
//! object.put("mean", |out| Entry::float(out, 2.5));
//! object.finish(&mut bytes);
//! assert_eq!(Jsonb::new(&bytes).unwrap().to_string(), r#"{"mean":2.5,"unit":"ms"}"#);
//! ```

mod value;

pub use value::Jsonb;

const ARRAY: u32 = 0x8000_0000;
const OBJECT: u32 = 0x4000_0000;
const LENGTH: usize = 0x0fff_ffff;

/// Kind and length of a value whose bytes were just appended. Containers store them apart from the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Entry(u32);

impl Entry {
    /// The format has 28 bits for a length. A longer value becomes null; the limits on blocks keep them out.
    fn new(kind: u32, out: &mut Vec<u8>, start: usize) -> Self {
        let length = out.len() - start;
        if length > LENGTH {
            out.truncate(start);
            return Self::null();
        }
        Self(kind << 28 | length as u32)
    }

    fn len(self) -> usize {
        self.0 as usize & LENGTH
    }

    /// The value null.
    #[inline]
    pub fn null() -> Self {
        Self(0)
    }

    /// A flag.
    #[inline]
    pub fn boolean(value: bool) -> Self {
        Self(if value { 4 << 28 } else { 3 << 28 })
    }

    /// A text.
    #[inline]
    pub fn text(out: &mut Vec<u8>, value: &str) -> Self {
        let start = out.len();
        out.extend_from_slice(value.as_bytes());
        Self::new(1, out, start)
    }

    /// A signed integer.
    #[inline]
    pub fn integer(out: &mut Vec<u8>, value: i64) -> Self {
        let start = out.len();
        if value == 0 {
            out.push(0x00);
        } else {
            out.push(0x40);
            if let Ok(v) = i8::try_from(value) {
                out.extend_from_slice(&v.to_be_bytes());
            } else if let Ok(v) = i16::try_from(value) {
                out.extend_from_slice(&v.to_be_bytes());
            } else if let Ok(v) = i32::try_from(value) {
                out.extend_from_slice(&v.to_be_bytes());
            } else {
                out.extend_from_slice(&value.to_be_bytes());
            }
        }
        Self::new(2, out, start)
    }

    /// An integer without a sign.
    #[inline]
    pub fn unsigned(out: &mut Vec<u8>, value: u64) -> Self {
        if let Ok(value) = i64::try_from(value) {
            return Self::integer(out, value);
        }
        let start = out.len();
        out.push(0x50);
        out.extend_from_slice(&value.to_be_bytes());
        Self::new(2, out, start)
    }

    /// A float, which may be infinite or not a number.
    #[inline]
    pub fn float(out: &mut Vec<u8>, value: f64) -> Self {
        let start = out.len();
        if value.is_nan() {
            out.push(0x10);
        } else if value.is_infinite() {
            out.push(if value > 0.0 { 0x20 } else { 0x30 });
        } else {
            out.push(0x60);
            out.extend_from_slice(&value.to_be_bytes());
        }
        Self::new(2, out, start)
    }

    /// Appends an array of `count` values. `write` appends the bytes of each of `values` and returns their entry. Values beyond
    /// `count` are left out, missing ones are null.
    pub fn array<T>(
        out: &mut Vec<u8>,
        count: usize,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T) -> Self,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&(ARRAY | count as u32).to_be_bytes());
        let mut place = out.len();
        out.resize(place + 4 * count, 0);
        for value in values.into_iter().take(count) {
            let entry = write(out, value);
            out[place..place + 4].copy_from_slice(&entry.0.to_be_bytes());
            place += 4;
        }
        Self::new(5, out, start)
    }
}

/// Builds an object. After [`Object::finish`] it can be used again, with the memory that it has.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(&'a str, Entry, usize)>,
    data: Vec<u8>,
}

impl<'a> Object<'a> {
    /// Adds a member. `write` appends its bytes and returns their entry. If a key is added twice, the last value counts.
    pub fn put(&mut self, key: &'a str, write: impl FnOnce(&mut Vec<u8>) -> Entry) {
        let start = self.data.len();
        let entry = write(&mut self.data);
        self.members.push((key, entry, start));
    }

    /// Appends the object to `out`, and clears the builder.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Entry {
        let start = out.len();
        // a stable sort: of equal keys the one that was added last stays last
        self.members.sort_by(|a, b| a.0.cmp(b.0));
        self.members.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                *earlier = *later;
            }
            is_same
        });
        out.extend_from_slice(&(OBJECT | self.members.len() as u32).to_be_bytes());
        for (key, ..) in &self.members {
            out.extend_from_slice(&(1 << 28 | (key.len() & LENGTH) as u32).to_be_bytes());
        }
        for (_, entry, _) in &self.members {
            out.extend_from_slice(&entry.0.to_be_bytes());
        }
        for (key, ..) in &self.members {
            out.extend_from_slice(key.as_bytes());
        }
        for (_, entry, start) in &self.members {
            out.extend_from_slice(&self.data[*start..*start + entry.len()]);
        }
        self.members.clear();
        self.data.clear();
        Entry::new(5, out, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonb::{Number, Object as Tree, Value};
    use proptest::prelude::*;
    use std::borrow::Cow;

    #[derive(Debug, Clone)]
    enum Json {
        Null,
        Boolean(bool),
        Integer(i64),
        Float(f64),
        Text(String),
        Array(Vec<Json>),
        Object(Vec<(String, Json)>),
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Boolean),
            any::<i64>().prop_map(Json::Integer),
            (-300i64..300).prop_map(Json::Integer),
            any::<f64>().prop_map(Json::Float),
            ".{0,9}".prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::vec(("[a-c]{0,2}", inner), 0..6).prop_map(Json::Object),
            ]
        })
    }

    fn write(value: &Json, out: &mut Vec<u8>) -> Entry {
        match value {
            Json::Null => Entry::null(),
            Json::Boolean(b) => Entry::boolean(*b),
            Json::Integer(i) => Entry::integer(out, *i),
            Json::Float(f) => Entry::float(out, *f),
            Json::Text(t) => Entry::text(out, t),
            Json::Array(values) => Entry::array(out, values.len(), values, |out, v| write(v, out)),
            Json::Object(members) => {
                let mut object = Object::default();
                members.iter().for_each(|(k, v)| object.put(k, |out| write(v, out)));
                object.finish(out)
            }
        }
    }

    fn tree(value: &Json) -> Value<'_> {
        match value {
            Json::Null => Value::Null,
            Json::Boolean(b) => Value::Bool(*b),
            Json::Integer(i) => Value::Number(Number::Int64(*i)),
            Json::Float(f) => Value::Number(Number::Float64(*f)),
            Json::Text(t) => Value::String(Cow::Borrowed(t)),
            Json::Array(values) => Value::Array(values.iter().map(tree).collect()),
            Json::Object(members) => {
                Value::Object(members.iter().map(|(k, v)| (k.clone(), tree(v))).collect::<Tree<'_>>())
            }
        }
    }

    #[test]
    fn unsigned_integers_keep_all_their_bits() {
        for value in [0, 1, 300, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let (mut object, mut bytes) = (Object::default(), Vec::new());
            object.put("n", |out| Entry::unsigned(out, value));
            object.finish(&mut bytes);
            let json = Jsonb::new(&bytes).unwrap().to_string();
            assert_eq!(json, format!(r#"{{"n":{value}}}"#));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_jsonb_crate_writes(members in prop::collection::vec(("[a-d]{0,2}", values()), 0..8)) {
            let value = Json::Object(members);
            let mut bytes = Vec::new();
            write(&value, &mut bytes);
            prop_assert_eq!(bytes, tree(&value).to_vec());
        }
    }
}
