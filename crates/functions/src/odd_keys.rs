//! Keys that nobody thinks of: in another case, empty, unknown, repeated, beyond ASCII. What each function says of them is
//! compared with what its documentation says, in each shape of properties.

use crate::arg_column::ArgColumn;
use crate::{jsonb, properties};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int32Array, ListBuilder, StringArray,
    StringBuilder, StructBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::util::display::array_value_to_string;
use belvedere_model::jsonb::Jsonb;
use std::collections::BTreeMap;
use std::sync::Arc;

const KEYS: [&str; 8] = ["", "a", "A", "aB", "Ab", "\u{e4}", "a.b", " a"];
const NAMES: [&str; 12] = ["", "a", "A", "ab", "AB", "aB", "\u{e4}", "\u{c4}", "a.b", "A.B", " a", "unknown"];

type Pairs = Vec<(&'static str, String)>;

/// All sets of up to three properties, in each order, with keys that are there twice.
fn sets() -> Vec<Pairs> {
    let mut all: Vec<Pairs> = vec![Vec::new()];
    let mut longest = all.clone();
    for length in 0..3 {
        let longer = longest
            .iter()
            .flat_map(|set| KEYS.iter().map(move |key| [&set[..], &[(*key, format!("v{length}"))]].concat()));
        longest = longer.collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// The sets as lists, as JSONB, and as dictionaries of both.
fn shapes(sets: &[Pairs]) -> Vec<ArrayRef> {
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
    ]);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for set in sets {
        for (key, value) in set {
            let pair = lists.values();
            pair.field_builder::<StringBuilder>(0).unwrap().append_value(key);
            pair.field_builder::<StringBuilder>(1).unwrap().append_value(value);
            pair.append(true);
        }
        lists.append(true);
    }
    let objects = sets.iter().map(|set| Jsonb::encode_texts(set.iter().map(|(k, v)| (*k, v.as_str()))));
    let plain: [ArrayRef; 2] = [Arc::new(lists.finish()), Arc::new(BinaryArray::from_iter_values(objects))];
    let keys = || Int32Array::from_iter_values(0..sets.len() as i32);
    let dictionaries = plain.clone().map(|values| Arc::new(DictionaryArray::new(keys(), values)) as ArrayRef);
    [plain, dictionaries].concat()
}

/// The texts of a function's results; None for NULL.
fn call(name: &str, inputs: &[&ArrayRef]) -> Vec<Option<String>> {
    let results = call_raw(name, inputs);
    let results = match results.as_any_dictionary_opt() {
        Some(dictionary) => {
            let DataType::Dictionary(_, values) = dictionary.data_type() else { panic!("no dictionary") };
            cast(&results, values).unwrap()
        }
        None => results,
    };
    let text = |i: usize| (!results.is_null(i)).then(|| array_value_to_string(&results, i).unwrap());
    (0..results.len()).map(text).collect()
}

fn json(text: &str) -> String {
    format!("\"{text}\"")
}

#[test]
fn odd_names_find_what_is_documented_in_every_shape_of_properties() {
    let sets = sets();
    // the last of two values under one name
    let maps: Vec<BTreeMap<&str, &String>> =
        sets.iter().map(|set| set.iter().map(|(k, v)| (*k, v)).collect()).collect();
    for (shape, values) in shapes(&sets).iter().enumerate() {
        let check = |what: &str,
                     found: Vec<Option<String>>,
                     expected: &dyn Fn(&BTreeMap<&str, &String>) -> Option<String>| {
            assert_eq!(found.len(), sets.len());
            for ((found, map), set) in found.iter().zip(&maps).zip(&sets) {
                assert_eq!(*found, expected(map), "{what} of {set:?} in shape {shape}");
            }
        };
        for name in NAMES {
            let names: ArrayRef = Arc::new(StringArray::from(vec![name; sets.len()]));
            // the name as it is before the first one in another case of ASCII letters
            let found = |map: &BTreeMap<&str, &String>| {
                let other = || map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| *v);
                map.get(name).copied().or_else(other).cloned()
            };
            check(&format!("property_get {name:?}"), call("property_get", &[values, &names]), &found);
            let members = as_json(&call_raw("jsonb_get", &[values, &names]));
            check(&format!("jsonb_get {name:?}"), members, &|map| found(map).map(|value| json(&value)));
            // a path has one spelling, and none for an empty name
            if name.is_empty() {
                continue;
            }
            let paths: ArrayRef = Arc::new(StringArray::from(vec![format!("$.{}", json(name)); sets.len()]));
            let first = as_json(&call_raw("jsonb_path_query_first", &[values, &paths]));
            check(&format!("jsonb_path_query_first {name:?}"), first, &|map| {
                map.get(name).map(|value| json(value))
            });
        }
        let nothing: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; sets.len()]));
        for function in ["property_get", "jsonb_get"] {
            check(function, call(function, &[values, &nothing]), &|_| None);
        }
        check("properties_length", call("properties_length", &[values]), &|map| Some(map.len().to_string()));
        check("jsonb_array_length", call("jsonb_array_length", &[values]), &|_| None);
        let names = |map: &BTreeMap<&str, &String>| {
            Some(format!("[{}]", map.keys().copied().collect::<Vec<_>>().join(", ")))
        };
        check("jsonb_object_keys", call("jsonb_object_keys", &[values]), &names);
        let object = |map: &BTreeMap<&str, &String>| {
            let members: Vec<String> = map.iter().map(|(k, v)| format!("{}:{}", json(k), json(v))).collect();
            Some(format!("{{{}}}", members.join(",")))
        };
        check("jsonb_format_json", call("jsonb_format_json", &[values]), &object);
        for same in ["properties_to_jsonb", "properties_to_dict", "properties_to_array"] {
            let converted = call_raw(same, &[values]);
            check(same, call("jsonb_format_json", &[&converted]), &object);
        }
    }
}

/// A function's results as they are.
fn call_raw(name: &str, inputs: &[&ArrayRef]) -> ArrayRef {
    let mut all = jsonb::SCALARS.into_iter().chain(properties::SCALARS);
    let function = all.find(|function| function.name == name).unwrap();
    let columns: Vec<ArgColumn> = inputs.iter().map(|input| ArgColumn::from_array(input).unwrap()).collect();
    (function.evaluate)(&columns, inputs[0].len()).unwrap()
}

/// JSONB as JSON.
fn as_json(values: &ArrayRef) -> Vec<Option<String>> {
    call("jsonb_format_json", &[values])
}
