//! JSON text to JSONB and back.

use crate::arg_column::{BytesDictionaryBuilder, dictionary_type, texts_of_bytes};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::datatypes::DataType;
use belvedere_model::jsonb::Jsonb;
use std::sync::Arc;

pub(super) const FORMAT_JSON: ScalarFunction = ScalarFunction {
    name: "jsonb_format_json",
    parameters: &[("j", Kind::Jsonb)],
    result: |_| dictionary_type(DataType::Utf8),
    evaluate: |inputs, _| {
        texts_of_bytes(&inputs[0], |bytes| Jsonb::new(bytes).map(|value| value.to_string()))
    },
};

pub(super) const PARSE: ScalarFunction = ScalarFunction {
    name: "jsonb_parse",
    parameters: &[("json", Kind::Text)],
    result: |_| dictionary_type(DataType::Binary),
    evaluate: |inputs, _| {
        let mut results = BytesDictionaryBuilder::new();
        let mut bytes = Vec::new();
        let mut refused = 0u64;
        for text in inputs[0].texts()?.iter() {
            bytes.clear();
            match text {
                Some(text) if parse(text, &mut bytes) => results.append_value(&bytes),
                Some(_) => {
                    refused += 1;
                    results.append_null();
                }
                None => results.append_null(),
            }
        }
        if refused > 0 {
            tracing::warn!(refused, "jsonb_parse returned NULL for texts that are not valid JSON");
        }
        inputs[0].scatter(Arc::new(results.finish()))
    },
};

/// Longest value that the format can say.
const MAX_LENGTH: usize = 0x0fff_ffff;

/// Appends the JSONB of a text, or says that it is no JSON.
fn parse(text: &str, out: &mut Vec<u8>) -> bool {
    // the parser calls itself for each level
    text.len() <= MAX_LENGTH
        && depth(text) <= Jsonb::MAX_DEPTH
        && jsonb::parse_owned_jsonb_standard_mode_with_buf(text.as_bytes(), out).is_ok()
        && out.len() <= MAX_LENGTH
}

/// Containers in containers at the deepest place.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<String> {
        let mut bytes = Vec::new();
        parse(text, &mut bytes).then(|| Jsonb::new(&bytes).unwrap().to_string())
    }

    #[test]
    fn json_comes_back_sorted_and_without_spaces() {
        let json = r#" { "b" : 1, "a" : [ 1, 2.5, true, null, "x\"y" ] } "#;
        assert_eq!(parsed(json).as_deref(), Some(r#"{"a":[1,2.5,true,null,"x\"y"],"b":1}"#));
        assert_eq!(parsed("\"[[[\"").as_deref(), Some("\"[[[\""));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", "{'a':1}", "nul", "1 2", "NaN", r#"{"a":1,"a":2}"#] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit_and_what_is_within_it_can_be_read() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(parsed(&nested(Jsonb::MAX_DEPTH)), Some(nested(Jsonb::MAX_DEPTH)));
        assert_eq!(parsed(&nested(Jsonb::MAX_DEPTH + 1)), None);
        assert_eq!(parsed(&"[".repeat(1_000_000)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_json_or_not(text in r#"[\[\]{}:,"\\u0-9a-e.+-]{0,30}"#) {
            let ours = parsed(&text);
            if let (Some(json), Ok(theirs)) = (&ours, serde_json::from_str::<serde_json::Value>(&text)) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap().is_object(), theirs.is_object());
            }
        }
    }
}
