//! Functions on JSONB, and on properties in every shape, which are JSONB objects. Bytes that are no sound JSONB give NULL
//! like a value of another kind.

mod path;
mod scalars;
mod tables;
mod text;

use crate::scalar_function::ScalarFunction;
use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_lake::access::Right;
use std::sync::Arc;
use tables::Members;

/// One value a row.
pub(crate) const SCALARS: [ScalarFunction; 10] = [
    scalars::ARRAY_LENGTH,
    scalars::AS_F64,
    scalars::AS_I64,
    scalars::AS_STRING,
    text::FORMAT_JSON,
    scalars::GET,
    scalars::OBJECT_KEYS,
    text::PARSE,
    path::QUERY,
    path::QUERY_FIRST,
];

belvedere_core::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "jsonb_array_elements",
                signature: "jsonb_array_elements(j)",
                about: "Table: the elements of a JSONB array as JSONB, in the column value. j is a constant, an \
                        expression, or a subquery in parentheses, whose rows are expanded one after the other. No \
                        rows for NULL.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_array_length",
                signature: "jsonb_array_length(j)",
                about: "The number of elements of a JSONB array; NULL if j is not an array.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_f64",
                signature: "jsonb_as_f64(j)",
                about: "A JSONB number as Float64; NULL if j is not a number.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_i64",
                signature: "jsonb_as_i64(j)",
                about: "A JSONB number as Int64; NULL if j is not a number, not an integer, or out of range.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_string",
                signature: "jsonb_as_string(j)",
                about: "A JSONB string as text, without quotes; NULL if j is not a string.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_each",
                signature: "jsonb_each(j)",
                about: "Table: the members of a JSONB object, ordered by name, as key and value (JSONB), or the \
                        elements of an array with their positions from 0 as keys. j is a constant, an expression, \
                        or a subquery in parentheses, whose rows are expanded one after the other. No rows for \
                        NULL.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_format_json",
                signature: "jsonb_format_json(j)",
                about: "JSONB as JSON text, without spaces and with members ordered by name; NULL if j is not valid \
                        JSONB.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_get",
                signature: "jsonb_get(j, name)",
                about: "A member of a JSONB object as JSONB; NULL if there is none. An exact match of the name is \
                        preferred, then one that ignores ASCII case.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_object_keys",
                signature: "jsonb_object_keys(j)",
                about: "The names of the members of a JSONB object, as a sorted list; NULL if j is not an object.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_parse",
                signature: "jsonb_parse(json)",
                about: "Converts JSON text to JSONB; NULL if the text is not valid JSON, repeats a name within an \
                        object, or is nested deeper than 64 levels.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_path_query",
                signature: "jsonb_path_query(j, path)",
                about: "All matches of a JSONPath ($.a[0].b, $.**.c, $.a[*] ? (@.b > 1)), as a JSONB array; [] if \
                        there are none, NULL if j is not valid JSONB.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_path_query_first",
                signature: "jsonb_path_query_first(j, path)",
                about: "The first match of a JSONPath, as JSONB; NULL if there is none.", needs: Right::Read },
        ],
        make: |_| FunctionSet {
            scalars: [
                scalars::ARRAY_LENGTH,
                scalars::AS_F64,
                scalars::AS_I64,
                scalars::AS_STRING,
                text::FORMAT_JSON,
                scalars::GET,
                scalars::OBJECT_KEYS,
                text::PARSE,
                path::QUERY,
                path::QUERY_FIRST,
            ]
            .map(|function| function.into_udf())
            .into(),
            aggregates: Vec::new(),
            tables: vec![
                ("jsonb_array_elements", Arc::new(Members::OfArrays)),
                ("jsonb_each", Arc::new(Members::OfAll)),
            ],
        },
    }
}
