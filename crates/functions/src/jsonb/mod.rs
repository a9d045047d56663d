//! Functions on JSONB, and on properties in every shape, which are JSONB objects. Bytes that are no sound JSONB give NULL
//! like a value of another kind.

mod path;
mod scalars;
mod tables;
mod text;

use belvedere_core::assembly::{FunctionDoc, FunctionSet, Functions};
use belvedere_lake::access::Right;
use std::sync::Arc;
use tables::Members;

belvedere_core::register_functions! {
    Functions {
        docs: &[
            FunctionDoc {
                name: "jsonb_array_elements",
                signature: "jsonb_array_elements(j)",
                about: "Table: the elements of a JSONB array as JSONB, in the column value. j is a constant, an expression, \
                        or a subquery in parentheses, whose rows follow each other; of NULL there are none.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_array_length",
                signature: "jsonb_array_length(j)",
                about: "How many elements a JSONB array has; NULL if j is none.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_f64",
                signature: "jsonb_as_f64(j)",
                about: "A JSONB number as Float64; NULL if j is none.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_i64",
                signature: "jsonb_as_i64(j)",
                about: "A JSONB number as Int64; NULL if j is none, is not whole or is too large.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_as_string",
                signature: "jsonb_as_string(j)",
                about: "A JSONB string as text, without quotes; NULL if j is none.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_each",
                signature: "jsonb_each(j)",
                about: "Table: the members of a JSONB object in the order of their names, as key and value (JSONB), or the \
                        elements of an array with their places from 0 as keys. j is a constant, an expression, or a \
                        subquery in parentheses, whose rows follow each other; of NULL there are none.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_format_json",
                signature: "jsonb_format_json(j)",
                about: "JSONB as JSON text without spaces, members in the order of their names; NULL if j is no JSONB.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_get",
                signature: "jsonb_get(j, name)",
                about: "A member of a JSONB object as JSONB; NULL if there is none. The name is compared as it is, and if \
                        there is no such member, without regard to ASCII case.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_object_keys",
                signature: "jsonb_object_keys(j)",
                about: "The names of a JSONB object's members as a list, in order; NULL if j is no object.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_parse",
                signature: "jsonb_parse(json)",
                about: "JSONB of a JSON text; NULL if it is none, has a name twice in one object, or nests deeper than \
                        64 levels.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_path_query",
                signature: "jsonb_path_query(j, path)",
                about: "All that a JSONPath ($.a[0].b, $.**.c, $.a[*] ? (@.b > 1)) finds, as a JSONB array; [] if that is \
                        nothing, NULL if j is no JSONB.", needs: Right::Read },
            FunctionDoc {
                name: "jsonb_path_query_first",
                signature: "jsonb_path_query_first(j, path)",
                about: "The first that a JSONPath finds, as JSONB; NULL if that is nothing.", needs: Right::Read },
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
