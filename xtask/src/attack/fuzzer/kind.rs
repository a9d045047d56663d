//! Kinds of values: roughly the types, so that most of what is made can be planned.

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Any,
    Bool,
    Bytes,
    Date,
    Decimal,
    Float,
    Format,
    Histogram,
    Int,
    Interval,
    Json,
    List,
    Map,
    Pattern,
    Properties,
    Struct,
    Text,
    Time,
    Type,
}

impl Kind {
    pub(super) const ALL: [Self; 19] = [
        Self::Any,
        Self::Bool,
        Self::Bytes,
        Self::Date,
        Self::Decimal,
        Self::Float,
        Self::Format,
        Self::Histogram,
        Self::Int,
        Self::Interval,
        Self::Json,
        Self::List,
        Self::Map,
        Self::Pattern,
        Self::Properties,
        Self::Struct,
        Self::Text,
        Self::Time,
        Self::Type,
    ];

    /// Of a type of the engine, as it is shown.
    pub(super) fn of_type(shown: &str) -> Self {
        let begins = |names: &[&str]| names.iter().any(|name| shown.starts_with(name));
        match shown {
            "Dictionary(Int32, Binary)" => Self::Properties,
            _ if begins(&["List", "LargeList", "FixedSizeList"]) => Self::List,
            _ if begins(&["Map"]) => Self::Map,
            _ if begins(&["Struct"]) => Self::Struct,
            _ if begins(&["Decimal"]) => Self::Decimal,
            _ if begins(&["Float"]) => Self::Float,
            _ if begins(&["Int", "UInt"]) && !begins(&["Interval"]) => Self::Int,
            _ if begins(&["Interval", "Duration"]) => Self::Interval,
            _ if begins(&["Timestamp", "Time"]) => Self::Time,
            _ if begins(&["Date"]) => Self::Date,
            _ if begins(&["Bool"]) => Self::Bool,
            _ if begins(&["Binary", "LargeBinary", "FixedSizeBinary"]) => Self::Bytes,
            _ if begins(&["String", "Utf8", "LargeUtf8", "Dictionary"]) => Self::Text,
            _ => Self::Any,
        }
    }

    /// What a function returns, by its name.
    pub(super) fn returned_by(name: &str) -> Self {
        let begins = |names: &[&str]| names.iter().any(|beginning| name.starts_with(beginning));
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match name {
            "range" | "generate_series" | "flatten" | "string_to_array" | "string_to_list" => Self::List,
            "map" => Self::Map,
            "row" | "struct" | "named_struct" => Self::Struct,
            "now" | "date_trunc" | "date_bin" | "current_timestamp" => Self::Time,
            "jsonb_as_string" | "jsonb_format_json" | "property_get" | "concat" | "concat_ws" | "to_char" => {
                Self::Text
            }
            "jsonb_as_i64" | "jsonb_array_length" | "count" | "row_number" | "rank" => Self::Int,
            "properties_to_jsonb" => Self::Json,
            "properties_to_dict" | "properties_to_array" => Self::Properties,
            "make_histogram" | "sum_histograms" => Self::Histogram,
            _ if contains(&[
                "_sum",
                "_avg",
                "_length",
                "_ndims",
                "position",
                "_to_string",
                "_has",
                "_min",
                "_max",
            ]) =>
            {
                Self::Any
            }
            _ if begins(&["array_", "list_", "arrays_", "make_array", "make_list", "map_"]) => Self::List,
            _ if begins(&["jsonb_"]) => Self::Json,
            _ if begins(&["to_timestamp"]) => Self::Time,
            _ => Self::Any,
        }
    }

    /// What a function takes, by its name and the example of how to call it: with and without what is optional.
    pub(super) fn of_syntax(name: &str, syntax: &str) -> Vec<Vec<Self>> {
        if let Some(known) = of_ours(name) {
            return vec![known.to_vec()];
        }
        let inside = syntax.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let kinds = |text: &str| -> Vec<Self> {
            let words =
                text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
            words
                .filter(|word| !["ORDER", "BY", "n"].contains(word))
                .map(|word| of_word(name, word))
                .collect()
        };
        let needed = kinds(inside.split('[').next().unwrap_or_default());
        let all = kinds(inside);
        if needed == all { vec![all] } else { vec![needed, all] }
    }
}

/// Functions whose arguments nothing describes.
fn of_ours(name: &str) -> Option<&'static [Kind]> {
    Some(match name {
        "map" => &[Kind::List, Kind::List],
        "map_entries" | "map_keys" | "map_values" => &[Kind::Map],
        "map_extract" | "element_at" => &[Kind::Map, Kind::Any],
        "get_field" => &[Kind::Struct, Kind::Text],
        "jsonb_parse" => &[Kind::Text],
        "jsonb_get" | "jsonb_path_query" | "jsonb_path_query_first" => &[Kind::Json, Kind::Text],
        "property_get" => &[Kind::Properties, Kind::Text],
        "make_histogram" => &[Kind::Float, Kind::Float, Kind::Int, Kind::Float],
        "quantile_from_histogram" => &[Kind::Histogram, Kind::Float],
        "lerp" | "unlerp" => &[Kind::Float, Kind::Float, Kind::Float],
        "bin_center" => &[Kind::Float, Kind::Float],
        "rgba" => &[Kind::Float, Kind::Float, Kind::Float, Kind::Float],
        "lerp_color" => &[Kind::Int, Kind::Int, Kind::Float],
        "color_scale" => &[Kind::List, Kind::Float],
        "generate_series" | "range" => &[Kind::Int, Kind::Int, Kind::Int],
        "get_payload" => &[Kind::Text, Kind::Text, Kind::Text],
        "view_instance" | "process_spans" => &[Kind::Text, Kind::Text],
        "perfetto_trace_chunks" => &[Kind::Text, Kind::Text, Kind::Time, Kind::Time],
        "parse_block" => &[Kind::Text],
        name if name.starts_with("jsonb_") => &[Kind::Json],
        name if name.starts_with("properties_") => &[Kind::Properties],
        name if name.contains("histogram") => &[Kind::Histogram],
        _ => return None,
    })
}

/// A word in an example.
fn of_word(function: &str, word: &str) -> Kind {
    let begins = |names: &[&str]| names.iter().any(|name| word.starts_with(name));
    match word {
        "datatype" => Kind::Type,
        "map" => Kind::Map,
        "str" | "delimiter" | "separator" | "null_string" | "order" | "nulls_order" => Kind::Text,
        "count" | "index" | "max" | "size" | "begin" | "end" | "stride" | "dimension" | "offset" => Kind::Int,
        _ if begins(&["format"]) => Kind::Format,
        _ if begins(&["regexp", "pattern"]) => Kind::Pattern,
        _ if begins(&["array", "sub_array"]) => Kind::List,
        _ if begins(&["str"]) => Kind::Text,
        _ if word.ends_with("_name") || begins(&["key"]) => Kind::Text,
        _ if begins(&["expression"]) && function.starts_with("to_") => Kind::Text,
        _ => Kind::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_of_a_kind() {
        for (shown, kind) in [
            ("Int64", Kind::Int),
            ("Interval(DayTime)", Kind::Interval),
            ("Timestamp(Nanosecond, \"+00:00\")", Kind::Time),
            ("Dictionary(Int32, Utf8)", Kind::Text),
            ("Dictionary(Int32, Binary)", Kind::Properties),
            ("FixedSizeBinary(16)", Kind::Bytes),
            ("", Kind::Any),
        ] {
            assert_eq!(Kind::of_type(shown), kind, "{shown}");
        }
    }

    #[test]
    fn an_example_says_what_is_taken_with_and_without_options() {
        assert_eq!(
            Kind::of_syntax("array_slice", "array_slice(array, begin, end[, stride])"),
            [vec![Kind::List, Kind::Int, Kind::Int], vec![Kind::List, Kind::Int, Kind::Int, Kind::Int]]
        );
        assert_eq!(Kind::of_syntax("now", "now()"), [vec![]]);
        assert_eq!(Kind::of_syntax("jsonb_get", ""), [vec![Kind::Json, Kind::Text]]);
        assert_eq!(
            Kind::of_syntax("arrow_cast", "arrow_cast(expression, datatype)"),
            [vec![Kind::Any, Kind::Type]]
        );
    }
}
