//! JSONPath in JSONB.
//!
//! The `jsonb` crate reads paths and follows them, but there are paths with which a user makes version 0.5.6 fail. So the
//! text is looked at before, and ranges are followed here:
//!
//! - A string that does not end is refused: the parser panics. This is issue 105 of databendlabs/jsonb, "bug:
//!   parse_json_path panics on unterminated double-quoted fields"; pull request 106 corrects it and is in no release.
//! - Parentheses nest 16 levels: the parser calls itself for each.
//! - A range like `[0 to last]` is followed here. The crate collects the indexes of a range in a set. If the range ends
//!   before the array begins, or the array is empty, its end becomes the greatest number there is, and that never ends.
//! - Indexes relative to `last` are bounded: the crate adds the length of the array to them without looking.
//!
//! Of the last three, no issue upstream is known to us (November 2026). When a release answers all four with an error or with
//! the right elements, `Steps` is a `JsonPath` and `check_text` and `check_step` go; the limits on length and on `**` stay,
//! for they bound work.

use crate::arg_column::{ArgColumn, BytesDictionaryBuilder, dictionary_type, for_each_pair};
use crate::scalar_function::{Kind, ScalarFunction};
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use belvedere_model::jsonb::Jsonb;
use datafusion::error::{DataFusionError, Result};
use jsonb::jsonpath::{ArrayIndex, Expr, Index, JsonPath, Path, parse_json_path};
use jsonb::{OwnedJsonb, RawJsonb};
use std::sync::Arc;

pub(super) const QUERY: ScalarFunction = ScalarFunction {
    name: "jsonb_path_query",
    parameters: &[("j", Kind::Jsonb), ("path", Kind::Text)],
    result: |_| dictionary_type(DataType::Binary),
    evaluate: |inputs, rows| {
        query(inputs, rows, |path, value| {
            OwnedJsonb::build_array(path.all(value).iter().map(OwnedJsonb::as_raw)).ok()
        })
    },
};

pub(super) const QUERY_FIRST: ScalarFunction = ScalarFunction {
    name: "jsonb_path_query_first",
    parameters: &[("j", Kind::Jsonb), ("path", Kind::Text)],
    result: |_| dictionary_type(DataType::Binary),
    evaluate: |inputs, rows| query(inputs, rows, |path, value| path.all(value).into_iter().next()),
};

fn query(
    inputs: &[ArgColumn],
    rows: usize,
    find: impl Fn(&Steps, RawJsonb) -> Option<OwnedJsonb>,
) -> Result<ArrayRef> {
    let (values, texts) = (inputs[0].bytes()?, inputs[1].texts()?);
    let paths = texts.iter().map(|text| text.map(Steps::new).transpose()).collect::<Result<Vec<_>>>()?;
    let mut results = BytesDictionaryBuilder::new();
    let scatter = for_each_pair(&inputs[0], &inputs[1], rows, |indexes| {
        let found = indexes.and_then(|(value, path)| {
            let path = paths[path].as_ref()?;
            if values.is_null(value) {
                return None;
            }
            find(path, Jsonb::new(values.value(value))?.raw())
        });
        results.append_option(found.map(OwnedJsonb::to_vec));
    });
    scatter.rows(Arc::new(results.finish()))
}

/// Longest path, in bytes.
const MAX_LENGTH: usize = 4096;

/// Parentheses in parentheses.
const MAX_DEPTH: usize = 16;

/// `**` in one path: each goes through all that the one before found.
const MAX_RECURSIONS: usize = 2;

/// A path, taken apart where the crate must not go.
struct Steps<'a>(Vec<Step<'a>>);

enum Step<'a> {
    /// What the crate follows.
    Path(JsonPath<'a>),
    /// Elements of an array by index, among them ranges.
    Indexes(Vec<ArrayIndex>),
}

impl<'a> Steps<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let wrong = |why: &str| {
            DataFusionError::Execution(format!(
                "invalid JSONPath '{text}': {why}; $.name, $[0] and $.list[*] ? (@.size > 1) are valid ones"
            ))
        };
        check_text(text).map_err(wrong)?;
        let path = parse_json_path(text.as_bytes()).map_err(|_| wrong("it can't be read"))?;
        let mut steps = Vec::new();
        let mut current = vec![Path::Root];
        for step in path.paths {
            check_step(&step, !steps.is_empty()).map_err(wrong)?;
            match step {
                Path::Root if steps.is_empty() && current.len() == 1 => {}
                Path::ArrayIndices(indexes) if indexes.iter().any(is_range) => {
                    steps.push(Step::Path(JsonPath {
                        paths: std::mem::replace(&mut current, vec![Path::Root]),
                    }));
                    steps.push(Step::Indexes(indexes));
                }
                // as an expression that is a whole path it has to stand alone
                Path::Expr(expression) => current = vec![Path::Expr(expression)],
                step => current.push(step),
            }
        }
        steps.push(Step::Path(JsonPath { paths: current }));
        Ok(Self(steps))
    }

    /// All that the path finds. Arithmetic on what is no number finds nothing.
    fn all(&self, value: RawJsonb) -> Vec<OwnedJsonb> {
        let mut steps = self.0.iter();
        let found = steps.next().map(|step| step.all(value)).unwrap_or_default();
        steps.fold(found, |found, step| found.iter().flat_map(|value| step.all(value.as_raw())).collect())
    }
}

impl Step<'_> {
    fn all(&self, value: RawJsonb) -> Vec<OwnedJsonb> {
        match self {
            Self::Path(path) if matches!(path.paths.as_slice(), [Path::Root]) => vec![value.to_owned()],
            Self::Path(path) => value.select_by_path(path).unwrap_or_default(),
            Self::Indexes(indexes) => {
                let Ok(Some(elements)) = value.array_values() else { return Vec::new() };
                indexes.iter().flat_map(|index| elements_at(&elements, index)).cloned().collect()
            }
        }
    }
}

fn elements_at<'v>(elements: &'v [OwnedJsonb], index: &ArrayIndex) -> &'v [OwnedJsonb] {
    let length = elements.len() as i64;
    let at = |index: &Index| match index {
        Index::Index(i) => i64::from(*i),
        Index::LastIndex(i) => length - 1 + i64::from(*i),
    };
    let (first, last) = match index {
        ArrayIndex::Index(index) => (at(index), at(index)),
        ArrayIndex::Slice((first, last)) => (at(first).max(0), at(last)),
    };
    if first < 0 || first >= length || last < first {
        return &[];
    }
    &elements[first as usize..=last.min(length - 1) as usize]
}

fn is_range(index: &ArrayIndex) -> bool {
    matches!(index, ArrayIndex::Slice(_))
}

/// What the parser relies on: strings end, escapes are whole, nesting is within limits.
fn check_text(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("it is longer than 4096 bytes");
    }
    if text.matches("**").count() > MAX_RECURSIONS {
        return Err("it has more than two **");
    }
    let mut depth = 0usize;
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_string(&mut rest)?,
            b'\\' => return Err("a name with a backslash has to stand in double quotes"),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err("it has more than 16 parentheses in each other");
        }
    }
    Ok(())
}

/// Goes on behind the end of a string whose quote was just read.
fn skip_string(rest: &mut std::str::Bytes) -> Result<(), &'static str> {
    loop {
        match rest.next().ok_or("a string in it does not end")? {
            b'"' => return Ok(()),
            b'\\' if rest.next() == Some(b'u') => {
                let digits = rest.by_ref().take(4).filter(u8::is_ascii_hexdigit).count();
                if digits != 4 {
                    return Err("\\u takes four hexadecimal digits");
                }
            }
            _ => {}
        }
    }
}

/// Refuses what the crate would fail on, or would get wrong behind a range that was followed here.
fn check_step(step: &Path, is_behind_range: bool) -> Result<(), &'static str> {
    match step {
        Path::ArrayIndices(indexes) => indexes.iter().try_for_each(|index| match index {
            ArrayIndex::Index(index) => check_index(index),
            ArrayIndex::Slice((first, last)) => check_index(first).and_then(|()| check_index(last)),
        }),
        Path::FilterExpr(expression) | Path::Expr(expression) => {
            check_expression(expression, is_behind_range)
        }
        _ => Ok(()),
    }
}

fn check_index(index: &Index) -> Result<(), &'static str> {
    match index {
        // the crate adds to it without looking
        Index::LastIndex(i) if *i > 0 || *i < -0x1000_0000 => Err("there is no such index from the last one"),
        _ => Ok(()),
    }
}

fn check_expression(expression: &Expr, is_behind_range: bool) -> Result<(), &'static str> {
    match expression {
        Expr::Paths(paths) | Expr::ExistsFunc(paths) => paths.iter().try_for_each(|step| match step {
            Path::ArrayIndices(indexes) if indexes.iter().any(is_range) => {
                Err("a range of indexes can't stand in a condition; name the indexes, as in [0,1]")
            }
            Path::Root if is_behind_range => Err("a condition behind a range of indexes can't begin at $"),
            Path::Expr(_) => Err("a path can't contain an expression"),
            other => check_step(other, is_behind_range),
        }),
        Expr::BinaryOp { left, right, .. } => {
            check_expression(left, is_behind_range)?;
            check_expression(right, is_behind_range)
        }
        Expr::UnaryOp { operand, .. } => check_expression(operand, is_behind_range),
        Expr::Value(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(json: &str, path: &str) -> Vec<String> {
        let value = jsonb::parse_owned_jsonb_standard_mode(json.as_bytes()).unwrap();
        Steps::new(path).unwrap().all(value.as_raw()).iter().map(ToString::to_string).collect()
    }

    fn refused(path: &str) -> String {
        Steps::new(path).err().unwrap().to_string()
    }

    #[test]
    fn paths_find_members_elements_and_what_meets_a_condition() {
        let json = r#"{"a":[{"n":1},{"n":5},{"n":9}],"b c":"x"}"#;
        assert_eq!(found(json, "$"), [r#"{"a":[{"n":1},{"n":5},{"n":9}],"b c":"x"}"#]);
        assert_eq!(found(json, "$.a[1].n"), ["5"]);
        assert_eq!(found(json, "$.a[last].n"), ["9"]);
        assert_eq!(found(json, "$.a[*] ? (@.n > 2)"), [r#"{"n":5}"#, r#"{"n":9}"#]);
        assert_eq!(found(json, r#"$."b c""#), [r#""x""#]);
        assert_eq!(found(json, "$.none").len(), 0);
    }

    #[test]
    fn ranges_end_where_the_array_does() {
        let json = r#"{"a":[0,1,2,3],"e":[],"f":[7]}"#;
        assert_eq!(found(json, "$.a[1 to last]"), ["1", "2", "3"]);
        assert_eq!(found(json, "$.a[0, 2 to 9]"), ["0", "2", "3"]);
        assert_eq!(found(json, "$.a[last-9 to last-2]"), ["0", "1"]);
        assert_eq!(found(json, "$.a[3 to 1]").len(), 0);
        for path in ["$.e[0 to 5]", "$.e[0 to last]", "$.f[0 to last-3]", "$.f[1 to last]", "$[0 to 1]"] {
            assert_eq!(found(json, path).len(), 0, "{path}");
        }
        assert_eq!(found(r#"[[1,2],[3,4],[5,6]]"#, "$[1 to 2][0]"), ["3", "5"]);
    }

    #[test]
    fn what_the_crate_would_fail_on_is_refused() {
        assert!(refused("$.\"abc").contains("a string in it does not end"));
        assert!(refused(r#"$."a\"#).contains("a string in it does not end"));
        assert!(refused(r#"$."\u00""#).contains("four hexadecimal digits"));
        assert!(refused(r"$.a\u{12").contains("backslash"));
        assert!(refused(&format!("$ ? {}", "(".repeat(4000))).contains("parentheses"));
        assert!(refused("$.**.**.**").contains("more than two"));
        assert!(refused("$ ? (@.a[0 to 1] == 1)").contains("can't stand in a condition"));
        assert!(refused("$.a[last+2147483647]").contains("no such index"));
        assert!(refused("$.[").contains("invalid JSONPath"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_not(path in r#"\$[$.@*\[\]()?"\\a-c0-9 ,to{}=<>&|!last+-]{0,20}"#) {
            let value = jsonb::parse_owned_jsonb_standard_mode(br#"{"a":[1,{"b":[]},"c"],"b":{"a":2}}"#).unwrap();
            if let Ok(steps) = Steps::new(&path) {
                steps.all(value.as_raw());
            }
        }
    }
}
