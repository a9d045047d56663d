//! Functions on properties, in every shape that the lake has them in.

mod convert;
mod get;
mod shapes;

pub(super) use convert::lists_as_jsonb;

use crate::scalar_function::ScalarFunction;
use belvedere_core::assembly::SqlFunction;

/// One value a row.
pub(crate) const SCALARS: [ScalarFunction; 5] =
    [convert::LENGTH, convert::TO_ARRAY, convert::TO_DICT, convert::TO_JSONB, get::GET];

belvedere_core::register_functions! {
    SqlFunction::scalar("properties_length(properties)", |_| convert::LENGTH.into_udf())
        .about(
            "The number of properties, those under one name counted once; NULL if the argument does not hold properties. Accepts every \
             representation of properties.",
        ),
    SqlFunction::scalar("properties_to_array(properties)", |_| convert::TO_ARRAY.into_udf())
        .about("Expands dictionary-encoded properties to one value per row; other values are unchanged."),
    SqlFunction::scalar("properties_to_dict(properties)", |_| convert::TO_DICT.into_udf())
        .about(
            "Properties as dictionary-encoded lists of {key, value}, each distinct list once. Values \
             that are not strings become JSON. Accepts every representation of properties.",
        ),
    SqlFunction::scalar("properties_to_jsonb(properties)", |_| convert::TO_JSONB.into_udf())
        .about(
            "Properties as dictionary-encoded JSONB objects, each distinct object once; JSONB is \
             unchanged. Accepts every representation of properties.",
        ),
    SqlFunction::scalar("property_get(properties, name)", |_| get::GET.into_udf())
        .about(
            "The value of a property as text; NULL if there is none. An exact match of the name is \
             preferred, then one that ignores ASCII case. Accepts every representation of properties in the lake.",
        ),
}
