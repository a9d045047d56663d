//! Functions on JSONB, and on properties in every shape, which are JSONB objects. Bytes that are no sound JSONB give NULL
//! like a value of another kind.

mod path;
mod scalars;
mod tables;
mod text;

use crate::scalar_function::ScalarFunction;
use belvedere_core::assembly::SqlFunction;
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
    SqlFunction::table("jsonb_array_elements(j)", |_| Arc::new(Members::OfArrays))
        .about(
            "Table: the elements of a JSONB array as JSONB, in the column value. j is a constant, an \
             expression, or a subquery in parentheses, whose rows are expanded one after the other; or \
             it is an expression of columns of the tables before: FROM t, jsonb_array_elements(t.x). No \
             rows for NULL.",
        ),
    SqlFunction::scalar("jsonb_array_length(j)", |_| scalars::ARRAY_LENGTH.into_udf())
        .about("The number of elements of a JSONB array; NULL if j is not an array."),
    SqlFunction::scalar("jsonb_as_f64(j)", |_| scalars::AS_F64.into_udf())
        .about("A JSONB number as Float64; NULL if j is not a number."),
    SqlFunction::scalar("jsonb_as_i64(j)", |_| scalars::AS_I64.into_udf())
        .about("A JSONB number as Int64; NULL if j is not a number, not an integer, or out of range."),
    SqlFunction::scalar("jsonb_as_string(j)", |_| scalars::AS_STRING.into_udf())
        .about("A JSONB string as text, without quotes; NULL if j is not a string."),
    SqlFunction::table("jsonb_each(j)", |_| Arc::new(Members::OfAll))
        .about(
            "Table: the members of a JSONB object, ordered by name, as key and value (JSONB), or the \
             elements of an array with their positions from 0 as keys. j is a constant, an expression, \
             or a subquery in parentheses, whose rows are expanded one after the other; or it is an \
             expression of columns of the tables before: FROM t, jsonb_each(t.x). No rows for NULL.",
        ),
    SqlFunction::scalar("jsonb_format_json(j)", |_| text::FORMAT_JSON.into_udf())
        .about(
            "JSONB as JSON text, without spaces and with members ordered by name; NULL if j is not valid \
             JSONB.",
        ),
    SqlFunction::scalar("jsonb_get(j, name)", |_| scalars::GET.into_udf())
        .about(
            "A member of a JSONB object as JSONB; NULL if there is none. An exact match of the name is \
             preferred, then one that ignores ASCII case.",
        ),
    SqlFunction::scalar("jsonb_object_keys(j)", |_| scalars::OBJECT_KEYS.into_udf())
        .about("The names of the members of a JSONB object, as a sorted list; NULL if j is not an object."),
    SqlFunction::scalar("jsonb_parse(json)", |_| text::PARSE.into_udf())
        .about(
            "Converts JSON text to JSONB; NULL if the text is not valid JSON, repeats a name within an \
             object, or is nested deeper than 64 levels.",
        ),
    SqlFunction::scalar("jsonb_path_query(j, path)", |_| path::QUERY.into_udf())
        .about(
            "All matches of a JSONPath ($.a[0].b, $.**.c, $.a[*] ? (@.b > 1)), as a JSONB array; [] if \
             there are none, NULL if j is not valid JSONB. Names are compared exactly; jsonb_get finds an \
             empty name, which no path can have.",
        ),
    SqlFunction::scalar("jsonb_path_query_first(j, path)", |_| path::QUERY_FIRST.into_udf())
        .about("The first match of a JSONPath, as JSONB; NULL if there is none."),
}
